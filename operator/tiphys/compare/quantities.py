"""Quantities as the API server stores them: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``.

The server decodes every quantity of a built-in kind and writes it back in canonical form, so a
manifest must be brought into that form before it can be compared (findings: canonical form of the
suffix family that the author chose; sub-nano digits rounded up). Text that is no quantity is left
alone: the server will refuse it, and its message is better than ours.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

_FORM = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:([eE][+-]?\d+)|([a-zA-Z]*))\Z")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_NANO = 10**9
_MOST = (1 << 63) - 1


def canonical_quantity(value: Any) -> Any:
    """The stored text of a quantity given as text or number; other values unchanged."""
    if type(value) is str:
        return _canonical(value)
    if type(value) is int or type(value) is float:
        return _canonical(format(value, "d") if type(value) is int else repr(value))
    return value


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    match = _FORM.match(text.strip())
    if match is None or not (match[2] or match[3]):
        return text
    sign, whole, fraction, exponent, suffix = match.groups(default="")
    number = Fraction(int((whole + fraction) or "0"), 10 ** len(fraction))
    decimal_exponent = False
    binary = False
    if exponent:
        power = int(exponent[1:])
        if abs(power) > 30:
            return text
        number *= Fraction(10) ** power
        decimal_exponent = True
    elif suffix in _DECIMAL:
        number *= Fraction(10) ** _DECIMAL[suffix]
    elif suffix in _BINARY:
        number *= 1024 ** _BINARY[suffix]
        binary = True
    else:
        return text
    nanos = -(-number.numerator * _NANO // number.denominator)  # rounded up, away from zero
    if nanos == 0:
        return "0"
    if nanos > _MOST * _NANO:
        nanos = _MOST * _NANO
    minus = "-" if sign == "-" else ""
    if binary and nanos >= 1024 * _NANO:
        amount, power = -(-nanos // _NANO), 0
        while amount % 1024 == 0 and power < 6:
            amount //= 1024
            power += 1
        return f"{minus}{amount}{_BINARY_SUFFIX.get(power, '')}"
    amount, scale = nanos, -9
    while amount % 1000 == 0 and scale < 18:
        amount //= 1000
        scale += 3
    if decimal_exponent:
        return f"{minus}{amount}{f'e{scale}' if scale else ''}"
    return f"{minus}{amount}{_DECIMAL_SUFFIX[scale]}"
