"""The functions that every template has.

``and`` and ``or`` are here only by name: execution evaluates their arguments one after the other.
"""

from collections.abc import Mapping
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.comparing import (
    equal,
    greater,
    greater_or_equal,
    less,
    less_or_equal,
    unequal,
)
from tiphys.templating.gotemplate.escaping import html, javascript, url_query
from tiphys.templating.gotemplate.printing import sprint, sprintf, sprintln
from tiphys.templating.gotemplate.values import (
    ANY,
    VALUE,
    Boxed,
    Function,
    StringMap,
    TypedList,
    Uint8,
    argument,
    is_true,
    to_bytes,
    to_text,
    type_of,
)

_ZERO_VALUE = "reflect: call of reflect.Value.Type on zero Value"


def length(item: Any) -> int:
    """``len``: bytes of a string, elements of a list or map."""
    if type(item) is Boxed and item.value is None:
        raise GoError("len of nil pointer")
    value = argument(item)
    if value is None:
        raise GoError(_ZERO_VALUE)
    if isinstance(value, str):
        return len(value) if value.isascii() else len(to_bytes(value))
    if isinstance(value, list | dict | bytes):
        return len(value)
    raise GoError(f"len of type {type_of(value)}")


def _index_argument(index: Any, limit: int) -> int:
    value = argument(index)
    if value is None:
        raise GoError("cannot index slice/array with nil")
    if not isinstance(value, int) or isinstance(value, bool):
        raise GoError(f"cannot index slice/array with type {type_of(value)}")
    if not 0 <= value <= limit:
        raise GoError(f"index out of range: {int(value)}")
    return int(value)


def index(item: Any, *indexes: Any) -> Any:
    """``index``: an element; a missing key of a map gives the zero value."""
    found = item
    value = argument(item)
    if value is None:
        raise GoError("index of untyped nil")
    for each in indexes:
        value = argument(found)
        if value is None:
            raise GoError("index of nil pointer")
        found = _element(value, each)
    return found


def _element(value: Any, key: Any) -> Any:
    if isinstance(value, str | bytes):
        data = to_bytes(value) if isinstance(value, str) else value
        number = _index_argument(key, len(data))
        if number == len(data):
            raise GoError("reflect: string index out of range")
        return Uint8(data[number])
    if isinstance(value, list):
        number = _index_argument(key, len(value))
        if number == len(value):
            raise GoError("reflect: slice index out of range")
        element = value[number]
        return element if isinstance(value, TypedList) else Boxed(element)
    if isinstance(value, dict):
        name = argument(key)
        if name is None:
            raise GoError("value is nil; should be of type string")
        if not isinstance(name, str):
            raise GoError(f"value has type {type_of(name)}; should be string")
        if isinstance(value, StringMap):
            return value.get(name, "")
        return Boxed(value.get(name))
    raise GoError(f"can't index item of type {type_of(value)}")


def slice_of(item: Any, *indexes: Any) -> Any:
    """``slice``: a part of a string or a list."""
    value = argument(item)
    if value is None:
        raise GoError("slice of nil pointer" if type(item) is Boxed else "slice of untyped nil")
    if len(indexes) > 3:
        raise GoError(f"too many slice indexes: {len(indexes)}")
    if isinstance(value, str):
        if len(indexes) == 3:
            raise GoError("cannot 3-index slice a string")
        data: Any = to_bytes(value)
    elif isinstance(value, list | bytes):
        data = value
    else:
        raise GoError(f"can't slice item of type {type_of(value)}")
    bounds = [0, len(data)]
    for place, each in enumerate(indexes):
        number = _index_argument(each, len(data))
        if place < 2:
            bounds[place] = number
        elif bounds[1] > number:
            raise GoError(f"invalid slice index: {bounds[1]} > {number}")
    if bounds[0] > bounds[1]:
        raise GoError(f"invalid slice index: {bounds[0]} > {bounds[1]}")
    part = data[bounds[0] : bounds[1]]
    if isinstance(value, str):
        return to_text(part)
    return type(value)(part) if isinstance(value, TypedList) else part


def call(name: str, function: Any, *args: Any) -> Any:
    """``call``: a function that is a value."""
    target = argument(function)
    if target is None:
        raise GoError("call of nil")
    if not isinstance(target, Function):
        raise GoError(f"non-function {name} of type {type_of(target)}")
    wanted = len(target.parameters) - target.variadic
    if len(args) < wanted or (len(args) > wanted and not target.variadic):
        least = "at least " if target.variadic else ""
        raise GoError(f"wrong number of args for {name}: got {len(args)} want {least}{wanted}")
    return target.call(*map(argument, args))


def _negated(value: Any) -> bool:
    return not is_true(argument(value))


def _joined(*operands: Any) -> str:
    return operands[0] if len(operands) == 1 and isinstance(operands[0], str) else sprint(*operands)


def _unreachable(*args: Any) -> Any:
    raise AssertionError("execution short-circuits")


def _values(call: Any, fixed: int, variadic: bool = False) -> Function:
    return Function((VALUE,) * (fixed + variadic), call, variadic)


BUILTINS: Mapping[str, Function] = {
    "and": _values(_unreachable, 1, True),
    "or": _values(_unreachable, 1, True),
    "not": _values(_negated, 1),
    "len": _values(length, 1),
    "index": _values(index, 1, True),
    "slice": _values(slice_of, 1, True),
    "call": _values(call, 1, True),
    "print": Function((ANY,), sprint, True),
    "println": Function((ANY,), sprintln, True),
    "printf": Function(("string", ANY), sprintf, True),
    "html": Function((ANY,), lambda *args: html(_joined(*args)), True),
    "js": Function((ANY,), lambda *args: javascript(_joined(*args)), True),
    "urlquery": Function((ANY,), lambda *args: url_query(_joined(*args)), True),
    "eq": _values(equal, 1, True),
    "ne": _values(unequal, 2),
    "lt": _values(less, 2),
    "le": _values(less_or_equal, 2),
    "gt": _values(greater, 2),
    "ge": _values(greater_or_equal, 2),
}
"""All of them, with the types that their arguments must have."""

SHORT_CIRCUIT = (BUILTINS["and"], BUILTINS["or"])
