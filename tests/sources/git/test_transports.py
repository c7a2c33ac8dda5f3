"""Credentials over every transport, and that they stay secret (sources.md 18.4)."""

import os
from pathlib import Path

import pytest

from tests.gitservers import Authority, GitRepo, HttpGitServer, SshGitServer
from tests.sources.git.conftest import MakeStore
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable
from tiphys.sources.git import GitStore, Trust

SECRET = "s3cr3t-p4ssw0rd"


async def fetches(store: GitStore, repository: Repository) -> None:
    """Resolve, fetch and read through ``repository``."""
    sha = await store.resolve(repository, "main", fresh=True)
    entry = await store.entry(repository, sha, "a")
    assert entry is not None
    assert await store.blobs(repository, sha, [entry.oid]) == [b"1"]


@pytest.fixture
def content(repo: GitRepo) -> GitRepo:
    repo.commit({"a": "1"})
    return repo


async def test_user_and_password(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET)) as server:
        await fetches(store, Repository(url=f"{server.url}/app", username="ada", password=SECRET))


async def test_password_without_user(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("x-access-token", SECRET)) as server:
        await fetches(store, Repository(url=f"{server.url}/app", password=SECRET))


async def test_forced_basic_auth(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET)) as server:
        repository = Repository(
            url=f"{server.url}/app", username="ada", password=SECRET, force_http_basic_auth=True
        )
        await fetches(store, repository)
        assert not [line for line in server.requests if line.endswith("401")]


async def test_bearer_token(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote", bearer=SECRET) as server:
        await fetches(store, Repository(url=f"{server.url}/app", bearer_token=SECRET))


async def test_password_in_the_address(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET)) as server:
        await fetches(store, Repository(url=f"{server.url}/app".replace("://", f"://ada:{SECRET}@")))


async def test_no_credentials(content: GitRepo, tmp_path: Path, store: GitStore) -> None:
    refused = pytest.raises(AccessDenied)
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET)) as server, refused as caught:
        await store.resolve(Repository(url=f"{server.url}/app"), "main")
    assert caught.value.message.startswith("failed to list refs: authentication required")
    assert f'failed to authenticate to git repository "{server.url}/app"' in caught.value.message


@pytest.mark.parametrize("kind", ["password", "basic", "bearer", "address"])
async def test_refused_and_nothing_shown(
    kind: str, content: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", "other")) as server:
        url = f"{server.url}/app"
        repository = {
            "password": Repository(url=url, username="ada", password=SECRET),
            "basic": Repository(url=url, username="ada", password=SECRET, force_http_basic_auth=True),
            "bearer": Repository(url=url, bearer_token=SECRET),
            "address": Repository(url=url.replace("://", f"://ada:{SECRET}@")),
        }[kind]
        with pytest.raises(AccessDenied) as caught:
            await store.resolve(repository, "main")
    assert SECRET not in f"{caught.value!r} {caught.value.message} {caught.value.repository}"
    assert str(tmp_path / "store") not in caught.value.message


@pytest.mark.parametrize("kind", ["password", "basic", "bearer"])
async def test_secrets_on_no_command_line_and_no_file(
    kind: str, content: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    seen: list[str] = []

    def look(_: str) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if f"{server.url}" in line:
                seen.append(line)

    bearer = SECRET if kind == "bearer" else None
    basic = None if bearer else ("ada", SECRET)
    with HttpGitServer(tmp_path / "remote", basic=basic, bearer=bearer) as server:
        server.interrupt = look
        repository = Repository(
            url=f"{server.url}/app",
            username="" if bearer else "ada",
            password="" if bearer else SECRET,
            bearer_token=bearer or "",
            force_http_basic_auth=kind == "basic",
        )
        await fetches(store, repository)
    assert seen
    assert not [line for line in seen if SECRET in line]
    for folder, _, files in os.walk(tmp_path / "store"):
        for name in files:
            assert SECRET.encode() not in (Path(folder) / name).read_bytes()


async def test_own_authority(
    content: GitRepo, tmp_path: Path, store: GitStore, authority: Authority
) -> None:  # sources.md 19
    with HttpGitServer(tmp_path / "remote", authority=authority) as server:
        repository = Repository(url=f"{server.url}/app")
        with pytest.raises(RepositoryUnreachable, match="certificate"):
            await store.resolve(repository, "main")
        store.set_trust(Trust(tls_certificates={"localhost": authority.pem}))
        await fetches(store, repository)
        store.set_trust(Trust(tls_certificates={"localhost": Authority().pem}))
        with pytest.raises(RepositoryUnreachable, match="certificate"):
            await store.resolve(repository, "main", fresh=True)


async def test_insecure(content: GitRepo, tmp_path: Path, store: GitStore, authority: Authority) -> None:
    with HttpGitServer(tmp_path / "remote", authority=authority) as server:
        await fetches(store, Repository(url=f"{server.url}/app", insecure=True))


async def test_client_certificate(
    content: GitRepo, tmp_path: Path, store: GitStore, authority: Authority
) -> None:
    store.set_trust(Trust(tls_certificates={"localhost": authority.pem}))
    with HttpGitServer(tmp_path / "remote", authority=authority, client_authority=authority) as server:
        url = f"{server.url}/app"
        with pytest.raises(RepositoryUnreachable):
            await store.resolve(Repository(url=url), "main")
        certificate, key = authority.issue("client")
        await fetches(store, Repository(url=url, tls_client_cert_data=certificate, tls_client_cert_key=key))
    assert not list((tmp_path / "store" / "tmp").iterdir())


async def test_ssh(content: GitRepo, ssh_server: SshGitServer, store: GitStore) -> None:
    store.set_trust(Trust(ssh_known_hosts=ssh_server.known_hosts))
    repository = Repository(
        url=ssh_server.url(content.path), ssh_private_key=ssh_server.private_key.rstrip("\n")
    )
    await fetches(store, repository)
    assert not list((store._root / "tmp").iterdir())


async def test_ssh_wrong_key(content: GitRepo, ssh_server: SshGitServer, store: GitStore) -> None:
    store.set_trust(Trust(ssh_known_hosts=ssh_server.known_hosts))
    other = (ssh_server.folder / "other").read_text()
    for key in (other, ""):
        with pytest.raises(AccessDenied, match=r"^failed to list refs: authentication required"):
            await store.resolve(Repository(url=ssh_server.url(content.path), ssh_private_key=key), "main")


@pytest.mark.parametrize("hosts", ["none", "other"])
async def test_ssh_unknown_host(
    hosts: str, content: GitRepo, ssh_server: SshGitServer, store: GitStore
) -> None:
    store.set_trust(Trust(ssh_known_hosts=ssh_server.other_known_hosts if hosts == "other" else ""))
    repository = Repository(url=ssh_server.url(content.path), ssh_private_key=ssh_server.private_key)
    with pytest.raises(RepositoryUnreachable, match=r"(?i)host key verification failed"):
        await store.resolve(repository, "main")


async def test_ssh_insecure(content: GitRepo, ssh_server: SshGitServer, store: GitStore) -> None:
    await fetches(
        store,
        Repository(url=ssh_server.url(content.path), ssh_private_key=ssh_server.private_key, insecure=True),
    )


async def test_proxy_replaces_the_inherited_one(
    content: GitRepo, tmp_path: Path, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with HttpGitServer(tmp_path / "remote") as server:
        store = make_store(failure_cache_seconds=0.0)
        with pytest.raises(RepositoryUnreachable):
            await store.resolve(Repository(url=f"{server.url}/app"), "main")
        repository = Repository(url=f"{server.url}/app", proxy="http://localhost:2", no_proxy="localhost")
        await fetches(store, repository)


async def test_clean_environment(
    content: GitRepo, tmp_path: Path, store: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's own environment reaches no git command."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "url.http://localhost:1/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "file://")
    await fetches(store, Repository(url=content.url))
