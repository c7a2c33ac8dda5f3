"""Functions of lists and maps."""

import math
from collections.abc import Mapping
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import (
    ANY,
    MAP,
    Function,
    ListList,
    StringList,
    TypedList,
    check_size,
    kind_of,
    sorted_items,
    type_of,
    weigh,
)
from tiphys.templating.sprig.casting import NIL_PANIC, int64, is_empty, items, same, text


def chunks(size: int, value: Any) -> ListList:
    """Lists of ``size`` elements."""
    elements = items(value, "chunk")
    if size <= 0:
        raise GoError("runtime error: makeslice: len out of range")
    return ListList(elements[place : place + size] for place in range(0, len(elements), size))


def without(value: Any, *others: Any) -> list[Any]:
    """The elements that equal none of the others."""
    elements = items(value, "find without on")
    _bounded(len(elements), len(others))
    return [item for item in elements if not any(same(other, item) for other in others)]


def unique(value: Any) -> list[Any]:
    """Each element once."""
    found: list[Any] = []
    elements = items(value, "find uniq on")
    weigh(elements)
    for item in elements:
        _bounded(len(elements), len(found))
        if not any(same(item, known) for known in found):
            found.append(item)
    return found


def _bounded(*sizes: int) -> None:
    """A limit on comparisons of each with each."""
    check_size(math.prod(max(size, 1) for size in sizes))


def has(needle: Any, value: Any) -> bool:
    """Whether a list has an element."""
    return value is not None and any(same(needle, item) for item in items(value, "find has on"))


def part(value: Any, *bounds: Any) -> Any:
    """The elements between two positions."""
    if not isinstance(value, list):
        if value is None:
            raise GoError(NIL_PANIC)
        raise GoError(f"list should be type of slice or array but {kind_of(value)}")
    if not value:
        return None
    start = int64(bounds[0]) if bounds else 0
    end = int64(bounds[1]) if len(bounds) > 1 else len(value)
    if not 0 <= start <= end <= len(value):
        raise GoError("reflect.Value.Slice: slice index out of bounds")
    found = value[start:end]
    return type(value)(found) if isinstance(value, TypedList) else found


def concat(*lists: Any) -> list[Any]:
    """One list out of many."""
    found: list[Any] = []
    for value in lists:
        if not isinstance(value, list | bytes):
            if value is None:
                raise GoError(NIL_PANIC)
            raise GoError(f"Cannot concat type {kind_of(value)} as list")
        check_size((len(found) + len(value)) * 8)
        found.extend(value)
    return found


def _end(value: Any, verb: str, place: int) -> Any:
    elements = items(value, f"find {verb} on")
    return elements[place] if elements else None


def _rest(value: Any, verb: str, begin: int, end: int | None) -> Any:
    elements = items(value, f"find {verb} on")
    return elements[begin:end] if elements else []


def make_dict(*parts: Any) -> dict[str, Any]:
    """Keys and values by turns; a last key alone gets an empty text."""
    found = {}
    for place in range(0, len(parts), 2):
        found[text(parts[place])] = parts[place + 1] if place + 1 < len(parts) else ""
    return found


def put(target: Any, key: str, value: Any) -> Any:
    """``set``: changes the map."""
    if target is None:
        raise GoError("assignment to entry in nil map")
    target[key] = value
    return target


def _remove(target: Any, key: str) -> Any:
    if target:
        target.pop(key, None)
    return target


def dig(*parts: Any) -> Any:
    """Down the keys of maps inside maps; a default for what is not there."""
    if len(parts) < 3:
        raise GoError("dig needs at least three arguments")
    *keys, default, found = parts
    for key in keys:
        if not isinstance(key, str):
            raise GoError(f"interface conversion: interface {{}} is {_kind(key)}, not string")
    for key in keys:
        if not isinstance(found, dict):
            raise GoError(f"interface conversion: interface {{}} is {_kind(found)}, not {MAP}")
        if key not in found:
            return default
        found = found[key]
    return found


def _kind(value: Any) -> str:
    return "nil" if value is None else type_of(value)


def merge(target: Any, *sources: Any, overwrite: bool = False) -> Any:
    """The sources' entries in the target, which is changed; without ``overwrite`` only where the target
    has nothing (or something empty)."""
    if target is None:
        target = {}
    weigh((target, *sources))
    for source in sources:
        _merge(target, source or {}, overwrite)
    return target


def _merge(target: dict[str, Any], source: Mapping[str, Any], overwrite: bool) -> None:
    for key, item in source.items():
        if item is None:
            if overwrite:
                target[key] = None
            continue
        known = target.get(key)
        if isinstance(item, dict) and isinstance(known, dict) and known:
            _merge(known, item, overwrite)
        elif overwrite or is_empty(known):
            target[key] = item


def deep_copy(value: Any) -> Any:
    """A copy that shares nothing."""
    weigh(value)
    return _copied(value)


def deep_equal(one: Any, two: Any) -> bool:
    """Equal values of equal types."""
    weigh((one, two))
    return same(one, two)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)((key, _copied(item)) for key, item in value.items())
    if isinstance(value, list):
        return type(value)(map(_copied, value))
    return value


def _keys(*maps: Any) -> StringList:
    # Go's order is none; ours can be told
    return StringList(key for each in maps for key, _ in sorted_items(each or {}))


def _both(name: str, function: Function) -> dict[str, Function]:
    """A function, and its twin that would not panic: in a template both end in an error."""
    return {name: function, f"must{name[0].upper()}{name[1:]}": function}


def functions() -> Mapping[str, Function]:
    """Their table."""
    one, two = (ANY,), (ANY, ANY)
    append = Function(two, lambda value, item: [*items(value, "push on"), item])
    copies = Function(one, deep_copy)
    merges = Function((MAP, MAP), merge, True)
    overwrites = Function((MAP, MAP), lambda *maps: merge(*maps, overwrite=True), True)
    made = Function((ANY,), lambda *values: list(values), True)
    return {
        **_both("append", append),
        **_both("push", append),
        **_both("prepend", Function(two, lambda value, item: [item, *items(value, "prepend on")])),
        **_both("chunk", Function(("int", ANY), chunks)),
        **_both(
            "compact",
            Function(one, lambda value: [each for each in items(value, "compact on") if not is_empty(each)]),
        ),
        **_both("deepCopy", copies),
        **_both("first", Function(one, lambda value: _end(value, "first", 0))),
        **_both("has", Function(two, has)),
        **_both("initial", Function(one, lambda value: _rest(value, "initial", 0, -1))),
        **_both("last", Function(one, lambda value: _end(value, "last", -1))),
        **_both("merge", merges),
        **_both("mergeOverwrite", overwrites),
        **_both("rest", Function(one, lambda value: _rest(value, "rest", 1, None))),
        **_both("reverse", Function(one, lambda value: items(value, "find reverse on")[::-1])),
        **_both("slice", Function(two, part, True)),
        **_both("uniq", Function(one, unique)),
        **_both("without", Function(two, without, True)),
        "concat": Function((ANY,), concat, True),
        "deepEqual": Function(two, deep_equal),
        "dict": Function((ANY,), make_dict, True),
        "dig": Function((ANY,), dig, True),
        "get": Function((MAP, "string"), lambda value, key: (value or {}).get(key, "")),
        "hasKey": Function((MAP, "string"), lambda value, key: key in (value or {})),
        "keys": Function((MAP,), _keys, True),
        "list": made,
        "omit": Function(
            (MAP, "string"),
            lambda value, *keys: {k: v for k, v in (value or {}).items() if k not in keys},
            True,
        ),
        "pick": Function(
            (MAP, "string"), lambda value, *keys: {k: value[k] for k in keys if k in (value or {})}, True
        ),
        "pluck": Function(
            ("string", MAP), lambda key, *maps: [each[key] for each in maps if key in (each or {})], True
        ),
        "set": Function((MAP, "string", ANY), put),
        "tuple": made,
        "unset": Function((MAP, "string"), _remove),
        "values": Function((MAP,), lambda value: [item for _, item in sorted_items(value or {})]),
    }
