"""Arithmetic: whole numbers in 64 bits, floats by way of decimals."""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from random import Random
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.floats import digits_of
from tiphys.templating.gotemplate.printing import sprint
from tiphys.templating.gotemplate.values import ANY, Function, Int64, IntList, check_size, wrap64
from tiphys.templating.sprig.casting import float64, int64

_DIGITS = 1000
_DIVISION = 16  # decimal places of a quotient


def _whole(number: int) -> Int64:
    return Int64(wrap64(number))


def divided(one: Any, two: Any) -> tuple[int, int]:
    """Quotient and remainder as in Go: towards zero."""
    dividend, divisor = int64(one), int64(two)
    if not divisor:
        raise GoError("runtime error: integer divide by zero")
    quotient = abs(dividend) // abs(divisor)
    if (dividend < 0) != (divisor < 0):
        quotient = -quotient
    return quotient, dividend - quotient * divisor


def product(*numbers: Any) -> Int64:
    """All multiplied."""
    found = 1
    for number in numbers:
        found = wrap64(found * int64(number))
    return Int64(found)


def _decimal(value: Any) -> Decimal:
    number = float64(value)
    if not math.isfinite(number):
        raise GoError(f"Cannot create a Decimal from {'NaN' if math.isnan(number) else number:}")
    digits, power = digits_of(number)
    sign = "-" if number < 0 else ""
    return Decimal(f"{sign}{digits}E{power - len(digits) + 1}")


def decimals(operation: Callable[[Decimal, Decimal], Decimal], first: Any, others: tuple[Any, ...]) -> float:
    """The operation over all of them, from the left."""
    with localcontext() as context:
        context.prec = _DIGITS
        found = _decimal(first)
        for other in others:
            found = operation(found, _decimal(other))
        return float(found)


def _quotient(one: Decimal, two: Decimal) -> Decimal:
    if not two:
        raise GoError("decimal division by 0")
    scaled = Fraction(one) / Fraction(two) * 10**_DIVISION
    rounded = math.floor(abs(scaled) + Fraction(1, 2))
    return Decimal(-rounded if scaled < 0 else rounded).scaleb(-_DIVISION)


def rounded(value: Any, places: int, at: float = 0.5) -> float:
    """To some decimal places; ``at``: from which fraction on it goes up."""
    number = float64(value)
    power = math.pow(10, places)
    digit = power * number
    fraction = math.modf(digit)[0]
    if not math.isfinite(digit):
        return digit / power
    return (math.ceil(digit) if fraction >= at else math.floor(digit)) / power


def until_step(start: int, stop: int, step: int) -> IntList:
    """Numbers from ``start`` to before ``stop``."""
    if (stop < start and step >= 0) or (stop >= start and step <= 0):
        return IntList()
    numbers = range(start, stop, step)
    check_size(len(numbers) * 16)
    return IntList(numbers)


def seq(*params: int) -> str:
    """Numbers up to and with the last, like the tool of that name."""
    match params:
        case (end,):
            start, step = 1, -1 if end < 1 else 1
            numbers = until_step(start, end + step, step)
        case (start, end):
            step = -1 if end < start else 1
            numbers = until_step(start, end + step, step)
        case (start, step, end):
            if end < start and step > 0:
                return ""
            numbers = until_step(start, end + (-1 if end < start else 1), step)
        case _:
            return ""
    return " ".join(map(str, numbers))


def _octal(value: Any) -> Int64:
    digits = sprint(value)
    try:
        number = int(digits, 8) if digits.lstrip("+-").isdecimal() else 0
    except ValueError:
        number = 0
    return Int64(number if -(1 << 63) <= number < 1 << 63 else 0)


def _atoi(value: str) -> int:
    try:
        number = int(value) if value.lstrip("+-").isdecimal() and value.isascii() else 0
    except ValueError:
        return 0
    return min(max(number, -(1 << 63)), (1 << 63) - 1)


def _random(random: Random, least: int, limit: int) -> int:
    if limit <= least:
        raise GoError("invalid argument to Intn")
    return random.randrange(least, limit)


def _largest(*numbers: Any) -> Int64:
    return Int64(max(map(int64, numbers)))


def functions(random: Random) -> Mapping[str, Function]:
    """Their table."""
    one, two, many, some = (ANY,), (ANY, ANY), (ANY,), (ANY, ANY)
    return {
        "add": Function(many, lambda *numbers: _whole(sum(map(int64, numbers))), True),
        "add1": Function(one, lambda number: _whole(int64(number) + 1)),
        "add1f": Function(one, lambda number: decimals(Decimal.__add__, number, (1,))),
        "addf": Function(many, lambda *numbers: decimals(Decimal.__add__, 0, numbers), True),
        "atoi": Function(("string",), _atoi),
        "biggest": Function(some, _largest, True),
        "ceil": Function(one, lambda number: _towards(math.ceil, number)),
        "div": Function(two, lambda one, two: _whole(divided(one, two)[0])),
        "divf": Function(some, lambda first, *others: decimals(_quotient, first, others), True),
        "float64": Function(one, float64),
        "floor": Function(one, lambda number: _towards(math.floor, number)),
        "int": Function(one, int64),
        "int64": Function(one, lambda number: Int64(int64(number))),
        "max": Function(some, _largest, True),
        "maxf": Function(some, lambda *numbers: max(map(float64, numbers)), True),
        "min": Function(some, lambda *numbers: Int64(min(map(int64, numbers))), True),
        "minf": Function(some, lambda *numbers: min(map(float64, numbers)), True),
        "mod": Function(two, lambda one, two: _whole(divided(one, two)[1])),
        "mul": Function(some, product, True),
        "mulf": Function(some, lambda first, *others: decimals(Decimal.__mul__, first, others), True),
        "randInt": Function(("int", "int"), lambda least, limit: _random(random, least, limit)),
        "round": Function((ANY, "int", "float64"), rounded, True),
        "seq": Function(("int",), seq, True),
        "sub": Function(two, lambda one, two: _whole(int64(one) - int64(two))),
        "subf": Function(some, lambda first, *others: decimals(Decimal.__sub__, first, others), True),
        "toDecimal": Function(one, _octal),
        "until": Function(("int",), lambda count: until_step(0, count, -1 if count < 0 else 1)),
        "untilStep": Function(("int", "int", "int"), until_step),
    }


def _towards(rounding: Callable[[float], int], value: Any) -> float:
    number = float64(value)
    return math.copysign(rounding(number), number) if math.isfinite(number) else number
