"""The words that rules may use: reading fields, matching conditions, writing texts.

An object is decoded JSON whose reader never fails on what is absent: a missing field, a null and
a field below one of them are all ``None``. What the reference's check cannot evaluate (text made
of an absent field, an order between an absent and a present number) raises, and the engine makes
that the ``Unknown`` health of the one object.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Condition = dict[str, Any]


class Unreadable(Exception):
    """The object lacks what a rule needs; the text names it, ``line`` is the number of the rule
    where that is known."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.line = line


class NotText(Exception):
    """A message is to be a field alone, and that is no text: the health has no content then."""


def at(value: Any, name: str) -> Any:
    """The field of an object, ``None`` where there is none."""
    return value.get(name) if type(value) is dict else None


def nth(value: Any, index: int) -> Any:
    """An item of a list by position, ``None`` where there is none."""
    return value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None


def items(value: Any) -> Sequence[Any]:
    """The items of a list without nulls; none for anything else."""
    if type(value) is not list:
        return ()
    return [item for item in value if item is not None] if None in value else value


def values(value: Any) -> Sequence[Any]:
    """The values of a map without nulls."""
    return [item for item in value.values() if item is not None] if isinstance(value, dict) else ()


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def size(value: Any) -> int | None:
    """How many items a list or map has; ``None`` when it is absent."""
    return None if value is None else len(items(value) or values(value))


def has(value: Any) -> bool:
    """Present, whatever it holds."""
    return value is not None


def absent(value: Any) -> bool:
    return value is None


def truthy(value: Any) -> bool:
    """Present and not ``false``: ``""`` and ``0`` count."""
    return value is not None and value is not False


def blank(value: Any) -> bool:
    """Absent, or an empty text, list or map."""
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)


def needed(value: Any, name: str) -> Any:
    """The value.

    Raises:
        Unreadable: it is absent.
    """
    if value is None:
        raise Unreadable(f"{name} is absent")
    return value


def fail(why: str, line: int) -> Any:
    """A rule that says that the object cannot be assessed."""
    raise Unreadable(why, line)


def num(value: Any) -> int | float:
    """A number, also written as text.

    Raises:
        Unreadable: anything else.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Unreadable(f"{value[:40]!r} is not a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{'nothing' if value is None else type(value).__name__} instead of a number")
    return value


def number_or_none(value: Any) -> int | float | None:
    """A number, also written as text; ``None`` for anything else."""
    try:
        return num(value)
    except Unreadable:
        return None


def positive(value: Any) -> bool:
    """A number above zero."""
    return isinstance(value, int | float) and value > 0


def written(value: Any, name: str) -> str:
    """A value inside a longer text; whole numbers without fraction.

    Raises:
        Unreadable: absent, or neither text nor number.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{name} is {'absent' if value is None else 'no text'}")
    return f"{value:.14g}"


def alone(value: Any) -> str:
    """A field that is the whole message; absent: empty.

    Raises:
        NotText: it is something else than text.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotText
    return value


def join(parts: Iterable[Any], separator: str = ", ") -> str:
    """Texts joined; absent ones are left out."""
    return separator.join(written(part, "a part of the message") for part in parts if part is not None)


def chained(parts: Iterable[str], separator: str) -> str:
    """Texts joined, without a separator before the first that is not empty."""
    text = ""
    for part in parts:
        text += separator + part if text else part
    return text


def capture(value: Any, pattern: str) -> tuple[Any, ...] | None:
    """The groups of a pattern found anywhere in a text."""
    found = re.search(pattern, value) if isinstance(value, str) else None
    return found.groups() if found else None


def starts(value: Any, prefix: str) -> bool:
    return isinstance(value, str) and value.startswith(prefix)


def ends(value: Any, suffix: str) -> bool:
    return isinstance(value, str) and value.endswith(suffix)


def lower(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def capital(value: Any) -> str:
    return value.capitalize() if isinstance(value, str) else ""


def replaced(value: str, old: str, new: str) -> str:
    return value.replace(old, new)


def short(value: Any) -> str:
    """The first seven bytes of a commit's name."""
    return value[:7] if isinstance(value, str) else ""


def phased(statuses: Any, phase: str) -> list[Any]:
    """Those of a list of commit statuses that are in a phase."""
    return [entry for entry in items(statuses) if at(entry, "phase") == phase]


def tail(statuses: Any) -> str:
    """The sentence about commit statuses that hold a promotion up."""
    text = ""
    for word, phase in (("Pending", "pending"), ("Failed", "failure")):
        found = phased(statuses, phase)
        if found:
            text += f"{word} commit statuses: {join(at(entry, 'key') for entry in found)}. "
    return text


_PATTERN = re.compile(r"(\*|[\w./|-]+?)(?:(!?=)([\w|]+))?")


def matcher(pattern: str) -> Callable[[Condition], bool]:
    """What a pattern of conditions means: ``Ready=True``, ``Ready!=True`` (also when the status is
    absent), ``Ready`` (any status), ``*=False`` (any type), ``A|B=True`` (one of several).

    Raises:
        ValueError: no such pattern.
    """
    parsed = _PATTERN.fullmatch(pattern)
    if parsed is None:
        raise ValueError(f"{pattern!r} is no pattern of conditions")
    types, operator, statuses = parsed.groups()
    wanted = frozenset((statuses or "").split("|"))
    kinds = frozenset(types.split("|"))

    def matches(condition: Condition) -> bool:
        if types != "*" and condition.get("type") not in kinds:
            return False
        return operator is None or (condition.get("status") in wanted) is (operator == "=")

    return matches


WORDS: dict[str, Any] = {
    "absent": absent,
    "alone": alone,
    "at": at,
    "blank": blank,
    "capital": capital,
    "capture": capture,
    "chained": chained,
    "ends": ends,
    "has": has,
    "is_list": is_list,
    "items": items,
    "join": join,
    "lower": lower,
    "needed": needed,
    "nth": nth,
    "num": num,
    "number_or_none": number_or_none,
    "phased": phased,
    "positive": positive,
    "replaced": replaced,
    "short": short,
    "size": size,
    "starts": starts,
    "tail": tail,
    "truthy": truthy,
    "values": values,
    "written": written,
    **{
        f.__name__: f
        for f in (any, all, dict, enumerate, len, list, max, min, range, reversed, sorted, sum, zip)
    },
}
"""Every function a rule may name."""
