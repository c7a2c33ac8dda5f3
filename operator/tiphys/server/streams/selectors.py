"""Label selectors as clients write them: ``a=b,c!=d,e in (f,g),!h,i>3`` (Kubernetes' grammar).

A selector is read once and then asked for each object's labels. An empty one selects everything.
"""

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]
Term = Callable[[Labels], bool]

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SPECIAL = frozenset({"=", "==", "!=", "!", "(", ")", ",", "<", ">"})


class SelectorError(ValueError):
    """The text is no selector; the message says where it stops to be one."""


class Selector:
    """A parsed selector. Raises SelectorError."""

    def __init__(self, text: str):
        self._terms = tuple(_Reader(text).terms())

    @property
    def is_empty(self) -> bool:
        """Whether it selects everything."""
        return not self._terms

    def matches(self, labels: Labels | None) -> bool:
        """Whether the labels satisfy all terms."""
        labels = labels or {}
        return all(term(labels) for term in self._terms)

    @property
    def terms(self) -> tuple[Term, ...]:
        """What must all be true of an object's labels; for those who ask of many objects."""
        return self._terms


class _Reader:
    def __init__(self, text: str):
        self._tokens = _tokens(text)
        self._at = 0

    def terms(self) -> list[Term]:
        found: list[Term] = []
        while self._at < len(self._tokens):
            if found:
                self._expect(",")
            found.append(self._term())
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, wanted: str) -> None:
        token = self._take()
        if token != wanted:
            raise SelectorError(f"unable to parse requirement: found '{token}', expected: '{wanted}'")

    def _term(self) -> Term:
        if self._peek() == "!":
            self._take()
            absent = self._key()
            return lambda labels: absent not in labels
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return lambda labels: key in labels
        self._take()
        match operator:
            case "=" | "==":
                wanted = self._value()
                return lambda labels: labels.get(key) == wanted
            case "!=":
                unwanted = self._value()
                return lambda labels: labels.get(key) != unwanted
            case "in":
                choices = self._values()
                return lambda labels: labels.get(key) in choices
            case "notin":
                others = self._values()
                return lambda labels: labels.get(key) not in others
            case ">" | "<":
                return _compared(key, operator, self._take())
        raise SelectorError(
            f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt"
        )

    def _key(self) -> str:
        key = self._take()
        if key in _SPECIAL or not key:
            raise SelectorError(f"unable to parse requirement: found '{key}', expected: identifier")
        prefix, slash, name = key.rpartition("/")
        bad_prefix = bool(slash) and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix))
        if bad_prefix or len(name) > 63 or not _NAME.fullmatch(name):
            raise SelectorError(f'unable to parse requirement: key: Invalid value: "{key}"')
        return key

    def _value(self) -> str:
        token = self._peek()
        if token in ("", ","):
            return ""  # "key=" means the empty value
        return _sound(self._take())

    def _values(self) -> frozenset[str]:
        self._expect("(")
        found = {""} if self._peek() == ")" else set()
        while self._peek() != ")":
            if self._peek() == ",":
                found.add("")
            else:
                found.add(_sound(self._take()))
            if self._peek() != ")":
                self._expect(",")
                if self._peek() == ")":
                    found.add("")
        self._take()
        return frozenset(found)


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            break  # white space at the end
        found.append(match[1])
        at = match.end()
    return found


def _sound(value: str) -> str:
    if value in _SPECIAL:
        raise SelectorError(f"unable to parse requirement: found '{value}', expected: identifier")
    if value and (len(value) > 63 or not _NAME.fullmatch(value)):
        raise SelectorError(f'unable to parse requirement: values: Invalid value: "{value}"')
    return value


def _compared(key: str, operator: str, bound: str) -> Term:
    limit = _integer(bound)
    if limit is None:
        raise SelectorError(
            f'unable to parse requirement: values[0]: Invalid value: "{bound}": '
            "for 'Gt', 'Lt' operators, the value must be an integer"
        )

    def term(labels: Labels) -> bool:
        number = _integer(labels.get(key, ""))
        if number is None:
            return False
        return number > limit if operator == ">" else number < limit

    return term


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,19}", text) else None
