"""Answers that stream (api.md 3 "Streaming responses")."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.server.http.sample import Site, site
from tiphys.resources.application import Application
from tiphys.resources.messages.application import LogEntry
from tiphys.resources.messages.trees import ApplicationWatchEvent
from tiphys.resources.meta import ObjectMeta
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.api.rpc import Encoded
from tiphys.server.http.options import HttpOptions
from tiphys.server.http.streaming import Collapse, log_file_name

WATCH = "/api/v1/stream/applications"
SSE = {"Accept": "text/event-stream"}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Site]:
    async with site() as running:
        yield running


def event(
    name: str, kind: str = "ADDED", namespace: str = "argocd", version: str = ""
) -> ApplicationWatchEvent:
    metadata = ObjectMeta(name=name, namespace=namespace, resource_version=version)
    return ApplicationWatchEvent(type=kind, application=Application(metadata=metadata))


def encoded(text: str, subject: str = "a") -> Encoded:
    return Encoded(json=text.encode, proto=lambda: b"", subject=subject)


async def test_each_message_is_a_line(api: Site) -> None:
    api.stage.events = [encoded('{"type":"ADDED"}', "a"), encoded('{"type":"ADDED"}', "b")]
    answer = await api.get(WATCH)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.text == '{"result":{"type":"ADDED"}}\n{"result":{"type":"ADDED"}}\n'


async def test_messages_are_encoded_as_elsewhere(api: Site) -> None:
    api.stage.events = [event("a<b")]
    answer = await api.get(WATCH)
    assert b"a\\u003cb" in answer.body
    assert json.loads(answer.body)["result"]["application"]["metadata"]["name"] == "a<b"


async def test_events_for_browsers(api: Site) -> None:
    api.stage.events = [encoded('{"type":"ADDED"}')]
    answer = await api.get(WATCH, headers=SSE)
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.text == 'data: {"result":{"type":"ADDED"}} \n\n\n'


async def test_only_the_exact_accept_asks_for_events(api: Site) -> None:
    api.stage.events = [encoded("{}")]
    answer = await api.get(WATCH, headers={"Accept": "text/event-stream, */*"})
    assert answer.text == '{"result":{}}\n'


@pytest.mark.parametrize("path", [WATCH, "/api/v1/applications/a/logs?download=true"])
async def test_a_renewed_token_comes_with_the_head(api: Site, path: str) -> None:
    answer = await api.get(path, headers={"Authorization": "Bearer old"})
    assert answer.headers["Set-Cookie"].startswith("argocd.token=fresh; ")
    assert answer.headers["Grpc-Metadata-Renew-Token"] == "fresh"
    assert answer.headers["Grpc-Metadata-Content-Type"] == "application/grpc"


async def test_silent_streams_are_kept_alive() -> None:
    async with site(HttpOptions(keepalive_seconds=0.05)) as api:
        api.stage.events = [encoded("{}"), None]
        headers = {"Authorization": "Bearer x", **SSE}
        async with api.session.get(api.url(WATCH), headers=headers) as answer:
            assert await answer.content.readuntil(b"\n\n\n") == b'data: {"result":{}} \n\n\n'
            for _ in range(3):
                assert await answer.content.readline() == b":\n"


async def test_a_silent_stream_begins(api: Site) -> None:
    """The head of an answer does not wait for ever for a first message."""
    api.stage.events = [None]
    async with api.session.get(api.url(WATCH), headers={"Authorization": "Bearer x"}) as answer:
        assert answer.status == 200


async def test_a_failure_before_the_first_message_has_its_status(api: Site) -> None:
    api.stage.failure = ApiFailure(Code.NOT_FOUND, "no such thing")
    for headers in ({}, SSE):
        answer = await api.get(WATCH, headers=headers)
        assert (answer.status, answer.json["code"], answer.json["message"]) == (404, 5, "no such thing")


@pytest.mark.parametrize("headers", [{}, SSE], ids=["lines", "events"])
async def test_a_failure_afterwards_is_the_last_element(api: Site, headers: dict[str, str]) -> None:
    api.stage.events = [encoded("{}")]
    api.stage.failure = ApiFailure(Code.UNAVAILABLE, "gone")
    answer = await api.get(WATCH, headers=headers)
    assert answer.status == 200
    last = answer.text.rstrip().splitlines()[-1].removeprefix("data: ")
    assert json.loads(last) == {
        "error": {"grpc_code": 14, "http_code": 503, "message": "gone", "http_status": "Service Unavailable"}
    }


async def test_equal_events_in_a_row_are_sent_once(api: Site) -> None:
    """By name only, as in the reference: the namespace is no part of the key."""
    same = event("a", "MODIFIED", version="1")
    api.stage.events = [
        same,
        same,
        event("b"),
        same,
        event("a", "MODIFIED", version="2"),
        same,
    ]
    answer = await api.get(WATCH)
    found = [json.loads(line)["result"]["application"]["metadata"] for line in answer.text.splitlines()]
    assert [(each["name"], each.get("resourceVersion")) for each in found] == [
        ("a", "1"),
        ("b", None),
        ("a", "2"),
        ("a", "1"),
    ]


async def test_filtered_events_that_differ_no_more_are_equal(api: Site) -> None:
    api.stage.events = [event("a", "MODIFIED", version=str(n)) for n in range(5)]
    answer = await api.get(f"{WATCH}?fields=result.type,result.application.metadata.name")
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"result": {"type": "MODIFIED", "application": {"metadata": {"name": "a"}}}}
    ]


def test_what_is_remembered_of_events_is_bounded() -> None:
    collapse = Collapse(limit=3)
    for name in "abcd":
        assert not collapse.repeats(name, b"1")
    assert not collapse.repeats("a", b"1")  # forgotten
    assert collapse.repeats("d", b"1")
    assert collapse.repeats("c", b"1")
    assert not collapse.repeats("e", b"1")
    assert collapse.repeats("c", b"1")


LINES = [
    LogEntry(content="one", last=False),
    LogEntry(content="<two>", last=False),
    LogEntry(content="", last=True),
    LogEntry(content="behind the end", last=False),
]


async def test_logs_as_a_file(api: Site) -> None:
    api.stage.events = LINES
    answer = await api.get(
        "/api/v1/applications/a/pods/p/logs?namespace=n&podName=p&container=c&download=true"
    )
    assert answer.text == "one\n<two>\n"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment;filename="n-p-c.log"'


async def test_logs_that_fail_as_a_file(api: Site) -> None:
    api.stage.events, api.stage.failure = LINES[:1], ApiFailure(Code.UNKNOWN, "the pod left")
    answer = await api.get("/api/v1/applications/a/logs?download=true")
    assert answer.text == "one\nthe pod left"


async def test_logs_as_a_stream(api: Site) -> None:
    api.stage.events = LINES[:3]
    answer = await api.get("/api/v1/applications/a/logs?fields=result.content")
    assert answer.text == (
        '{"result":{"content":"one"}}\n{"result":{"content":"\\u003ctwo\\u003e"}}\n{"result":{"content":""}}\n'
    )


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("n", "p", "c"), "n-p-c.log"),
        (("", "p", "c"), "log.log"),
        (("n", "p", ""), "log.log"),
        (('n";x=', "p", "c"), "log.log"),
        (("n", "../p", "c"), "log.log"),
        (("N", "p", "c"), "log.log"),
        (("n", "p\r\nX: y", "c"), "log.log"),
        (("n", "p" * 300, "c"), "log.log"),
    ],
)
def test_names_of_log_files(parts: tuple[str, str, str], name: str) -> None:
    assert log_file_name(*parts) == name


async def test_slow_clients_hold_nobody(api: Site) -> None:
    """One that does not read, others that do."""
    api.stage.events = [encoded(f'{{"n":{n},"pad":"{"x" * 10_000}"}}', str(n)) for n in range(500)]
    headers = {"Authorization": "Bearer x"}
    async with api.session.get(api.url(WATCH), headers=headers), asyncio.timeout(20):
        answers = await asyncio.gather(*(api.get(WATCH) for _ in range(3)))
    assert all(len(answer.text.splitlines()) == 500 for answer in answers)
