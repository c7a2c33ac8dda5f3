"""Structured logs on standard error (operations.md 7.1).

Code logs through the standard library: ``log = get_logger(__name__)`` and
``log.info("text", extra={"app": "argocd/guestbook", "revision": sha})``. The formatter turns a
record into one line, JSON by default: ``time``, ``level``, ``msg`` and the fields. ``app`` is
written as the reference's ``application``, ``app-namespace`` (and any other extra as it is).
``bound`` binds fields to a piece of work, so that every line logged inside, by any room, carries
them. Every line passes a ``Redactor``, messages, fields and tracebacks alike.

``configure`` is called once by the composition root; importing this changes nothing.
"""

import contextvars
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

from tiphys.telemetry.golayout import write_time
from tiphys.telemetry.redaction import Redactor

LEVELS: Mapping[str, int] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
"""Values of ``--loglevel``."""

FORMATS = ("json", "text")
"""Values of ``--logformat``."""

RFC_3339 = "2006-01-02T15:04:05Z07:00"

_LEVEL_NAMES = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}

_fields: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "log_fields", default=MappingProxyType({})
)

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogOptionError(ValueError):
    """A level or format that does not exist; ``option`` and ``value`` say which, ``allowed`` the cure."""

    def __init__(self, option: str, value: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{option} {value!r} is unknown, use one of {', '.join(allowed)}")
        self.option = option
        self.value = value
        self.allowed = allowed


def get_logger(name: str) -> logging.Logger:
    """The logger of a module; use ``extra={…}`` for fields."""
    return logging.getLogger(name)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Every line logged inside carries these fields (per task; empty values are left out)."""
    token = _fields.set({**_fields.get(), **{key: value for key, value in fields.items() if value}})
    try:
        yield
    finally:
        _fields.reset(token)


def _collect(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = dict(_fields.get())
    for key, value in vars(record).items():
        if key not in _STANDARD and not key.startswith("_"):
            fields[key] = value
    app = fields.pop("app", None)
    if app is not None:
        namespace, separator, name = str(app).rpartition("/")
        fields["application"] = name
        if separator:
            fields["app-namespace"] = namespace
    return fields


class LineFormatter(logging.Formatter):
    """One record, one redacted line.

    Args:
        style: ``json`` or ``text``.
        redact: keeps secrets out.
        time_layout: Go's layout of the time, empty for RFC 3339 with seconds.
    """

    def __init__(self, style: str, redact: Redactor, time_layout: str = "") -> None:
        super().__init__()
        self._json = style == "json"
        self._redact = redact
        self._time_layout = time_layout or RFC_3339
        self._second, self._time = -1, ""  # of the last line: many lines share their second

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": self._time_of(record.created),
            "level": _LEVEL_NAMES.get(record.levelno, record.levelname.lower()),
            "msg": self._redact(_message(record)),
        }
        for key, value in _collect(record).items():
            line[f"fields.{key}" if key in line else key] = self._plain(value)
        if record.exc_info:
            line["error"] = self._redact(self.formatException(record.exc_info))
        if self._json:
            return _JSON.encode(line)
        return " ".join(f"{key}={_quoted(value)}" for key, value in line.items())

    def _time_of(self, moment: float) -> str:
        if self._time_layout == RFC_3339 and int(moment) == self._second:
            return self._time
        self._second = int(moment)
        self._time = write_time(self._time_layout, datetime.fromtimestamp(moment, UTC))
        return self._time

    def _plain(self, value: Any) -> Any:
        if type(value) is str:
            return self._redact(value)
        if value is None or isinstance(value, bool | int | float):
            return value if value == value and value not in (float("inf"), float("-inf")) else str(value)
        if isinstance(value, Mapping):
            return {self._redact(str(key)): self._plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(item) for item in value]
        return self._redact(str(value))


def _message(record: logging.LogRecord) -> str:
    """The text; a record whose arguments do not fit its text is still worth a line."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _quoted(value: Any) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if text and not any(character in ' "=\n\r\t\\' or character < " " for character in text):
        return text
    return json.dumps(text, ensure_ascii=False)


def configure(
    *,
    level: str = "info",
    style: str = "json",
    redact: Redactor | None = None,
    time_layout: str = "",
    stream: TextIO | None = None,
) -> Redactor:
    """Send all logs of the process to ``stream`` (standard error) in this level and format, and
    return the redactor to teach secrets to.

    Raises:
        LogOptionError: an unknown level or format.
    """
    if level.lower() not in LEVELS:
        raise LogOptionError("--loglevel", level, tuple(LEVELS))
    if style not in FORMATS:
        raise LogOptionError("--logformat", style, FORMATS)
    redact = redact or Redactor()
    # No line tells them, and finding the caller costs as much as all the rest (the library's own advice).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(style, redact, time_layout))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level.lower()])
    for noisy in ("aiohttp.access", "kopf", "asyncio", "urllib3", "git"):
        logging.getLogger(noisy).setLevel(max(LEVELS[level.lower()], logging.WARNING))
    return redact
