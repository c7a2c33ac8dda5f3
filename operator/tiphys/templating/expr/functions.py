"""The functions of the language: plain ones over values, and those with a predicate."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.expr.errors import Mistake
from tiphys.templating.expr.operations import equal, is_number, truth
from tiphys.templating.expr.scope import Compute, Element, Scope
from tiphys.templating.gotemplate.printing import text_of
from tiphys.templating.gotemplate.values import sorted_items, type_of, weigh
from tiphys.templating.sprig import encodings, strings, times
from tiphys.templating.sprig.casting import SPACE
from tiphys.templating.sprig.dates import Duration, Moment, zone_of
from tiphys.templating.sprig.json_texts import parse_json, to_json

_DATES = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)


def _invalid(name: str, *values: Any) -> Mistake:
    kinds = ", ".join(type_of(value) for value in values)
    return Mistake(f"invalid argument for {name} (type {kinds})")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(name, value)
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(name, value)
    return value


def _map(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(name, value)
    return value


def _number(name: str, value: Any) -> Any:
    if not is_number(value):
        raise _invalid(name, value)
    return value


def _length(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise _invalid("len", value)


def _int(value: Any) -> int:
    if is_number(value):
        return int(value)
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            raise Mistake(f'invalid operation: int("{value}")') from None
    raise _invalid("int", value)


def _float(value: Any) -> float:
    if is_number(value):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise Mistake(f'invalid operation: float("{value}")') from None
    raise _invalid("float", value)


def _kind(value: Any) -> str:
    kinds = {bool: "bool", str: "string", float: "float", type(None): "nil"}
    if type(value) in kinds:
        return kinds[type(value)]
    if isinstance(value, Duration):
        return "time.Duration"
    if isinstance(value, int):
        return "int"
    if isinstance(value, dict):
        return "map"
    return "array" if isinstance(value, list) else type_of(value)


def _trim(value: Any, cut: Any = None) -> str:
    return _text("trim", value).strip(SPACE if cut is None else _text("trim", cut))


def _cut(name: str, value: Any, part: Any, cut: Callable[[str, str], str]) -> str:
    return cut(_text(name, value), _text(name, part))


def _repeated(value: Any, count: Any) -> str:
    return strings.repeat(int(_number("repeat", count)), _text("repeat", value))


def _split(value: Any, mark: Any, count: Any = -1) -> list[str]:
    return strings.split(_text("split", mark), _text("split", value), _number("split", count))


def _joined(value: Any, mark: Any = "") -> str:
    return strings.join(_text("join", mark), [_text("join", each) for each in _list("join", value)])


def _extreme(name: str, choose: Callable[[Iterable[Any]], Any], *values: Any) -> Any:
    numbers = [each for value in values for each in (value if isinstance(value, list) else [value])]
    if not numbers:
        raise Mistake(f"not enough arguments to call {name}")
    return choose(_number(name, each) for each in numbers)


def _rounded(value: Any) -> float:
    number = float(_number("round", value))
    return math.copysign(math.floor(abs(number) + 0.5), number) if math.isfinite(number) else number


def _whole(name: str, rounding: Callable[[float], int], value: Any) -> float:
    number = float(_number(name, value))
    return float(rounding(number)) if math.isfinite(number) else number


def _flat(value: Any) -> list[Any]:
    found: list[Any] = []
    for each in _list("flatten", value):
        found.extend(_flat(each) if isinstance(each, list) else [each])
    return found


def _unique(value: Any) -> list[Any]:
    found: list[Any] = []
    for each in _list("uniq", value):
        if len(found) > 1000:
            raise Mistake("memory budget exceeded")
        if not any(equal(each, other) for other in found):
            found.append(each)
    return found


def _sorted(value: Any, order: Any = "asc") -> list[Any]:
    try:
        return sorted(_list("sort", value), reverse=order == "desc")
    except TypeError:
        raise _invalid("sort", value) from None


def _end(name: str, place: int, value: Any) -> Any:
    elements = _list(name, value)
    return elements[place] if elements else None


def _duration(text: Any) -> Duration:
    try:
        return Duration(times.parse_duration(_text("duration", text)))
    except ValueError as error:
        raise Mistake(str(error)) from None


def _date(value: Any, layout: Any = None, zone: Any = "UTC") -> Moment:
    text = _text("date", value)
    layouts = _DATES if layout is None else (_text("date", layout),)
    place = zone_of(_text("date", zone), UTC)
    for each in layouts:
        try:
            return Moment(times.parsed(each, text, place))
        except ValueError as error:
            refusal = str(error)
    raise Mistake(f"invalid date {text}" if layout is None else refusal)


def _from_json(value: Any) -> Any:
    return parse_json(_text("fromJSON", value))


def _decoded(value: Any) -> str:
    try:
        return encodings.decode64(_text("fromBase64", value)).decode("utf-8", "surrogateescape")
    except ValueError as error:
        raise Mistake(str(error)) from None


def _encoded(value: Any) -> str:
    return str(encodings.functions()["b64enc"].call(_text("toBase64", value)))


PLAIN: Mapping[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": (1, 1, lambda value: abs(_number("abs", value))),
    "ceil": (1, 1, lambda value: _whole("ceil", math.ceil, value)),
    "concat": (1, 99, lambda *lists: [each for value in lists for each in _list("concat", value)]),
    "date": (1, 3, _date),
    "duration": (1, 1, _duration),
    "first": (1, 1, lambda value: _end("first", 0, value)),
    "flatten": (1, 1, _flat),
    "float": (1, 1, _float),
    "floor": (1, 1, lambda value: _whole("floor", math.floor, value)),
    "fromBase64": (1, 1, _decoded),
    "fromJSON": (1, 1, _from_json),
    "get": (2, 2, lambda value, key: value.get(key) if isinstance(value, dict) else _element(value, key)),
    "hasPrefix": (2, 2, lambda value, part: _text("hasPrefix", value).startswith(_text("hasPrefix", part))),
    "hasSuffix": (2, 2, lambda value, part: _text("hasSuffix", value).endswith(_text("hasSuffix", part))),
    "indexOf": (2, 2, lambda value, part: _text("indexOf", value).find(_text("indexOf", part))),
    "int": (1, 1, _int),
    "join": (1, 2, _joined),
    "keys": (1, 1, lambda value: [key for key, _ in sorted_items(_map("keys", value))]),
    "last": (1, 1, lambda value: _end("last", -1, value)),
    "lastIndexOf": (2, 2, lambda value, part: _text("lastIndexOf", value).rfind(_text("lastIndexOf", part))),
    "len": (1, 1, _length),
    "lower": (1, 1, lambda value: _text("lower", value).lower()),
    "max": (1, 99, lambda *values: _extreme("max", max, *values)),
    "min": (1, 99, lambda *values: _extreme("min", min, *values)),
    "repeat": (2, 2, _repeated),
    "replace": (
        3,
        3,
        lambda value, old, new: strings.replace(
            _text("replace", old), _text("replace", new), _text("replace", value)
        ),
    ),
    "reverse": (1, 1, lambda value: _list("reverse", value)[::-1]),
    "round": (1, 1, _rounded),
    "sort": (1, 2, _sorted),
    "split": (2, 3, _split),
    "string": (1, 1, text_of),
    "take": (2, 2, lambda value, count: _list("take", value)[: max(int(_number("take", count)), 0)]),
    "toBase64": (1, 1, _encoded),
    "toJSON": (1, 1, lambda value: to_json(value, indent=2)),
    "trim": (1, 2, _trim),
    "trimPrefix": (2, 2, lambda value, part: _cut("trimPrefix", value, part, str.removeprefix)),
    "trimSuffix": (2, 2, lambda value, part: _cut("trimSuffix", value, part, str.removesuffix)),
    "type": (1, 1, _kind),
    "uniq": (1, 1, _unique),
    "upper": (1, 1, lambda value: _text("upper", value).upper()),
    "values": (1, 1, lambda value: [item for _, item in sorted_items(_map("values", value))]),
}
"""Their fewest and most arguments."""


def _element(value: Any, key: Any) -> Any:
    if isinstance(value, list) and is_number(key) and -len(value) <= key < len(value):
        return value[int(key)]
    return None


def plain(name: str, values: list[Any]) -> Any:
    """A function over values.

    Raises:
        Mistake: wrong arguments.
    """
    weigh(values)
    try:
        return PLAIN[name][2](*values)
    except GoError as error:
        raise Mistake(str(error)) from None


def _over(scope: Scope, elements: list[Any], predicate: Compute) -> Iterable[tuple[Any, Any]]:
    """Each element with what the predicate makes of it."""
    for index, value in enumerate(elements):
        yield value, applied(scope, predicate, Element(value, index))


def applied(scope: Scope, predicate: Compute, element: Element) -> Any:
    """A predicate over one element."""
    scope.step()
    scope.elements.append(element)
    try:
        return predicate(scope)
    finally:
        scope.elements.pop()


def _find(scope: Scope, elements: list[Any], predicate: Compute, *, last: bool, place: bool) -> Any:
    places = range(len(elements) - 1, -1, -1) if last else range(len(elements))
    for index in places:
        if truth(applied(scope, predicate, Element(elements[index], index))):
            return index if place else elements[index]
    return None


def _grouped(scope: Scope, elements: list[Any], predicate: Compute) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for value, key in _over(scope, elements, predicate):
        if isinstance(key, dict | list):
            raise _invalid("groupBy", key)
        found.setdefault(key, []).append(value)
    return found


def _sorted_by(scope: Scope, elements: list[Any], predicate: Compute) -> list[Any]:
    pairs = [(key, value) for value, key in _over(scope, elements, predicate)]
    try:
        return [value for _, value in sorted(pairs, key=lambda pair: pair[0])]
    except TypeError:
        raise _invalid("sortBy", elements) from None


def _sum(scope: Scope, elements: list[Any], predicate: Compute) -> Any:
    return sum(_number("sum", made) for _, made in _over(scope, elements, predicate))


WITH_PREDICATE: Mapping[str, Callable[[Scope, list[Any], Compute], Any]] = {
    "all": lambda scope, elements, test: all(truth(made) for _, made in _over(scope, elements, test)),
    "any": lambda scope, elements, test: any(truth(made) for _, made in _over(scope, elements, test)),
    "count": lambda scope, elements, test: sum(truth(made) for _, made in _over(scope, elements, test)),
    "filter": lambda scope, elements, test: [
        value for value, made in _over(scope, elements, test) if truth(made)
    ],
    "find": lambda scope, elements, test: _find(scope, elements, test, last=False, place=False),
    "findIndex": lambda scope, elements, test: _find(scope, elements, test, last=False, place=True),
    "findLast": lambda scope, elements, test: _find(scope, elements, test, last=True, place=False),
    "findLastIndex": lambda scope, elements, test: _find(scope, elements, test, last=True, place=True),
    "groupBy": _grouped,
    "map": lambda scope, elements, test: [made for _, made in _over(scope, elements, test)],
    "none": lambda scope, elements, test: not any(truth(made) for _, made in _over(scope, elements, test)),
    "one": lambda scope, elements, test: sum(truth(made) for _, made in _over(scope, elements, test)) == 1,
    "sortBy": _sorted_by,
    "sum": _sum,
}
"""Functions of a list and a predicate."""

OPTIONAL_PREDICATE = ("count", "sum")


def elements_of(name: str, value: Any) -> list[Any]:
    """The list that a function with a predicate goes over."""
    return _list(name, value)
