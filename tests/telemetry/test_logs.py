"""Logs: lines people and machines can read, without secrets (operations.md 7.1)."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.telemetry.logs import LineFormatter, LogOptionError, bound, configure, get_logger
from tiphys.telemetry.redaction import HIDDEN, Redactor


class Captured:
    """A logger of its own with our formatter."""

    def __init__(self, style: str = "json") -> None:
        self.stream = io.StringIO()
        self.redact = Redactor()
        self.logger = logging.Logger("captured", logging.DEBUG)
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(LineFormatter(style, self.redact))
        self.logger.addHandler(handler)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_a_json_line_has_time_level_msg_and_fields() -> None:
    captured = Captured()
    extra = {
        "app": "argocd/guestbook",
        "revision": "abc",
        "count": 3,
        "ok": True,
        "none": None,
        "list": ["a", 1],
    }
    captured.logger.warning("synced %s", "it", extra=extra)
    (line,) = captured.lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "msg": "synced it",
        "application": "guestbook",
        "app-namespace": "argocd",
        "revision": "abc",
        "count": 3,
        "ok": True,
        "none": None,
        "list": ["a", 1],
    }


def test_a_text_line_quotes_what_needs_it() -> None:
    captured = Captured("text")
    captured.logger.info('say "hi"\nagain', extra={"empty": "", "plain": "x", "map": {"a": 1}})
    (line,) = captured.stream.getvalue().splitlines()
    assert 'level=info msg="say \\"hi\\"\\nagain" empty="" plain=x map="{\\"a\\": 1}"' in line


LEVELS = [
    ("debug", "debug"),
    ("info", "info"),
    ("warning", "warning"),
    ("error", "error"),
    ("critical", "fatal"),
]


@pytest.mark.parametrize(("method", "name"), LEVELS)
def test_level_names(method: str, name: str) -> None:
    captured = Captured()
    getattr(captured.logger, method)("x")
    assert captured.lines()[0]["level"] == name


def test_one_record_is_one_line_even_with_a_traceback() -> None:
    captured = Captured()
    captured.redact.learn("settings", ["hunter22"])
    try:
        raise ValueError("password hunter22\nin https://u:p@host/x")
    except ValueError:
        captured.logger.exception("failed")
    (line,) = captured.lines()
    assert "ValueError" in line["error"]
    assert "hunter22" not in line["error"]
    assert "u:p@" not in line["error"]


def test_bound_fields_are_on_every_line_inside() -> None:
    captured = Captured()
    with bound(app="ns/a", operation="sync", nothing=""):
        captured.logger.info("one")
        with bound(revision="r"):
            captured.logger.info("two", extra={"operation": "other"})
    captured.logger.info("three")
    one, two, three = captured.lines()
    assert (one["application"], one["app-namespace"], one["operation"]) == ("a", "ns", "sync")
    assert "nothing" not in one
    assert (two["application"], two["revision"], two["operation"]) == ("a", "r", "other")
    assert "application" not in three


async def test_bound_fields_stay_in_their_task() -> None:
    captured = Captured()
    gate = asyncio.Event()

    async def work(name: str) -> None:
        with bound(app=name):
            await gate.wait()
            captured.logger.info(name)

    async with asyncio.TaskGroup() as tasks:
        for name in ("a", "b"):
            tasks.create_task(work(name))
        gate.set()
    assert all(line["application"] == line["msg"] for line in captured.lines())


def test_a_field_may_not_replace_the_message() -> None:
    captured = Captured()
    captured.logger.info("real", extra={"level": "x", "time": "y"})
    (line,) = captured.lines()
    assert (line["msg"], line["level"], line["fields.level"]) == ("real", "info", "x")


def test_wrong_arguments_still_give_a_line() -> None:
    captured = Captured()
    captured.logger.info("%d things", "many")
    assert captured.lines()[0]["msg"] == "%d things"


PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----"
HIDE = [
    ("a known value", "got s3cr3t! here", f"got {HIDDEN} here"),
    ("a known value in a URL", "https://h/?t=s3cr3t%21", f"https://h/?t={HIDDEN}"),
    ("user and password", "fatal: https://u:p@h/x", f"fatal: https://{HIDDEN}@h/x"),
    ("a token as user", "https://ghp_abc@h/x", f"https://{HIDDEN}@h/x"),
    ("an at sign in a path", "https://h/x@v1", "https://h/x@v1"),
    ("scp form names no secret", "git@h:x", "git@h:x"),
    ("bearer", "Authorization: Bearer abc.def.ghi", f"Authorization: {HIDDEN}"),
    ("bearer alone", "sent bearer abcdefgh", f"sent bearer {HIDDEN}"),
    ("basic", "authorization: Basic dXNlcjpwYXNz", f"authorization: {HIDDEN}"),
    ("a private key", f"key {PEM} end", f"key {HIDDEN} end"),
    ("a private key cut off", PEM[:60], HIDDEN),
    ("plain words", "a basic thing, the bearer of news", None),
]


@pytest.mark.parametrize(("text", "clean"), [h[1:] for h in HIDE], ids=[h[0] for h in HIDE])
def test_redaction(text: str, clean: str | None) -> None:
    redact = Redactor()
    redact.learn("settings", ["s3cr3t!", "ab", ""])
    if clean is not None:
        assert redact(text) == clean


def test_a_source_replaces_what_it_told_before() -> None:
    redact = Redactor()
    redact.learn("settings", ["old-value"])
    redact.learn("other", ["third"])
    redact.learn("settings", ["new-value"])
    assert redact("old-value new-value third") == f"old-value {HIDDEN} {HIDDEN}"
    redact.learn("settings", [])
    redact.learn("other", [])
    assert redact("new-value") == "new-value"


@given(
    st.lists(st.text(min_size=4, max_size=12).filter(lambda text: text.strip() == text), max_size=4),
    st.text(),
    st.text(),
)
def test_no_known_secret_survives(secrets: list[str], before: str, after: str) -> None:
    redact = Redactor()
    redact.learn("settings", secrets)
    for secret in secrets:
        shown = redact(before + secret + after)
        assert secret not in shown or secret in HIDDEN or secret in redact(before + HIDDEN + after)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, given back as it was."""
    logger = logging.getLogger()
    before = (logger.handlers[:], logger.level)
    yield logger
    logger.handlers[:], logger.level = before[0], before[1]


@pytest.mark.parametrize(("level", "shown"), [("debug", 3), ("info", 2), ("warn", 1), ("ERROR", 0)])
def test_configure_sets_level_and_format(root: logging.Logger, level: str, shown: int) -> None:
    stream = io.StringIO()
    redact = configure(level=level, style="json", stream=stream)
    redact.learn("settings", ["hunter22"])
    log = get_logger("tiphys.test")
    log.debug("hunter22")
    log.info("hunter22")
    log.warning("hunter22")
    lines = stream.getvalue().splitlines()
    assert len(lines) == shown
    assert "hunter22" not in stream.getvalue()


@pytest.mark.parametrize("options", [{"level": "loud"}, {"style": "xml"}])
def test_unknown_options_are_refused_with_the_choices(root: logging.Logger, options: dict[str, str]) -> None:
    with pytest.raises(LogOptionError, match="use one of"):
        configure(**options)  # type: ignore[arg-type]
