"""Kubernetes quantities as milli-units."""

from decimal import Decimal, InvalidOperation

_FACTORS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def millis(quantity: object) -> int:
    """``"100m"`` → 100, ``"1Gi"`` → 1073741824000; rounded up; unreadable → 0."""
    text = str(quantity)
    number = text.rstrip("numkMGTPEKi")
    suffix = text[len(number) :]
    if suffix not in _FACTORS:  # 1e3, 1E3: an exponent
        number, suffix = text, ""
    try:
        value = Decimal(number) * _FACTORS[suffix] * 1000
    except InvalidOperation:
        return 0
    whole = int(value)
    return whole if value == whole or value < 0 else whole + 1
