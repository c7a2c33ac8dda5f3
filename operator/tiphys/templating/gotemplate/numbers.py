"""Number literals: one text may be an integer, an unsigned one and a float at once."""

import re

from tiphys.templating.gotemplate.nodes import NumberNode
from tiphys.templating.gotemplate.quoting import QuoteError, quote, unquote

_INTEGER = re.compile(
    r"([+-]?)(?:0[xX](_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0[bB](_?[01]+(?:_[01]+)*)"
    r"|0[oO]?(_?[0-7]+(?:_[0-7]+)*)|(0|[1-9][0-9]*(?:_[0-9]+)*))"
)
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+)?"
)
_HEXADECIMAL = re.compile(r"[+-]?0[xX]_?[0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9]+")


class NumberError(ValueError):
    """Not a number; carries Go's words."""


def parse_integer(text: str) -> int | None:
    """An integer in Go's notation (``0x``, ``0b``, ``0o`` or ``0``, ``_`` between digits), of any size."""
    match = _INTEGER.fullmatch(text)
    if match is None:
        return None
    sign, *digits = match.groups()
    for body, base in zip(digits, (16, 2, 8, 10), strict=True):
        if body is not None:
            number = int(body.replace("_", ""), base)
            return -number if sign == "-" else number
    return None


def parse_float(text: str) -> float | None:
    """A float in Go's notation."""
    if _DECIMAL.fullmatch(text):
        number = float(text)
        return None if number in (float("inf"), float("-inf")) else number
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except (ValueError, OverflowError):
            return None
    return None


def number_node(position: int, text: str, *, character: bool = False, imaginary: bool = False) -> NumberNode:
    """The node of a literal.

    Raises:
        NumberError: not a number, or none that fits.
    """
    if character:
        try:
            code = ord(unquote(text))
        except (QuoteError, TypeError):
            raise NumberError(f"malformed character constant: {text}") from None
        return NumberNode(position, text, code, code, code, float(code))
    if imaginary or text.endswith("i"):
        return _complex(position, text)
    number = parse_integer(text)
    integer = number if number is not None and -(1 << 63) <= number < 1 << 63 else None
    unsigned = number if number is not None and 0 <= number < 1 << 64 and text[0] not in "+-" else None
    if integer is not None or unsigned is not None:
        whole = integer if integer is not None else unsigned
        assert whole is not None
        return NumberNode(position, text, integer, integer, unsigned, float(whole))
    found = parse_float(text)
    if found is not None or number is not None:
        if not any(mark in text for mark in ".eEpP"):
            raise NumberError(f"integer overflow: {quote(text)}")
        assert found is not None
        whole = int(found) if found.is_integer() else None
        return NumberNode(
            position,
            text,
            found,
            whole if whole is not None and -(1 << 63) <= whole < 1 << 63 else None,
            whole if whole is not None and 0 <= whole < 1 << 64 else None,
            found,
        )
    raise NumberError(f"illegal number syntax: {quote(text)}")


def _complex(position: int, text: str) -> NumberNode:
    try:
        value = complex(text.replace("i", "j").replace("_", ""))
    except ValueError:
        raise NumberError(f"illegal number syntax: {quote(text)}") from None
    return NumberNode(position, text, value, None, None, None)
