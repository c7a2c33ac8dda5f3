"""What goes with an answer: cookies of a session, selections, compression, validators (api.md 1, 3, 11)."""

import gzip
import re
from typing import Any

import pytest

from tests.server.http.sample import Site, site
from tiphys.resources.application import Application, ApplicationList
from tiphys.resources.messages.session import SessionResponse
from tiphys.resources.meta import ObjectMeta
from tiphys.server.api.rpc import Encoded
from tiphys.server.http.options import HttpOptions


def app(name: str = "guestbook") -> Application:
    return Application(metadata=ObjectMeta(name=name, namespace="argocd"))


async def test_a_login_sets_the_cookie(api: Site) -> None:
    answer = await api.call("POST", "/api/v1/session", data=b'{"username":"a","password":"b"}')
    assert answer.json == {"token": "a.b.c"}
    assert answer.headers.getall("Set-Cookie") == [
        "argocd.token=a.b.c; path=/; SameSite=lax; httpOnly; Secure"
    ]


async def test_a_long_token_is_cut() -> None:
    async with site(HttpOptions(secure_cookies=False, base_href="/argo/")) as api:
        api.stage.answer = SessionResponse(token="x" * 10_000)
        cookies = (await api.call("POST", "/api/v1/session", data=b"{}")).headers.getall("Set-Cookie")
        assert len(cookies) == 3
        assert cookies[0].startswith("argocd.token=3:xxx")
        assert all(cookie.endswith("; path=/argo; SameSite=lax; httpOnly") for cookie in cookies)
        assert all(len(cookie) <= 4093 for cookie in cookies)


async def test_a_token_with_too_many_chunks_is_an_error() -> None:
    async with site(HttpOptions(max_cookies=2)) as api:
        api.stage.answer = SessionResponse(token="x" * 10_000)
        answer = await api.call("POST", "/api/v1/session", data=b"{}")
    assert answer.status == 500
    assert re.search(r"requires 3 cookies but the max number of cookies is 2", answer.json["error"])


async def test_the_end_of_a_session_sets_nothing(api: Site) -> None:
    """api.md 11: DELETE session returns ``{}`` and emits no Set-Cookie."""
    answer = await api.call("DELETE", "/api/v1/session")
    assert (answer.json, "Set-Cookie" in answer.headers) == ({}, False)


async def test_a_renewed_token_comes_as_cookie_and_header(api: Site) -> None:
    answer = await api.get("/api/v1/applications", headers={"Authorization": "Bearer old"})
    assert answer.headers["Set-Cookie"].startswith("argocd.token=fresh; ")
    assert answer.headers["Grpc-Metadata-Renew-Token"] == "fresh"


async def test_lists_end_with_a_newline(api: Site) -> None:
    """api.md 3: trailing newline only in streams and the application list."""
    api.stage.answer = ApplicationList(items=(app(),))
    assert (await api.get("/api/v1/applications")).body.endswith(b"}\n")
    api.stage.answer = app()
    assert (await api.get("/api/v1/applications/a")).body.endswith(b"}")


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("items.metadata.name", {"metadata": {}, "items": [{"metadata": {"name": "guestbook"}}]}),
        (
            "items.metadata.name,items.nonsense",
            {"metadata": {}, "items": [{"metadata": {"name": "guestbook"}}]},
        ),
        ("items.nonsense", {"metadata": {}, "items": [{}]}),
    ],
)
async def test_fields_of_applications(api: Site, fields: str, wanted: Any) -> None:
    api.stage.answer = ApplicationList(items=(app(),))
    assert (await api.get(f"/api/v1/applications?fields={fields}")).json == wanted


async def test_an_encoded_list_selects_by_itself(api: Site) -> None:
    asked = []

    def select(fields: Any) -> bytes:
        asked.append(list(fields))
        return b'{"items":[]}'

    api.stage.answer = Encoded(json=lambda: b"{}", proto=lambda: b"", select=select)
    answer = await api.get("/api/v1/applications?fields=-items.spec,items.status")
    assert (answer.body, asked) == (b'{"items":[]}\n', [["-items.spec", "items.status"]])
    assert (await api.get("/api/v1/applications")).body == b"{}\n"


@pytest.mark.parametrize(
    ("accept", "zipped"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False), ("", False)],
)
@pytest.mark.parametrize("size", [2000, 200_000])
async def test_gzip(api: Site, accept: str, zipped: bool, size: int) -> None:
    text = b'{"a":"' + b"x" * size + b'"}'
    api.stage.answer = Encoded(json=lambda: text, proto=lambda: b"")
    answer = await api.get(
        "/api/v1/applications", headers={"Accept-Encoding": accept}, skip_auto_headers=["Accept-Encoding"]
    )
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (answer.headers.get("Content-Encoding") == "gzip") is zipped
    assert (gzip.decompress(answer.body) if zipped else answer.body) == text + b"\n"


async def test_gzip_can_be_switched_off() -> None:
    async with site(HttpOptions(gzip=False)) as api:
        api.stage.answer = Encoded(json=lambda: b"x" * 5000, proto=lambda: b"")
        answer = await api.get("/api/v1/applications", headers={"Accept-Encoding": "gzip"})
    assert len(answer.body) == 5001


@pytest.mark.parametrize(
    ("known", "status"),
    [('"v1"', 304), ('W/"v1"', 304), ('"v0", "v1"', 304), ("*", 304), ('"v0"', 200), ("", 200)],
)
async def test_unchanged_answers_are_not_sent_again(api: Site, known: str, status: int) -> None:
    made = []
    api.stage.answer = Encoded(json=lambda: made.append(1) or b"{}", proto=lambda: b"", etag="v1")  # type: ignore[func-returns-value]
    answer = await api.get("/api/v1/applications", headers={"If-None-Match": known})
    assert (answer.status, answer.headers["ETag"]) == (status, 'W/"v1"')
    assert (answer.body, made) == ((b"", []) if status == 304 else (b"{}\n", [1]))
