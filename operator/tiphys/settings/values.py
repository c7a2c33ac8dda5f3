"""How text becomes a value: Go's spellings of booleans, durations, sizes and lists.

Each parser takes text and returns a value or raises ``ValueError`` with a sentence that names
what would be right. The sentence holds the text itself only in parsers of things that are never
secret (durations, numbers, booleans of settings); readers of Secrets word their own problems.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from tiphys.resources.times import go_duration

Parser: TypeAlias = Callable[[str], Any]

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

_SIZE = re.compile(r"^(\d+(?:\.\d+)?)([EPTGMk]i?|Ki|m)?$")
_SIZE_FACTORS = {
    "": 1,
    "m": 0.001,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
} | {f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTPE", start=1)}


def go_bool(text: str) -> bool:
    """Go's ``strconv.ParseBool``."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("expected a boolean (true or false)")


def lenient_bool(text: str) -> bool:
    """``true`` or ``false`` in any case (operations.md 1.7)."""
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError(f"expected true or false, not {text!r}")


def unless(*words: str) -> Parser:
    """True but for these words, in any case."""
    return lambda text: text.strip().lower() not in words


def duration(text: str) -> float:
    """Seconds of a Go duration, in which ``d`` may stand for a day (``1d12h``, ``90s``, ``0``)."""
    try:
        return go_duration(text.strip(), days=True)
    except ValueError:
        raise ValueError(f"expected a duration such as 90s, 3m or 1h30m, not {text!r}") from None


def text_value(text: str) -> str:
    """The text as it is."""
    return text


def integer(minimum: int | None = None, maximum: int | None = None) -> Parser:
    """A parser of whole numbers within bounds (both included)."""

    def parse(text: str) -> int:
        try:
            value = int(text, 10)
        except ValueError:
            raise ValueError(f"expected a whole number, not {text!r}") from None
        _check_bounds(value, minimum, maximum)
        return value

    return parse


def number(minimum: float | None = None, maximum: float | None = None) -> Parser:
    """A parser of decimal numbers within bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"expected a number, not {text!r}") from None
        if value != value:
            raise ValueError("expected a number, not NaN")
        _check_bounds(value, minimum, maximum)
        return value

    return parse


def _check_bounds(value: float, minimum: float | None, maximum: float | None) -> None:
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        lowest = "any" if minimum is None else f"{minimum:g}"
        highest = "any" if maximum is None else f"{maximum:g}"
        raise ValueError(f"{value:g} is outside of {lowest} to {highest}")


def bounded_duration(minimum: float | None = None, maximum: float | None = None) -> Parser:
    """A parser of durations within bounds (seconds)."""

    def parse(text: str) -> float:
        value = duration(text)
        _check_bounds(value, minimum, maximum)
        return value

    return parse


def scaled(factor: float, minimum: float | None = None, maximum: float | None = None) -> Parser:
    """A parser of whole numbers in another unit, to seconds: nanoseconds are ``scaled(1e-9)``."""
    whole = integer()

    def parse(text: str) -> float:
        value = float(whole(text)) * factor
        _check_bounds(value, minimum, maximum)
        return value

    return parse


def seconds_or_duration(text: str) -> float:
    """Seconds of a bare number or of a duration. The reference takes only a duration for a
    variable whose name says seconds, and so ignores ``180``; we take both."""
    try:
        return float(integer(0)(text))
    except ValueError:
        return duration(text)


def words(separator: str = ",") -> Parser:
    """A parser of lists: split on the separator, trimmed, empty entries left out."""

    def parse(text: str) -> tuple[str, ...]:
        return tuple(word for part in text.split(separator) if (word := part.strip()))

    return parse


def pairs(separator: str = "=") -> Parser:
    """A parser of ``k=v,k=v`` (or ``k:v,…``) to sorted pairs."""

    def parse(text: str) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        for part in words(",")(text):
            key, mark, value = part.partition(separator)
            if not mark or not key.strip():
                raise ValueError(f"expected entries of the form key{separator}value")
            found[key.strip()] = value.strip()
        return tuple(sorted(found.items()))

    return parse


def choice(*allowed: str) -> Parser:
    """A parser that takes one of the words given."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(repr(word) for word in allowed)}, not {text!r}")
        return text

    return parse


def size(text: str) -> int:
    """Bytes of a Kubernetes quantity: ``10M``, ``1Gi``, ``1048576``; empty means 0."""
    if not text:
        return 0
    match = _SIZE.match(text)
    if match is None:
        raise ValueError(f"expected a size such as 10M, 512Mi or 1G, not {text!r}")
    return int(float(match[1]) * _SIZE_FACTORS[match[2] or ""])


def label_list(text: str) -> tuple[str, ...]:
    """A comma list in which spaces never count (event labels, masked annotations)."""
    return tuple(word for word in text.replace(" ", "").split(",") if word)
