"""Requests become messages, outcomes become answers (api.md 1, 3, 4)."""

import asyncio
from typing import Any

import pytest

from tests.server.http.sample import Site, site
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.http.answers import HTTP_STATUS
from tiphys.server.http.options import HttpOptions


async def test_a_message_comes_back_as_json(api: Site) -> None:
    answer = await api.get("/api/version")
    assert (answer.status, answer.json) == (200, {"Version": "v3.6.0"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Grpc-Metadata-Content-Type"] == "application/grpc"  # api.md 3
    assert "X-Frame-Options" not in answer.headers  # api.md 1: API responses carry none of these
    assert "Server" not in answer.headers


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK], ids=lambda code: code.title)
async def test_failures_have_the_status_of_their_code(api: Site, code: Code) -> None:
    """api.md 4."""
    api.stage.failure = ApiFailure(code, 'a <text> with "quotes"')
    answer = await api.get("/api/version")
    assert answer.status == HTTP_STATUS[code]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Grpc-Metadata-Content-Type"] == "application/grpc"
    text = 'a <text> with "quotes"'
    assert answer.json == {"error": text, "code": int(code), "message": text}
    assert list(answer.json) == ["error", "code", "message"]
    assert b"\\u003ctext\\u003e" in answer.body


async def test_what_nobody_foresaw_tells_nothing(api: Site) -> None:
    api.stage.failure = RuntimeError("the password is hunter2")
    answer = await api.get("/api/version")
    assert (answer.status, answer.json["code"]) == (500, 13)
    assert b"hunter2" not in answer.body
    assert b"RuntimeError" not in answer.body


async def test_callers_without_credentials(api: Site) -> None:
    answer = await api.get("/api/v1/applications", headers={"Authorization": ""})
    assert (answer.status, answer.json["code"], answer.json["error"]) == (401, 16, "no session information")


@pytest.mark.parametrize(
    ("verb", "path", "status", "text"),
    [
        ("GET", "/api/v1/nothing", 404, "Not Found\n"),
        ("GET", "/api/v1/applications/a/b/c", 404, "Not Found\n"),
        ("GET", "/api/v1/applications/a:b", 404, "Not Found\n"),
        ("GET", "/api/v1/applications/:a", 404, "Not Found\n"),
        ("GET", "/api/v1/account/can-i/clusters/get/host:6443", 404, "Not Found\n"),
        ("DELETE", "/api/version", 405, "Method Not Allowed\n"),
        ("OPTIONS", "/api/v1/applications", 405, "Method Not Allowed\n"),
        ("PROPFIND", "/api/v1/nothing", 404, "Not Found\n"),
        ("GET", "/api/", 404, "Not Found\n"),
        ("GET", "/api/v1", 404, "Not Found\n"),
    ],
)
async def test_paths_without_a_method(api: Site, verb: str, path: str, status: int, text: str) -> None:
    answer = await api.call(verb, path)
    assert (answer.status, answer.text) == (status, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("content_type", "allowed", "status"),
    [
        ("application/json", ("application/json",), 200),
        ("Application/JSON", ("application/json",), 200),
        ("application/json; charset=utf-8", ("application/json",), 415),
        ("text/plain", ("application/json",), 415),
        ("", ("application/json",), 415),
        ("text/plain", ("application/json", "text/plain"), 200),
        ("text/plain", (), 200),
        ("", (), 200),
    ],
)
@pytest.mark.parametrize("verb", ["POST", "DELETE"])
async def test_content_types(verb: str, content_type: str, allowed: tuple[str, ...], status: int) -> None:
    """api.md 1: for anything but GET, also for DELETE without a body."""
    async with site(HttpOptions(content_types=allowed)) as api:
        answer = await api.call(
            verb,
            "/api/v1/session",
            headers={"Content-Type": content_type},
            skip_auto_headers=["Content-Type"],
            data=b"{}" if verb == "POST" else None,
        )
        assert answer.status == status
        if status == 415:
            assert answer.text == "Invalid content type\n"
        assert (await api.get("/api/version", headers={"Content-Type": "text/strange"})).status == 200


REQUESTS: dict[str, tuple[str, str, bytes | None, dict[str, Any]]] = {
    "path": ("GET", "/api/v1/applications/guest%20book", None, {"name": "guest book"}),
    "nothing between slashes": ("GET", "/api/v1/applications/", None, {"name": ""}),
    "query": (
        "GET",
        "/api/v1/applications?projects=a&projects=b&name=x&name=y&unknown=1",
        None,
        {"projects": ("a", "b"), "name": "x"},
    ),
    "plus is a space": (
        "GET",
        "/api/v1/applications?selector=a+in+(b)%2Cc",
        None,
        {"selector": "a in (b),c"},
    ),
    "the path wins": (
        "GET",
        "/api/v1/applications/a?name=b&refresh=hard",
        None,
        {"name": "a", "refresh": "hard"},
    ),
    "boolean": ("GET", "/api/v1/applications/a/logs?follow=T", None, {"follow": True}),
    "int64": ("GET", "/api/v1/applications/a/logs?tailLines=10", None, {"tail_lines": 10}),
    "proto2 zero": ("GET", "/api/v1/applications/a/logs?tailLines=0", None, {"tail_lines": 0}),
    "time": (
        "GET",
        "/api/v1/applications/a/logs?sinceTime.seconds=1700000000&sinceTime.nanos=5",
        None,
        {"since_time": "2023-11-14T22:13:20Z"},
    ),
    "two bindings": (
        "GET",
        "/api/v1/applications/a/pods/p/logs?container=c",
        None,
        {"name": "a", "pod_name": "p", "container": "c"},
    ),
    "the rest of a path": (
        "GET",
        "/api/v1/account/can-i/applications/get/default/guestbook",
        None,
        {"resource": "applications", "action": "get", "subresource": "default/guestbook"},
    ),
    "no rest": ("GET", "/api/v1/account/can-i/a/b/", None, {"subresource": ""}),
    "body is all, the query nothing": (
        "POST",
        "/api/v1/applications/a/sync?revision=q",
        b'{"Revision":"r","dryRun":true,"strange":1}',
        {"name": "a", "revision": "r", "dry_run": True},
    ),
    "body is a field": (
        "POST",
        "/api/v1/applications?upsert=true&application.metadata.name=ignored",
        b'{"metadata":{"name":"a"}}',
        {"upsert": True},
    ),
    "no body": ("POST", "/api/v1/applications/a/sync", None, {"name": "a"}),
    "body is a text": (
        "POST",
        "/api/v1/applications/a/resource?namespace=n&resourceName=b&version=&kind=Pod&patchType=x",
        b'"{\\"a\\":1}"',
        {"patch": '{"a":1}', "namespace": "n", "resource_name": "b", "version": "", "patch_type": "x"},
    ),
}


@pytest.mark.parametrize(("verb", "path", "body", "wanted"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_requests(api: Site, verb: str, path: str, body: bytes | None, wanted: dict[str, Any]) -> None:
    """api.md 3 "Query parameters, paths, bodies"."""
    answer = await api.call(verb, path, data=body)
    assert answer.status == 200, answer.text
    assert {name: getattr(api.stage.request, name) for name in wanted} == wanted


async def test_path_fields_are_set_over_the_body(api: Site) -> None:
    await api.call("PUT", "/api/v1/applications/new", data=b'{"metadata":{"name":"old","labels":{"a":"b"}}}')
    metadata = api.stage.request.application.metadata
    assert (metadata.name, metadata.labels) == ("new", {"a": "b"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("https:%2F%2Fkubernetes.default.svc", "https://kubernetes.default.svc"),
        ("https%3A%2F%2Fkubernetes.default.svc", "https://kubernetes.default.svc"),
        ("in-cluster", "in-cluster"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a+b", "a b"),  # api.md 1: unescaped as a query, also where nothing was escaped
    ],
)
async def test_escaped_slashes_stay_in_their_component(api: Site, path: str, value: str) -> None:
    """api.md 1 "Escaped path segments"."""
    answer = await api.get(f"/api/v1/clusters/{path}?id.type=name")
    if path.startswith("https:"):
        assert answer.status == 404  # a literal colon in the last component
        return
    assert answer.status == 200, answer.text
    assert (api.stage.request.id.value, api.stage.request.id.type) == (value, "name")


async def test_a_bad_escape_inside_an_escape(api: Site) -> None:
    answer = await api.get("/api/v1/clusters/a%25zz")
    assert (answer.status, answer.json["code"], answer.json["error"]) == (500, 2, 'invalid URL escape "%zz"')


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/v1/applications/a/logs?tailLines=x", "tailLines"),
        ("/api/v1/applications/a/logs?follow=maybe", "follow"),
        ("/api/v1/applications/a/logs?tailLines=99999999999999999999", "tailLines"),
        ("/api/v1/applications/a/logs?sinceTime.seconds=1e3", "sinceTime"),
        ("/api/v1/applications?a=%zz", 'invalid URL escape "%zz"'),
        ("/api/v1/applications?a;b", "invalid semicolon separator in query"),
    ],
)
async def test_values_that_their_field_cannot_hold(api: Site, path: str, text: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert text in answer.json["message"]


@pytest.mark.parametrize(("text", "seconds"), [("10S", 10.0), ("500m", 0.5), ("1H", 3600.0), ("", None)])
async def test_timeouts_become_deadlines(api: Site, text: str, seconds: float | None) -> None:
    await api.get("/api/version", headers={"Grpc-Timeout": text})
    assert api.stage.call is not None
    deadline = api.stage.call.deadline
    if seconds is None:
        assert deadline is None
    else:
        assert deadline is not None
        assert 0 <= asyncio.get_running_loop().time() + seconds - deadline < 60


@pytest.mark.parametrize("text", ["10", "S", "1s", "-1S", "123456789S", "1 S"])
async def test_a_timeout_that_is_none(api: Site, text: str) -> None:
    answer = await api.get("/api/version", headers={"Grpc-Timeout": text})
    assert (answer.status, answer.json["code"]) == (400, 3)


async def test_a_deadline_passes(api: Site) -> None:
    api.stage.events = [None]
    answer = await api.get("/api/v1/stream/applications", headers={"Grpc-Timeout": "50m"})
    assert (answer.status, answer.json["code"]) == (504, 4)


async def test_headers_become_metadata(api: Site) -> None:
    await api.get(
        "/api/version",
        headers={
            "Authorization": "Bearer x",
            "Cookie": "argocd.token=y",
            "Grpc-Metadata-Token": "z",
            "Grpc-Metadata-X-Own": "1",
            "X-Other": "no",
        },
    )
    assert api.stage.call is not None
    assert dict(api.stage.call.metadata) == {
        "authorization": ("Bearer x",),
        "grpcgateway-authorization": ("Bearer x",),
        "grpcgateway-cookie": ("argocd.token=y",),
        "token": ("z",),
        "x-own": ("1",),
    }
    assert api.stage.call.transport == "rest"


async def test_a_client_stream_is_a_sequence_of_objects(api: Site) -> None:
    """api.md 3: concatenated JSON wrapper objects."""
    body = (
        b'{"query":{"name":"a}\\"{","checksum":""}}\n{"chunk":{"chunk":"AAEC"}}{"chunk":{"chunk":"'
        + b"QUJD" * 50_000
        + b'"}}'
    )
    answer = await api.call("POST", "/api/v1/applications/manifestsWithFiles", data=body)
    assert answer.json == {"manifests": ["{}"]}
    first, second, third = api.stage.requests
    assert first.query.name == 'a}"{'
    assert (second.chunk.chunk, third.chunk.chunk) == (b"\0\1\2", b"ABC" * 50_000)


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"query":{"name":1}}', b"nonsense", b"[1]", b'{"query":{"name":"","checksum":""}} x', b"}"],
    ids=str,
)
async def test_a_client_stream_that_is_none(api: Site, body: bytes) -> None:
    answer = await api.call("POST", "/api/v1/applications/manifestsWithFiles", data=body)
    assert (answer.status, answer.json["code"]) == (400, 3)


@pytest.mark.parametrize(
    ("verb", "path", "body", "field"),
    [
        ("POST", "/api/v1/applications", b"", "application"),
        ("POST", "/api/v1/applications", b"null", "application"),
        ("PUT", "/api/v1/applications/a/spec", b"", "spec"),
        ("POST", "/api/v1/applications/a/resource?kind=Pod&patchType=x", b'"{}"', "version"),
        ("POST", "/api/v1/applications/manifestsWithFiles", b'{"query":{"name":"a"}}', "checksum"),
    ],
)
async def test_required_fields(api: Site, verb: str, path: str, body: bytes, field: str) -> None:
    """api.md 3: the gateway's client cannot write such a message. Who may not call hears only that."""
    answer = await api.call(verb, path, data=body or None)
    text = f'grpc: error while marshaling: proto: required field "{field}" not set'
    assert (answer.status, answer.json["code"], answer.json["message"]) == (500, 13, text)
    assert not api.stage.requests
    if "manifestsWithFiles" not in path:
        refused = await api.call(verb, path, data=body or None, headers={"Authorization": ""})
        assert (refused.status, refused.json["message"]) == (401, "no session information")


async def test_a_form_may_stand_for_another_verb() -> None:
    """api.md 3: only where the content type is allowed at all."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with site(HttpOptions(content_types=())) as api:
        answer = await api.call("POST", "/api/version", headers=form, data=b"")
        assert answer.status == 200
        await api.call(
            "POST",
            "/api/v1/applications?name=b",
            headers={**form, "X-HTTP-Method-Override": "get"},
            data=b"projects=a&name=c",
        )
        assert (api.stage.request.projects, api.stage.request.name) == (("a",), "c")
        answer = await api.call(
            "POST", "/api/version", headers={"Content-Type": "text/plain", "X-HTTP-Method-Override": "GET"}
        )
        assert answer.status == 405
    async with site() as api:
        assert (await api.call("POST", "/api/version", headers=form, data=b"")).status == 415
