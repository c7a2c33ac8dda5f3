"""Webhooks as a provider sends them to the port: what they wake, and what becomes of those that are not
genuine, too large or no webhooks at all (sources.md 22).

Nobody polls here (``timeout.reconciliation: 0s``), so a new commit is seen by a webhook or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.gitservers import GitRepo, HttpGitServer
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

pytestmark = pytest.mark.controlplane

SECRET = "s3cret-of-the-hook"
MEGABYTE = 1 << 20
TOO_LARGE = "Webhook processing failed: payload must be valid JSON under 50 MB\n"
APPLICATIONS = "/api/v1/applications"


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitRepo, HttpGitServer]]:
    repository = GitRepo(tmp_path_factory.mktemp("hooked") / "shop.git")
    commit(repository, "first")
    with HttpGitServer(repository.path.parent) as server:
        yield repository, server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hooked(
    control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
    git: tuple[GitRepo, HttpGitServer],
) -> AsyncIterator[Running]:
    """Applications ``near`` (of the repository) and ``far`` (of the same host, another repository)."""
    async with running(
        control_plane,
        tmp_path_factory.mktemp("api"),
        unique_namespace("hooked"),
        settings={"timeout.reconciliation": "0s"},
        secret={"webhook.github.secret": SECRET},
    ) as api:
        for name, repository in (("near", "shop.git"), ("far", "elsewhere.git")):
            body = application(api, name, f"{git[1].url}/{repository}")
            answer = await api.call("POST", APPLICATIONS, body=body, params={"validate": "false"})
            assert answer.status == 200, answer.text
        await api.until(f"{APPLICATIONS}/near", lambda answer: revision(answer.json))
        await api.until(f"{APPLICATIONS}/far", lambda answer: answer.json["status"].get("conditions"))
        yield api


def application(api: Running, name: str, url: str) -> dict[str, Any]:
    destination = {"server": "https://kubernetes.default.svc", "namespace": api.namespace}
    source = {"repoURL": url, "path": "app", "targetRevision": "main"}
    spec = {"project": "default", "source": source, "destination": destination}
    return {"metadata": {"name": name}, "spec": spec}


def revision(app: dict[str, Any]) -> str:
    found: str = app.get("status", {}).get("sync", {}).get("revision", "")
    return found


def commit(repository: GitRepo, value: str) -> str:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: near}}\ndata: {{value: {value}}}\n"
    repository.write({"app/one.yaml": text})
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", value)
    return repository.git("rev-parse", "HEAD")


def push(server: HttpGitServer, repository: GitRepo, **more: Any) -> bytes:
    """What GitHub says of the newest commit on ``main``."""
    return json.dumps(
        {
            "ref": "refs/heads/main",
            "before": repository.git("rev-parse", "HEAD~1"),
            "after": repository.git("rev-parse", "HEAD"),
            "repository": {"html_url": f"{server.url}/shop", "default_branch": "main"},
            "commits": [{"added": [], "modified": ["app/one.yaml"], "removed": []}],
            **more,
        }
    ).encode()


def headers(body: bytes, secret: str = SECRET) -> dict[str, str]:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={mac}"}


async def looked_at(api: Running, name: str) -> str:
    found: str = (await api.get(f"{APPLICATIONS}/{name}")).json["status"]["reconciledAt"]
    return found


async def test_a_push_wakes_whom_it_concerns(hooked: Running, git: tuple[GitRepo, HttpGitServer]) -> None:
    repository, server = git
    before = await looked_at(hooked, "far")
    new = commit(repository, "second")
    body = push(server, repository)
    answer = await hooked.call("POST", "/api/webhook", data=body, headers=headers(body), token="")
    assert (answer.status, answer.text) == (200, "")
    await hooked.until(f"{APPLICATIONS}/near", lambda answer: revision(answer.json) == new)
    assert await looked_at(hooked, "far") == before


async def test_a_large_push_is_one(hooked: Running, git: tuple[GitRepo, HttpGitServer]) -> None:
    """Larger than any other body that somebody may send who is not logged in."""
    repository, server = git
    new = commit(repository, "third")
    body = push(server, repository, padding="x" * (40 * MEGABYTE))
    answer = await hooked.call("POST", "/api/webhook", data=body, headers=headers(body), token="")
    assert answer.status == 200, answer.text
    await hooked.until(f"{APPLICATIONS}/near", lambda answer: revision(answer.json) == new)


REFUSED: dict[str, tuple[str, dict[str, str] | None, bytes, int, str]] = {
    "another secret": ("POST", headers(b"{}", "other"), b"{}", 400, "Webhook processing failed\n"),
    "the signature of another body": ("POST", headers(b"{}"), b"[]", 400, "Webhook processing failed\n"),
    "no signature": ("POST", {"X-GitHub-Event": "push"}, b"{}", 400, "Webhook processing failed\n"),
    "a signature that is none": (
        "POST",
        {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=€"},
        b"{}",
        400,
        "",
    ),
    "an older signature": (
        "POST",
        {"X-GitHub-Event": "push", "X-Hub-Signature": "sha1=00"},
        b"{}",
        400,
        "Webhook processing failed\n",
    ),
    "nobody's": ("POST", {}, b"{}", 400, "Unknown webhook event\n"),
    "no JSON": ("POST", None, b"payload=x", 400, TOO_LARGE),
    "JSON without end": ("POST", None, b"[" * 100_000, 400, TOO_LARGE),
    "deep JSON": ("POST", None, b"[" * 100_000 + b"]" * 100_000, 400, TOO_LARGE),
    "an event of another shape": ("POST", None, b'{"repository": 1}', 400, "Webhook processing failed\n"),
    "nothing": ("POST", None, b"", 400, TOO_LARGE),
    "another verb": ("PUT", None, b"{}", 405, "Webhook processing failed\n"),
}


@pytest.mark.parametrize(("verb", "given", "body", "status", "text"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_refused(
    hooked: Running, verb: str, given: dict[str, str] | None, body: bytes, status: int, text: str
) -> None:
    before = await looked_at(hooked, "near")
    sent = headers(body) if given is None else given
    answer = await hooked.call(verb, "/api/webhook", data=body, headers=sent, token="")
    assert answer.status == status
    assert text in ("", answer.text)
    assert await looked_at(hooked, "near") == before


@pytest.mark.parametrize("chunked", [False, True], ids=["said before", "as it comes"])
async def test_a_body_beyond_the_limit(hooked: Running, chunked: bool) -> None:
    """Nothing is read that is said to be too large; what does not say so is read up to the limit."""
    host, _, port = hooked.target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (50 * MEGABYTE + 1)
    writer.write(b"POST /api/webhook HTTP/1.1\r\nHost: a\r\nX-GitHub-Event: push\r\n" + size + b"\r\n\r\n")
    answer = asyncio.ensure_future(reader.readuntil(b"under 50 MB\n"))
    if chunked:
        for _ in range(51):
            writer.write(b"100000\r\n" + b" " * MEGABYTE + b"\r\n")
            await writer.drain()
    async with asyncio.timeout(20):
        assert (await answer).startswith(b"HTTP/1.1 400 ")
    writer.close()
