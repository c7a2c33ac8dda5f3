"""Regular expressions, by RE2 (linear time)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import re2  # type: ignore[import-untyped]

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import Function, StringList, check_size

_TEXTS = (
    ("missing ]", "missing closing ]"),
    ("missing )", "missing closing )"),
    ("no argument for repetition operator", "missing argument to repetition operator"),
    ("bad repetition operator", "invalid nested repetition operator"),
    ("invalid repetition size", "invalid repeat count"),
    ("invalid perl operator", "invalid or unsupported Perl syntax"),
    ("trailing \\", "trailing backslash at end of expression"),
)
_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)


def compiled(pattern: str, *, must: bool = False) -> Any:
    """A pattern.

    Args:
        must: the caller panics on an error.

    Raises:
        GoError: not a regular expression.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0]
        message = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        reason, _, where = message.partition(": ")
        reason = dict(_TEXTS).get(reason, reason)
        refusal = f"error parsing regexp: {reason}" + (f": `{where}`" if where else "")
        raise GoError(f"regexp: Compile(`{pattern}`): {refusal}" if must else refusal) from None


def matches(pattern: Any, value: str, count: int = -1) -> Iterator[Any]:
    """The matches one after the other: no empty one right behind another."""
    position, before, found = 0, -1, 0
    while position <= len(value) and found != count:
        match = pattern.search(value, position)
        if match is None:
            return
        accepted = True
        if match.end() == position:
            accepted = match.start() != before
            position += 1
        else:
            position = match.end()
        before = match.end()
        if accepted:
            found += 1
            yield match


def find_all(pattern: Any, value: str, count: int) -> StringList:
    """The texts of at most ``count`` matches (negative: all)."""
    return StringList(match.group() for match in matches(pattern, value, count))


def find(pattern: Any, value: str) -> str:
    """The first match; empty without one."""
    match = pattern.search(value)
    return match.group() if match else ""


def replace_all(pattern: Any, value: str, replacement: str, *, literal: bool = False) -> str:
    """Every match replaced; ``$1`` and ``${name}`` mean groups unless ``literal``."""
    parts: list[str] = []
    position, size = 0, 0
    for match in matches(pattern, value):
        text = replacement if literal else _expanded(replacement, match)
        size += len(text)
        check_size(size)
        parts += (value[position : match.start()], text)
        position = match.end()
    return "".join(parts) + value[position:]


def _expanded(replacement: str, match: Any) -> str:
    def group(reference: re.Match[str]) -> str:
        name = reference.group(1) or reference.group(2)
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdecimal() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(group, replacement)


def split(pattern: Any, value: str, count: int, *, empty: bool = False) -> StringList:
    """The parts between matches, at most ``count`` (negative: all)."""
    if count == 0:
        return StringList()
    if not empty and not value:
        return StringList([""])
    found, begin, end = StringList(), 0, 0
    for match in matches(pattern, value, count):
        if count > 0 and len(found) == count - 1:
            break
        end = match.start()
        if match.end() != 0:
            found.append(value[begin:end])
        begin = match.end()
    if end != len(value):
        found.append(value[begin:])
    return found


def _quoted(value: str) -> str:
    return re.sub(r"[\\.+*?()|\[\]{}^$]", lambda match: f"\\{match.group()}", value)


def functions() -> Mapping[str, Function]:
    """Their table."""
    two, three = ("string", "string"), ("string", "string", "string")
    counted = ("string", "string", "int")
    found: dict[str, Function] = {"regexQuoteMeta": Function(("string",), _quoted)}
    for prefix, must in (("regex", True), ("mustRegex", False)):

        def pattern(text: str, must: bool = must) -> Any:
            return compiled(text, must=must)

        def matched(text: str, value: str, pattern: Any = pattern, must: bool = must) -> bool:
            try:
                return pattern(text).search(value) is not None
            except GoError:
                if must:  # the one function that swallows the error
                    return False
                raise

        found |= {
            f"{prefix}Match": Function(two, matched),
            f"{prefix}Find": Function(two, lambda text, value, p=pattern: find(p(text), value)),
            f"{prefix}FindAll": Function(
                counted, lambda text, value, count, p=pattern: find_all(p(text), value, count)
            ),
            f"{prefix}ReplaceAll": Function(
                three, lambda text, value, new, p=pattern: replace_all(p(text), value, new)
            ),
            f"{prefix}ReplaceAllLiteral": Function(
                three, lambda text, value, new, p=pattern: replace_all(p(text), value, new, literal=True)
            ),
            f"{prefix}Split": Function(
                counted,
                lambda text, value, count, p=pattern: split(p(text), value, count, empty=not text),
            ),
        }
    return found
