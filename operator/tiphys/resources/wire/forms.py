"""Plain values that have a message of their own on the wire: times, free JSON, int-or-string.

Written as content for the runtime's constructors (``dict``), read from its messages (api.md 6).
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from tiphys.resources.meta import NO_TIME
from tiphys.resources.times import Timestamp, from_timestamp, to_timestamp

Content = dict[str, Any]

ZERO_TIME = -62135596800
"""Seconds of Go's zero time, 1 January of the year 1."""

_json = msgspec.json.Encoder(order="deterministic")


@lru_cache(4096)
def _seconds(text: str) -> int:
    return int(from_timestamp(text).timestamp() // 1)


@lru_cache(4096)
def time_text(seconds: int) -> Timestamp:
    """The text of seconds since 1970.

    Raises:
        ValueError, OverflowError, OSError: no year between 1 and 9999.
    """
    return to_timestamp(datetime.fromtimestamp(seconds, UTC))


def time_content(text: str) -> Content:
    """``Time``: whole seconds, ``nanos`` always written; the zero time is an empty message.

    Raises:
        ValueError: no RFC 3339 text.
    """
    if not text or (seconds := _seconds(text)) == ZERO_TIME:
        return {}
    return {"seconds": seconds, "nanos": 0}


def time_value(message: Any) -> Timestamp:
    """The text of a ``Time``; nanoseconds are ignored.

    Raises:
        ValueError, OverflowError, OSError: no year between 1 and 9999.
    """
    seconds: int = message.seconds
    if seconds == ZERO_TIME or not (seconds or message.HasField("seconds") or message.HasField("nanos")):
        return NO_TIME
    return time_text(seconds)


def micro_time_content(text: str) -> Content:
    """``MicroTime``: like ``Time``, with microseconds.

    Raises:
        ValueError: no RFC 3339 text.
    """
    if not text:
        return {}
    moment = from_timestamp(text)
    return {"seconds": int(moment.timestamp() // 1), "nanos": moment.microsecond * 1000}


def micro_time_value(message: Any) -> Timestamp:
    """The text of a ``MicroTime``, always with six decimals."""
    seconds: int = message.seconds
    if seconds == ZERO_TIME or not (seconds or message.HasField("seconds") or message.HasField("nanos")):
        return NO_TIME
    micros = message.nanos // 1000
    if not 0 <= micros < 1_000_000:
        raise ValueError("nanoseconds out of range")
    return Timestamp(f"{time_text(seconds)[:-1]}.{micros:06}Z")


def json_content(value: Any) -> Content:
    """``RawExtension`` and ``JSON``: the JSON text; ``null`` is an empty message."""
    return {} if value is None else {"raw": _json.encode(value)}


def json_value(message: Any) -> Any:
    """What the JSON text of such a message says.

    Raises:
        msgspec.DecodeError: it is no JSON.
    """
    return msgspec.json.decode(message.raw) if message.raw else None


def object_value(message: Any) -> dict[str, Any] | None:
    """The same where only an object makes sense.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    value = json_value(message)
    if value is not None and not isinstance(value, dict):
        raise msgspec.DecodeError("free JSON must be an object here")
    return value


def int_or_string_content(value: int | str) -> Content:
    """``IntOrString``: all three fields are always written."""
    if isinstance(value, str):
        return {"type": 1, "intVal": 0, "strVal": value}
    return {"type": 0, "intVal": value, "strVal": ""}


def int_or_string_value(message: Any) -> int | str:
    """The number or the text, as the type says."""
    value: int | str = message.strVal if message.type == 1 else message.intVal
    return value
