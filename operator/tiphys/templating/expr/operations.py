"""Operators and members: what they do with which types."""

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.expr.errors import Mistake
from tiphys.templating.expr.scope import ITEMS
from tiphys.templating.gotemplate.values import Function, GoObject, check_size, type_of
from tiphys.templating.sprig import regexes
from tiphys.templating.sprig.dates import Duration, Moment, added


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none, durations neither."""
    return isinstance(value, int | float) and not isinstance(value, bool | Duration)


def wrong(operator: str, one: Any, two: Any) -> Mistake:
    """Types that an operator does not take."""
    return Mistake(f"invalid operation: {operator} (mismatched types {type_of(one)} and {type_of(two)})")


def truth(value: Any) -> bool:
    """A condition.

    Raises:
        Mistake: not true or false.
    """
    if not isinstance(value, bool):
        shown = "nil" if value is None else type_of(value)
        raise Mistake(f"interface conversion: interface {{}} is {shown}, not bool")
    return value


def equal(one: Any, two: Any) -> bool:
    """``==``: numbers by value, everything else also by type."""
    if is_number(one) and is_number(two):
        return bool(one == two)
    if isinstance(one, Moment) and isinstance(two, Moment):
        return one.at == two.at
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(equal(item, two[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(equal, one, two))
    if isinstance(one, bool) or isinstance(two, bool) or type_of(one) != type_of(two):
        return one is two
    return bool(one == two)


def _less(one: Any, two: Any) -> bool:
    both_numbers = is_number(one) and is_number(two)
    same = type(one) is type(two) and isinstance(one, str | Duration)
    if both_numbers or same:
        return bool(one < two)
    if isinstance(one, Moment) and isinstance(two, Moment):
        return one.at < two.at
    raise wrong("<", one, two)


def plus(one: Any, two: Any) -> Any:
    """``+``"""
    if is_number(one) and is_number(two):
        return one + two
    if isinstance(one, str) and isinstance(two, str):
        check_size(len(one) + len(two))
        return one + two
    if isinstance(one, Moment) and isinstance(two, Duration):
        return added(one, two)
    if isinstance(one, Duration) and isinstance(two, Moment):
        return added(two, one)
    if isinstance(one, Duration) and isinstance(two, Duration):
        return Duration(one + two)
    raise wrong("+", one, two)


def minus(one: Any, two: Any) -> Any:
    """``-``"""
    if is_number(one) and is_number(two):
        return one - two
    if isinstance(one, Moment) and isinstance(two, Moment):
        return Duration((one.at - two.at) // timedelta(microseconds=1) * 1000)
    if isinstance(one, Moment) and isinstance(two, Duration):
        return added(one, -two)
    if isinstance(one, Duration) and isinstance(two, Duration):
        return Duration(one - two)
    raise wrong("-", one, two)


def _times(one: Any, two: Any) -> Any:
    if is_number(one) and is_number(two):
        return one * two
    if isinstance(one, Duration) and is_number(two):
        return Duration(int(one * two))
    if is_number(one) and isinstance(two, Duration):
        return Duration(int(one * two))
    raise wrong("*", one, two)


def _over(one: Any, two: Any) -> float:
    if not (is_number(one) and is_number(two)):
        raise wrong("/", one, two)
    if not two:
        return math.nan if not one else math.copysign(math.inf, one)
    return float(one / two)


def _modulo(one: Any, two: Any) -> int:
    if not (is_number(one) and is_number(two)) or isinstance(one, float) or isinstance(two, float):
        raise wrong("%", one, two)
    if not two:
        raise Mistake("runtime error: integer divide by zero")
    return int(math.fmod(one, two)) if abs(one) < 1 << 53 else one - int(one / two) * two


def _power(one: Any, two: Any) -> float:
    if not (is_number(one) and is_number(two)):
        raise wrong("**", one, two)
    try:
        return math.pow(one, two)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def within(item: Any, container: Any) -> bool:
    """``in``: an element of a list, a key of a map, a field of an object."""
    if container is None:
        return False
    if isinstance(container, list):
        return any(equal(item, other) for other in container)
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    if isinstance(container, GoObject):
        return isinstance(item, str) and item in container.go_fields()
    raise Mistake(f'operator "in" not defined on {type_of(container)}')


def _range(one: Any, two: Any) -> list[int]:
    if not (is_number(one) and is_number(two)):
        raise wrong("..", one, two)
    if two - one >= ITEMS:
        raise Mistake("memory budget exceeded")
    return list(range(int(one), int(two) + 1))


def _of_texts(operator: str, call: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def checked(one: Any, two: Any) -> bool:
        if not (isinstance(one, str) and isinstance(two, str)):
            raise wrong(operator, one, two)
        return call(one, two)

    return checked


def _matches(text: str, pattern: str) -> bool:
    try:
        return regexes.compiled(pattern).search(text) is not None
    except GoError as error:
        raise Mistake(str(error)) from None


BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": equal,
    "!=": lambda one, two: not equal(one, two),
    "<": _less,
    ">": lambda one, two: _less(two, one),
    "<=": lambda one, two: not _less(two, one),
    ">=": lambda one, two: not _less(one, two),
    "in": within,
    "contains": _of_texts("contains", lambda text, part: part in text),
    "startsWith": _of_texts("startsWith", lambda text, part: text.startswith(part)),
    "endsWith": _of_texts("endsWith", lambda text, part: text.endswith(part)),
    "matches": _of_texts("matches", _matches),
    "..": _range,
    "+": plus,
    "-": minus,
    "*": _times,
    "/": _over,
    "%": _modulo,
    "**": _power,
    "^": _power,
}


def negative(value: Any) -> Any:
    """``-x``"""
    if not is_number(value):
        raise Mistake(f"invalid operation: - {type_of(value)}")
    return -value


def positive(value: Any) -> Any:
    """``+x``"""
    if not is_number(value):
        raise Mistake(f"invalid operation: + {type_of(value)}")
    return value


def member(value: Any, key: Any) -> Any:
    """``value.key`` and ``value[key]``.

    Raises:
        Mistake: nothing of that name, or no such element.
    """
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list | str) and is_number(key):
        place = int(key) + (len(value) if key < 0 else 0)
        if not 0 <= place < len(value):
            raise Mistake(f"index out of range: {int(key)} (array length is {len(value)})")
        return value[place]
    methods = getattr(value, "go_methods", None)
    if methods is not None and isinstance(key, str):
        method = methods().get(key)
        if method is not None:
            return method
        fields = value.go_fields()
        if key in fields:
            return fields[key]
    raise Mistake(f"cannot fetch {key} from {type_of(value)}")


def part(value: Any, begin: Any, end: Any) -> Any:
    """``value[begin:end]``"""
    if not isinstance(value, list | str):
        raise Mistake(f"cannot slice {type_of(value)}")
    size = len(value)
    bounds = []
    for bound, default in ((begin, 0), (end, size)):
        number = default if bound is None else bound
        if not is_number(number):
            raise Mistake(f"invalid slice index {type_of(bound)}")
        bounds.append(min(int(number) + (size if number < 0 else 0), size))
    if bounds[0] < 0 or bounds[1] < 0:
        raise Mistake("slice bounds out of range")
    return value[bounds[0] : max(bounds)] if bounds[0] <= bounds[1] else value[:0]


def call(function: Any, args: list[Any]) -> Any:
    """A function that is a value.

    Raises:
        Mistake: no function, the wrong number of arguments, or its own error.
    """
    if not isinstance(function, Function):
        raise Mistake(f"cannot call {type_of(function)}")
    wanted = len(function.parameters) - function.variadic
    if len(args) < wanted:
        raise Mistake("not enough arguments to call")
    if len(args) > wanted and not function.variadic:
        raise Mistake("too many arguments to call")
    for place, value in enumerate(args):
        kind = function.parameters[min(place, len(function.parameters) - 1)]
        if kind not in ("interface {}", type_of(value)):
            raise Mistake(f"cannot use {type_of(value)} as argument (type {kind}) to call")
    try:
        return function.call(*args)
    except GoError as error:
        raise Mistake(str(error)) from None
