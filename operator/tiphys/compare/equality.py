"""Equality of JSON values as the API server means it.

Python takes ``1``, ``1.0`` and ``True`` for the same; the server does not take ``true`` for ``1``,
and writes ``1.0`` as ``1`` (findings: "type-strict (Python trap)").
"""

from typing import Any


def same(one: Any, other: Any) -> bool:
    """Deep equality; a whole number equals the same number with a decimal point, never a boolean."""
    kind = type(one)
    if kind is not type(other):
        return (
            (kind is int or kind is float)
            and (type(other) is int or type(other) is float)
            and bool(one == other)
        )
    if kind is dict:
        if len(one) != len(other):
            return False
        for key, value in one.items():
            if key not in other:
                return False
            against = other[key]
            if type(value) is str:
                if value != against:
                    return False
            elif not same(value, against):
                return False
        return True
    if kind is list:
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
