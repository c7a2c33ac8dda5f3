"""Refs by the short way: the same as git's, and git itself wherever an answer is not the plain good one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.gitservers import Authority, GitRepo, HttpGitServer
from tests.sources.git.conftest import MakeStore
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git import GitStore, Trust, advertisement
from tiphys.sources.git.advertisement import Advertisements, listed

ONE, TWO = "1" * 40, "2" * 40
SERVICE = "# service=git-upload-pack\n"
FLUSH = "0000"
SECRET = "s3cr3t-p4ssw0rd"


def packet(text: str) -> str:
    return f"{len(text) + 4:04x}{text}"


def body(*lines: str, end: str = FLUSH) -> bytes:
    return (packet(SERVICE) + FLUSH + "".join(map(packet, lines)) + end).encode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            body(f"{ONE} HEAD\0multi_ack symref=HEAD:refs/heads/main\n", f"{ONE} refs/heads/main\n"),
            f"{ONE}\tHEAD\n{ONE}\trefs/heads/main\n",
            id="capabilities follow the first name",
        ),
        pytest.param(
            body(f"{ONE} refs/tags/v1\0caps", f"{TWO} refs/tags/v1^{{}}"),
            f"{ONE}\trefs/tags/v1\n{TWO}\trefs/tags/v1^{{}}\n",
            id="annotated tags are peeled; line ends are not needed",
        ),
        pytest.param(body(f"{'0' * 40} capabilities^{{}}\0caps\n"), "", id="an empty repository"),
        pytest.param(
            body(f"{ONE} refs/heads/a\0caps\n", f"shallow {TWO}\n"), None, id="a shallow repository is git's"
        ),
        pytest.param(body(*[f"{'0' * 40} capabilities^{{}}\0c\n"] * 2), None, id="empty twice"),
        pytest.param(body(f"{ONE} refs/heads/a\0caps\n") + b"0000" * 9, None, id="flushes without end"),
        pytest.param(body(f"{ONE} refs/heads/a\0caps\n", end=""), None, id="cut before the end"),
        pytest.param(body(f"{ONE} refs/heads/a\0caps\n")[:-20], None, id="cut within a line"),
        pytest.param(body(f"{ONE} refs/heads/a\0caps\n") + b"0005x", None, id="more than was announced"),
        pytest.param(body("ERR access denied\n"), None, id="an error"),
        pytest.param(body("version 2\n", "ls-refs\n"), None, id="another version"),
        pytest.param(body(f"{'1' * 64} refs/heads/a\0caps\n"), None, id="another hash"),
        pytest.param(
            (packet("# service=git-receive-pack\n") + FLUSH * 2).encode(), None, id="another service"
        ),
        pytest.param(b"0001", None, id="a length that is none"),
        pytest.param(f"{ONE}\trefs/heads/main\n".encode(), None, id="a server of files"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_listed(given: bytes, expected: str | None) -> None:
    assert listed(given) == (expected.encode() if expected is not None else None)


@pytest.fixture
async def short() -> AsyncIterator[Advertisements]:
    made = Advertisements()
    yield made
    await made.close()


@pytest.fixture
def content(repo: GitRepo) -> GitRepo:
    repo.commit({"a": "1"})
    repo.git("tag", "light")
    repo.git("tag", "-a", "-m", "annotated", "v1.0.0")
    repo.git("branch", "other")
    return repo


async def test_the_same_as_git(content: GitRepo, tmp_path: Path, short: Advertisements) -> None:
    with HttpGitServer(tmp_path / "remote") as server:
        url = f"{server.url}/app"
        output = await short.ask(Repository(url=url), Trust())
        assert len(server.requests) == 1
        git = await asyncio.create_subprocess_exec("git", "ls-remote", url, stdout=asyncio.subprocess.PIPE)
        assert output == (await git.communicate())[0]
    assert b"refs/tags/v1.0.0^{}" in output


async def test_one_request_and_no_process(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote") as server:
        repository = Repository(url=f"{server.url}/app")
        sha = await store.resolve(repository, "v1.0.0", fresh=True)
        assert sha == content.git("rev-parse", "v1.0.0^{commit}").strip()
        assert server.requests == ["GET /app/info/refs?service=git-upload-pack 200"]


@pytest.mark.parametrize(
    ("repository", "seen"),
    [
        pytest.param({"username": "ada", "password": SECRET}, 1, id="a password waits until it is asked for"),
        pytest.param({"username": "ada", "password": SECRET, "force_http_basic_auth": True}, 1, id="forced"),
        pytest.param({"username": "ada", "password": "other"}, 1, id="refused"),
        pytest.param({}, 0, id="none"),
    ],
)
async def test_passwords(
    repository: dict[str, object], seen: int, content: GitRepo, tmp_path: Path, short: Advertisements
) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET)) as server:
        made = Repository(url=f"{server.url}/app", **repository)  # type: ignore[arg-type]
        output = await short.ask(made, Trust())
        assert (output is not None) == (made.password == SECRET)
        assert len(server.seen_authorization) == seen
        before = len(server.requests)
        await short.ask(made, Trust())  # what failed is git's for a while
        assert (len(server.requests) > before) == (output is not None)


async def test_certificates(
    content: GitRepo, tmp_path: Path, short: Advertisements, authority: Authority
) -> None:
    trusted = Trust(tls_certificates={"localhost": authority.pem})
    with HttpGitServer(tmp_path / "remote", authority=authority) as server:
        url = f"{server.url}/app"
        assert await short.ask(Repository(url=url, username="unknown"), Trust()) is None
        assert await short.ask(Repository(url=url), trusted) is not None
        assert await short.ask(Repository(url=url, insecure=True), Trust()) is not None
        assert await short.ask(Repository(url=url, username="later"), Trust()) is None


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/other" + request.path_qs)


async def _files(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"{ONE}\trefs/heads/main\n")


async def _compressed(request: web.Request) -> web.StreamResponse:
    kind = "application/x-git-upload-pack-advertisement"
    answer = web.Response(body=body(f"{ONE} HEAD\0caps\n"), content_type=kind)
    answer.enable_compression(web.ContentCoding.gzip)
    return answer


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/x-git-upload-pack-advertisement"})
    await answer.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await answer.write(b"0000" * 65_536)
    return answer


async def _broken(request: web.Request) -> web.StreamResponse:
    raise web.HTTPInternalServerError


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("answer", [_elsewhere, _files, _broken, _silent, _compressed, _endless])
async def test_anything_else_is_gits(
    answer: Answer, short: Advertisements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advertisement, "SECONDS", 0.5)
    paths: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return await answer(request)

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/app"
        repository = Repository(url=address, bearer_token=SECRET)
        assert await short.ask(repository, Trust()) is None
        assert await short.ask(repository, Trust()) is None
        assert paths == ["/app/info/refs"]
    finally:
        await runner.cleanup()


async def test_gits_words_for_what_the_short_way_cannot(
    tmp_path: Path, make_store: MakeStore, repo: GitRepo
) -> None:
    with HttpGitServer(tmp_path / "remote") as server:
        store = make_store(failure_cache_seconds=0.0)
        with pytest.raises(SourceError, match="repository not found"):
            await store.resolve(Repository(url=f"{server.url}/nothing"), "main")


@pytest.mark.parametrize(
    "url",
    ["git@example.com:a/b.git", "ssh://git@localhost/a", "file:///a", "http://localhost/a b", "http://h/a?b"],
)
async def test_addresses_that_are_gits(url: str, short: Advertisements) -> None:
    assert await short.ask(Repository(url=url), Trust()) is None
    assert short._sessions is None
