"""Health values: six codes, their order, and one struct (health-and-resources.md 1.1)."""

from typing import Any

import msgspec

HEALTHY = "Healthy"
SUSPENDED = "Suspended"
PROGRESSING = "Progressing"
MISSING = "Missing"
DEGRADED = "Degraded"
UNKNOWN = "Unknown"

CODES = (HEALTHY, SUSPENDED, PROGRESSING, MISSING, DEGRADED, UNKNOWN)
"""From best to worst."""

_RANKS = {code: rank for rank, code in enumerate(CODES)}


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """The health of one object. ``error`` says that the assessment itself failed (``status`` is
    then ``Unknown`` and ``message`` the same text): the caller makes it a condition, too. An
    empty status comes from a script that returned nothing."""

    status: str = ""
    message: str = ""
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """``{"status", "message"}``, each only when not empty."""
        value = {"status": self.status, "message": self.message}
        return {key: text for key, text in value.items() if text}


def rank(status: str) -> int:
    """0 for ``Healthy`` to 5 for ``Unknown``; an unrecognised or empty code is 0."""
    return _RANKS.get(status, 0)


def is_worse(current: str, new: str) -> bool:
    """Whether ``new`` is strictly worse than ``current``."""
    return rank(new) > rank(current)


def failed(text: str) -> Health:
    """The health of an object whose assessment failed."""
    return Health(UNKNOWN, text, error=text)
