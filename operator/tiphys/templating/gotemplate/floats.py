"""Floats as Go writes them (``strconv.FormatFloat``)."""

import math

EXPONENT_FROM = 6


def digits_of(number: float) -> tuple[str, int]:
    """The shortest digits that mean a finite number, and the exponent of the first of them."""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = len(whole) - 1 + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    if not stripped:
        return "0", 0
    power -= len(digits) - len(stripped)
    return stripped.rstrip("0") or "0", power


def format_float(number: float, verb: str = "g", precision: int | None = None) -> str:
    """A float by one of the verbs ``e E f F g G``; without a precision the shortest text that means it."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if precision is not None:
        return f"%.{precision}{verb}" % number
    sign = "-" if math.copysign(1, number) < 0 else ""
    digits, power = digits_of(number)
    # a million is 1e+06, although its digits would fit
    if verb in "fF" or (verb in "gG" and -4 <= power < EXPONENT_FROM):
        return sign + _plain(digits, power)
    mark = "E" if verb in "EG" else "e"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}{mark}{'-' if power < 0 else '+'}{abs(power):02d}"


def _plain(digits: str, power: int) -> str:
    if power < 0:
        return "0." + "0" * (-power - 1) + digits
    if len(digits) <= power + 1:
        return digits + "0" * (power + 1 - len(digits))
    return f"{digits[: power + 1]}.{digits[power + 1 :]}"
