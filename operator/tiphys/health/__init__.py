"""Health: what a live object's state means, and what that means for its Application."""

from tiphys.health.aggregate import AppHealth, HealthItem, aggregate
from tiphys.health.assessing import assess
from tiphys.health.model import (
    DEGRADED,
    HEALTHY,
    MISSING,
    PROGRESSING,
    SUSPENDED,
    UNKNOWN,
    Health,
    is_worse,
)

__all__ = [
    "DEGRADED",
    "HEALTHY",
    "MISSING",
    "PROGRESSING",
    "SUSPENDED",
    "UNKNOWN",
    "AppHealth",
    "Health",
    "HealthItem",
    "aggregate",
    "assess",
    "is_worse",
]
