"""Go's values in Python, and their types' names.

======================  ==============================================
Go                      Python
======================  ==============================================
``int``                 ``int``
``int64``, ``int32``…   :class:`Int64`, … (subclasses of ``int``)
``float64``             ``float``
``string``              ``str``; bytes that are no UTF-8 as surrogates
``[]byte``              ``bytes``
``[]interface {}``      ``list``
``[]string``, ``[]int`` :class:`StringList`, :class:`IntList`
``map[string]any``      ``dict``
``map[string]string``   :class:`StringMap`
structs                 :class:`GoObject`
nil                     ``None``
======================  ==============================================

While a template runs there are two more, as in Go's ``reflect``: :data:`NO_VALUE` (no value at all, what
a missing key gives) and :class:`Boxed` (what was found inside an ``interface {}``: errors name that type).

JSON has only one kind of number: data that the reference reads into ``interface {}`` (parameters of
ApplicationSets) goes through :func:`from_json`, objects of Kubernetes through :func:`from_kubernetes`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.limits import WEIGHT

ANY = "interface {}"
VALUE = "reflect.Value"
LIST = "[]interface {}"
MAP = "map[string]interface {}"
STRING_MAP = "map[string]string"


class Int64(int):
    """Go's ``int64``."""

    go_type = "int64"


class Int32(int):
    """Go's ``int32`` (also ``rune``)."""

    go_type = "int32"


class Uint8(int):
    """Go's ``uint8``: a byte of a string."""

    go_type = "uint8"


class Uint32(int):
    """Go's ``uint32``."""

    go_type = "uint32"


class TypedList(list[Any]):
    """A slice whose elements have a type of their own."""

    element = ANY


class StringList(TypedList):
    """``[]string``."""

    element = "string"


class IntList(TypedList):
    """``[]int``."""

    element = "int"


class ListList(TypedList):
    """``[][]interface {}``."""

    element = LIST


class ListMap(TypedList):
    """``[]map[string]interface {}``."""

    element = MAP


class StringMap(dict[str, str]):
    """``map[string]string``."""


class GoObject:
    """A struct, or another value with methods.

    Attributes:
        go_type: the name of its type.
    """

    go_type = "struct {}"

    def go_fields(self) -> Mapping[str, Any]:
        """The exported fields."""
        return {}

    def go_methods(self) -> Mapping[str, "Function"]:
        """The exported methods."""
        return {}

    def go_string(self) -> str | None:
        """What its ``String`` method gives; None without one."""
        return None


class Function(msgspec.Struct, frozen=True, eq=False):
    """A function that templates may call.

    Attributes:
        parameters: the names of the types; of a variadic function the last is that of its elements.
        call: gets the arguments; raises GoError.
        cost: how many steps a call counts for.
    """

    parameters: tuple[str, ...]
    call: Callable[..., Any]
    variadic: bool = False
    cost: int = 1

    go_type = "func"


class _NoValue:
    __slots__ = ()

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE = _NoValue()


class Boxed:
    """A value inside an ``interface {}``."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def unbox(value: Any) -> Any:
    """The value itself; NO_VALUE for nil."""
    if type(value) is Boxed:
        value = value.value
        return NO_VALUE if value is None else value
    return value


def argument(value: Any) -> Any:
    """The value as a function sees it: None for nil and for no value."""
    if type(value) is Boxed:
        value = value.value
    return None if value is NO_VALUE else value


def type_of(value: Any) -> str:
    """The name of a value's type, as ``%T`` prints it."""
    kind = type(value)
    known = _NAMES.get(kind)
    if known is not None:
        return known
    if isinstance(value, TypedList):
        return f"[]{value.element}"
    if isinstance(value, dict):
        return MAP
    if isinstance(value, list | tuple):
        return LIST
    return str(getattr(value, "go_type", kind.__name__))


_NAMES: Mapping[type, str] = {
    type(None): "<nil>",
    bool: "bool",
    int: "int",
    float: "float64",
    complex: "complex128",
    str: "string",
    bytes: "[]uint8",
    list: LIST,
    dict: MAP,
    StringMap: STRING_MAP,
}


def kind_of(value: Any) -> str:
    """The name of a value's kind: as ``reflect.Kind`` prints it."""
    if value is None or value is NO_VALUE:
        return "invalid"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return str(getattr(value, "go_kind", None) or getattr(value, "go_type", "int"))
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "map"
    if isinstance(value, list | tuple | bytes):
        return "slice"
    if isinstance(value, Function):
        return "func"
    return "ptr" if str(getattr(value, "go_type", "")).startswith("*") else "struct"


def is_true(value: Any) -> bool:
    """Go's truth: not the zero value, not empty."""
    if value is NO_VALUE or value is None:
        return False
    if isinstance(value, GoObject | Function):
        return True
    return bool(value)


def to_bytes(text: str) -> bytes:
    """The bytes of a Go string."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """The Go string of some bytes."""
    return data.decode("utf-8", "surrogateescape")


def wrap64(number: int) -> int:
    """What 64 bits keep of a number."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >= 1 << 63 else number


def weigh(value: Any, limit: int = WEIGHT) -> None:
    """Refuse a value that is too large to walk through: shared parts count as often as they occur, and
    a value inside itself is infinite.

    Raises:
        GoError: larger than ``limit``.
    """
    left = limit
    pending = [value]
    while pending:
        item = pending.pop()
        left -= 16
        if isinstance(item, str | bytes):
            left -= len(item)
        elif isinstance(item, dict):
            left -= 16 * len(item)
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)
        if left < 0 or len(pending) * 16 > limit:
            raise GoError("value too large")


def check_size(size: int) -> None:
    """Refuse to make a string or list of that size.

    Raises:
        GoError: larger than WEIGHT.
    """
    if size > WEIGHT:
        raise GoError("value too large")


def from_json(value: Any) -> Any:
    """JSON data as Go reads it into ``interface {}``: every number a float64. Makes a copy."""
    return _converted(value, float)


def from_kubernetes(value: Any) -> Any:
    """An object's data as Kubernetes' libraries read it: whole numbers int64. Makes a copy."""
    return _converted(value, Int64)


def _converted(value: Any, number: Callable[[int], Any]) -> Any:
    kind = type(value)
    if kind is str or value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return number(value)
    if isinstance(value, StringMap):
        return StringMap(value)
    if isinstance(value, dict):
        return {key: _converted(item, number) for key, item in value.items()}
    if isinstance(value, StringList):
        return StringList(value)
    if isinstance(value, list | tuple):
        return [_converted(item, number) for item in value]
    return value


def sorted_items(value: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """The items of a map in the order in which Go prints and ranges over them (bytes of the keys)."""
    try:
        return sorted(value.items(), key=lambda item: to_bytes(item[0]))
    except (TypeError, AttributeError):
        return sorted(value.items(), key=lambda item: str(item[0]))
