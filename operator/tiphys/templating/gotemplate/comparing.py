"""``eq ne lt le gt ge``: which values compare, and how."""

from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.printing import shown, text_of
from tiphys.templating.gotemplate.values import NO_VALUE, GoObject, argument, to_bytes, type_of, weigh

_ORDERED = ("int", "float", "string", "uint")


def basic_kind(value: Any) -> str:
    """``bool``, ``int``, ``uint``, ``float``, ``string``, ``complex``; empty for everything else."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "uint" if type_of(value).startswith("uint") else "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    return "complex" if isinstance(value, complex) else ""


def equal(first: Any, *others: Any) -> bool:
    """``eq``: whether the first equals one of the others."""
    if not others:
        raise GoError("missing argument for comparison")
    first = argument(first)
    return any(_equal(first, argument(other)) for other in others)


def _equal(one: Any, two: Any) -> bool:
    kind, other = basic_kind(one), basic_kind(two)
    if kind != other:
        if {kind, other} == {"int", "uint"}:
            return int(one) == int(two)
        if one is None or two is None or one is NO_VALUE or two is NO_VALUE:
            return False
        raise GoError(f"incompatible types for comparison: {type_of(one)} and {type_of(two)}")
    if kind:
        return bool(one == two)
    if one is None or two is None:
        return one is None and two is None
    if isinstance(one, dict | list | bytes) or isinstance(two, dict | list | bytes):
        if isinstance(one, dict) != isinstance(two, dict):
            raise GoError(
                f"non-comparable types {_shown(one)}: {type_of(one)}, {type_of(two)}: {text_of(two)}"
            )
        raise GoError(f"non-comparable type {_shown(two)}: {type_of(two)}")
    return bool(one == two) if isinstance(one, GoObject) else one is two


def _shown(value: Any) -> str:
    weigh(value)
    return shown(value, "s")


def unequal(one: Any, two: Any) -> bool:
    """``ne``"""
    return not equal(one, two)


def less(one: Any, two: Any) -> bool:
    """``lt``"""
    one, two = argument(one), argument(two)
    kind, other = basic_kind(one), basic_kind(two)
    if not kind or not other:
        raise GoError("invalid type for comparison")
    if kind != other and {kind, other} != {"int", "uint"}:
        raise GoError(f"incompatible types for comparison: {type_of(one)} and {type_of(two)}")
    if kind == "string":
        return to_bytes(one) < to_bytes(two)
    if kind not in _ORDERED:
        raise GoError("invalid type for comparison")
    return bool(one < two)


def less_or_equal(one: Any, two: Any) -> bool:
    """``le``"""
    return less(one, two) or equal(one, two)


def greater(one: Any, two: Any) -> bool:
    """``gt``"""
    return not less_or_equal(one, two)


def greater_or_equal(one: Any, two: Any) -> bool:
    """``ge``"""
    return not less(one, two)
