"""Instants as the API writes them: RFC 3339, UTC, whole seconds.

API fields hold times as text (``Timestamp``), so that an object read and written back is
unchanged; arithmetic happens on aware ``datetime`` values given by the caller's clock.
"""

from datetime import UTC, datetime
from typing import NewType

Timestamp = NewType("Timestamp", str)
"""RFC 3339 text such as ``2026-01-31T12:00:00Z``."""


def to_timestamp(moment: datetime) -> Timestamp:
    """Text of an aware ``datetime``, in UTC with second precision."""
    return Timestamp(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def from_timestamp(text: str) -> datetime:
    """The aware ``datetime`` of RFC 3339 text (fractions and offsets allowed).

    Raises:
        ValueError: the text is no RFC 3339 time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset")
    return moment.astimezone(UTC)
