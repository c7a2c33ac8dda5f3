"""What sprig makes of a value where it wants a text, a number or a list; and whether one is empty."""

import math
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.numbers import parse_float, parse_integer
from tiphys.templating.gotemplate.printing import text_of
from tiphys.templating.gotemplate.values import GoObject, kind_of, to_text, type_of, wrap64

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
SPACE += "\u2028\u2029\u202f\u205f\u3000"
"""What Go calls white space."""

NIL_PANIC = "runtime error: invalid memory address or nil pointer dereference"
_MOST = 1 << 63


def text(value: Any) -> str:
    """A value as text."""
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        return to_text(value)
    return text_of(value)


def texts(value: Any) -> list[str]:
    """A list's elements as texts without nil; anything else as the only one."""
    if isinstance(value, list | bytes):
        return [text(item) for item in value if item is not None]
    return [] if value is None else [text(value)]


def int64(value: Any) -> int:
    """A value as ``int64``; 0 if it is no number."""
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and -_MOST <= value < _MOST else -_MOST
    if isinstance(value, int):
        return wrap64(int(value))
    if isinstance(value, str):
        number = parse_integer(_without_zero_decimals(value))
        return number if number is not None and -_MOST <= number < _MOST else 0
    return 0


def _without_zero_decimals(value: str) -> str:
    whole, dot, fraction = value.rpartition(".")
    return whole if dot and not fraction.strip("0") else value


def float64(value: Any) -> float:
    """A value as ``float64``; 0 if it is no number."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        word = value.lower().lstrip("+-")
        if word in ("inf", "infinity", "nan"):
            return float(value)
        return parse_float(value) or 0.0
    return 0.0


def is_empty(value: Any) -> bool:
    """Sprig's emptiness: nil, zero, false, nothing in it; a struct never."""
    if isinstance(value, GoObject):
        return False
    return not value


def items(value: Any, verb: str) -> list[Any]:
    """The elements of a list.

    Args:
        verb: what the function does; for the error.

    Raises:
        GoError: not a list.
    """
    if isinstance(value, list | bytes):
        return list(value)
    if value is None:
        raise GoError(NIL_PANIC)
    raise GoError(f"Cannot {verb} type {kind_of(value)}")


def same(one: Any, two: Any) -> bool:
    """``reflect.DeepEqual``: equal values of equal types."""
    if type_of(one) != type_of(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(item, two[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)
