"""Credentials that are exchanged for a token first, against issuers over HTTPS (sources.md 18.4)."""

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gitservers import Authority, GitRepo, HttpGitServer
from tests.sources.git.conftest import MakeStore
from tests.sources.git.issuers import (
    APP,
    CLIENT,
    CLIENT_SECRET,
    FEDERATED,
    TENANT,
    Issuers,
    issuing,
)
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable, SourceError
from tiphys.sources.git import GitStore, Trust
from tiphys.sources.git.tokens import Tokens
from tiphys.sources.git.tokens.keeping import Kind, Limits, kind_of

GOOGLE_USER = "deploy@project.iam.gserviceaccount.com"


@pytest.fixture
async def issuers(tmp_path: Path, authority: Authority) -> AsyncIterator[Issuers]:
    async with issuing(tmp_path / "issuers", authority) as made:
        yield made


@pytest.fixture
def server(repo: GitRepo, tmp_path: Path) -> Iterator[HttpGitServer]:
    repo.commit({"a": "1"})
    (tmp_path / "remote" / "team").symlink_to(tmp_path / "remote")
    with HttpGitServer(tmp_path / "remote") as made:
        yield made


@pytest.fixture
def store(make_store: MakeStore, authority: Authority) -> GitStore:
    store = make_store(failure_cache_seconds=0.0)
    store.set_trust(Trust(tls_certificates={"localhost": authority.pem}))
    return store


def given(kind: str, issuers: Issuers, url: str, **changes: Any) -> Repository:
    fields: dict[str, Any] = {
        "github": {
            "github_app_id": APP,
            "github_app_installation_id": 7,
            "github_app_private_key": issuers.pem(),
            "github_app_enterprise_base_url": f"{issuers.url}/api/v3",
        },
        "google": {"gcp_service_account_key": issuers.google_key()},
        "principal": {
            "azure_service_principal_client_id": CLIENT,
            "azure_service_principal_client_secret": CLIENT_SECRET,
            "azure_service_principal_tenant_id": TENANT,
            "azure_active_directory_endpoint": issuers.url,
        },
        "workload": {"use_azure_workload_identity": True},
    }[kind]
    return Repository(**{"url": f"{url}/team/app", **fields, **changes})


@pytest.fixture
def workload(issuers: Issuers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "federated").write_text(FEDERATED + "\n")
    for name, value in (
        ("FEDERATED_TOKEN_FILE", str(tmp_path / "federated")),
        ("CLIENT_ID", CLIENT),
        ("TENANT_ID", TENANT),
        ("AUTHORITY_HOST", f"{issuers.url}/"),
    ):
        monkeypatch.setenv(f"AZURE_{name}", value)


KINDS = [
    pytest.param("github", "x-access-token", False, id="18.4 GitHub App"),
    pytest.param("google", GOOGLE_USER, False, id="18.4 GCP"),
    pytest.param("principal", "", True, id="18.4 Azure SP"),
    pytest.param("workload", "", True, id="18.4 Azure WI"),
]


async def fetches(store: GitStore, repository: Repository) -> None:
    sha = await store.resolve(repository, "main", fresh=True)
    entry = await store.entry(repository, sha, "a")
    assert entry is not None
    assert await store.blobs(repository, sha, [entry.oid]) == [b"1"]


@pytest.mark.parametrize(("kind", "user", "bearer"), KINDS)
async def test_a_token_is_what_git_gets(
    kind: str,
    user: str,
    bearer: bool,
    issuers: Issuers,
    workload: None,
    server: HttpGitServer,
    store: GitStore,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if bearer:
        server.bearer = issuers.give
    else:
        server.basic = (user, issuers.give)
    repository = given(kind, issuers, server.url)
    with caplog.at_level(logging.DEBUG):
        await fetches(store, repository)
        await fetches(store, repository)
    assert len(issuers.requests) == 1  # kept
    shown = f"{caplog.text} {''.join(capfd.readouterr())} {store._runner.tokens._tokens!r}"
    for secret in (issuers.give, CLIENT_SECRET, FEDERATED, "PRIVATE KEY"):
        assert secret not in shown


@pytest.mark.parametrize(("kind", "user", "bearer"), KINDS)
async def test_a_refusal_names_the_issuers_words_and_no_secret(
    kind: str,
    user: str,
    bearer: bool,
    issuers: Issuers,
    workload: None,
    server: HttpGitServer,
    store: GitStore,
) -> None:
    issuers.status = 401
    secret = {"principal": CLIENT_SECRET, "workload": FEDERATED}.get(kind, "")
    issuers.words = {"error": "x", "error_description": f"no <{secret}>\n here"}
    with pytest.raises(AccessDenied) as caught:
        await store.resolve(given(kind, issuers, server.url), "main")
    shown = f"no <{'******' if secret else ''}> here"
    assert caught.value.message.endswith(f" localhost answered 401: {shown}")
    assert not server.requests


async def test_the_installation_of_the_account_is_looked_up(
    issuers: Issuers, server: HttpGitServer, store: GitStore
) -> None:  # 18.2: installation 0
    server.basic = ("x-access-token", issuers.give)
    issuers.installations = {**{100 + each: f"other-{each}" for each in range(120)}, 7: "TEAM"}
    repository = given("github", issuers, server.url, github_app_installation_id=0)
    await fetches(store, repository)
    assert issuers.requests == [
        "GET /api/v3/app/installations?per_page=100&page=1",
        "GET /api/v3/app/installations?per_page=100&page=2",
        "POST /api/v3/app/installations/7/access_tokens",
    ]
    issuers.installations = {8: "other"}
    with pytest.raises(AccessDenied, match="the app 4711 is not installed on elsewhere"):
        await store.resolve(msgspec.structs.replace(repository, url=f"{server.url}/elsewhere/app"), "main")


async def test_a_token_that_a_server_refuses_is_replaced_once(
    issuers: Issuers, server: HttpGitServer, store: GitStore
) -> None:
    clock = [time.time()]
    store._runner.tokens._now = lambda: clock[0]
    server.basic = ("x-access-token", issuers.give)
    repository = given("github", issuers, server.url)
    await fetches(store, repository)
    issuers.give = "ghs_second-token"
    server.basic = ("x-access-token", issuers.give)
    clock[0] += 31.0
    await fetches(store, repository)
    assert len(issuers.requests) == 2
    server.basic = ("x-access-token", "another")
    with pytest.raises(AccessDenied) as caught:
        await store.resolve(repository, "main", fresh=True)
    assert len(issuers.requests) == 2  # only just made: not worth another try
    assert issuers.give not in caught.value.message
    await_next = pytest.raises(AccessDenied)
    with await_next:
        await store.resolve(repository, "main", fresh=True)
    assert len(issuers.requests) == 3


async def test_conversations_that_are_refused_together_share_the_next_token(
    issuers: Issuers, authority: Authority
) -> None:
    clock = [time.time()]
    tokens = Tokens(now=lambda: clock[0])
    trust = Trust(tls_certificates={"localhost": authority.pem})
    repository = given("github", issuers, "https://localhost:1")
    refused = (await tokens.equip(repository, trust)).password
    clock[0] += 31.0
    issuers.give = "ghs_second-token"
    assert tokens.forget(repository, refused)
    assert tokens.forget(repository, refused)  # before there is another
    assert (await tokens.equip(repository, trust)).password == issuers.give
    assert tokens.forget(repository, refused)  # and after
    assert (await tokens.equip(repository, trust)).password == issuers.give
    assert len(issuers.requests) == 2
    assert not tokens.forget(repository, issuers.give)  # only just made
    assert not tokens.forget(Repository(url="https://localhost:1/x", password=refused), refused)
    await tokens.close()


@pytest.mark.parametrize(
    ("kind", "limits", "lasting", "kept"),
    [
        pytest.param(
            "github", Limits(github=120.0), 3600, 120.0, id="ARGOCD_GITHUB_APP_CREDS_EXPIRATION_DURATION"
        ),
        pytest.param(
            "principal",
            Limits(azure_principal=90.0),
            3600,
            90.0,
            id="ARGOCD_AZURE_SERVICE_PRINCIPAL_CREDS_EXPIRATION_DURATION",
        ),
        pytest.param("google", Limits(), 600, 540.0, id="a minute before its end"),
    ],
)
async def test_how_long_a_token_is_kept(
    kind: str, limits: Limits, lasting: int, kept: float, issuers: Issuers, authority: Authority
) -> None:
    clock = [begun := time.time()]
    tokens = Tokens(limits, now=lambda: clock[0])
    trust = Trust(tls_certificates={"localhost": authority.pem})
    issuers.lasting = lasting
    repository = given(kind, issuers, "https://localhost:1")
    for after, requests in ((0.0, 1), (kept - 2.0, 1), (kept + 1.0, 2)):
        clock[0] = begun + after
        equipped = await tokens.equip(repository, trust)
        assert (equipped.password, len(issuers.requests)) == (issuers.give, requests)
    await tokens.close()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"github_app_private_key": "no key"}, "githubAppPrivateKey is no RSA key in PEM form"),
        ({"github_app_enterprise_base_url": "http://localhost:1"}, "the issuer must be reached over https"),
    ],
)
async def test_what_cannot_be_asked(
    changes: dict[str, Any], text: str, issuers: Issuers, store: GitStore
) -> None:
    with pytest.raises(AccessDenied, match=text):
        await store.resolve(given("github", issuers, "https://localhost:1", **changes), "main")


async def test_a_public_key_signs_nothing(issuers: Issuers, store: GitStore) -> None:
    key = issuers.public_pem()
    github = given("github", issuers, "https://localhost:1", github_app_private_key=key)
    with pytest.raises(AccessDenied, match="githubAppPrivateKey is no RSA key in PEM form"):
        await store.resolve(github, "main")
    google = json.dumps({"client_email": "a@b", "private_key": key})
    with pytest.raises(AccessDenied, match="private_key is no RSA key in PEM form"):
        await store.resolve(Repository(url="https://localhost:1/x", gcp_service_account_key=google), "main")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("{", "gcpServiceAccountKey is no JSON object"),
        ('{"type": "authorized_user"}', "gcpServiceAccountKey is not the key of a service account"),
        ('{"client_email": "a@b", "private_key": "x"}', "private_key is no RSA key in PEM form"),
    ],
)
async def test_keys_of_google_that_are_none(key: str, text: str, store: GitStore) -> None:
    with pytest.raises(AccessDenied, match=text):
        await store.resolve(Repository(url="https://localhost:1/x", gcp_service_account_key=key), "main")


async def test_a_process_without_identity(store: GitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE", raising=False)
    with pytest.raises(AccessDenied, match="this process has no workload identity"):
        await store.resolve(Repository(url="https://localhost:1/x", use_azure_workload_identity=True), "main")


async def test_an_issuer_whose_certificate_is_not_trusted(
    issuers: Issuers, server: HttpGitServer, store: GitStore
) -> None:  # sources.md 19
    store.set_trust(Trust())
    with pytest.raises(
        RepositoryUnreachable, match="cannot get a GitHub App installation token: localhost: "
    ):
        await store.resolve(given("github", issuers, server.url), "main")
    insecure = given("github", issuers, server.url, insecure=True)
    server.basic = ("x-access-token", issuers.give)
    await fetches(store, insecure)


async def test_the_workloads_token_goes_to_its_own_authority_only(
    issuers: Issuers, workload: None, server: HttpGitServer, store: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write a repository must not get the token of our own identity sent to his server."""
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://localhost:1")
    repository = given("workload", issuers, server.url, azure_active_directory_endpoint=issuers.url)
    with pytest.raises(SourceError):
        await store.resolve(repository, "main")
    assert not issuers.requests


APP_KEY = {"github_app_id": 1, "github_app_private_key": "k"}
PRINCIPAL = {
    "azure_service_principal_client_id": "c",
    "azure_service_principal_client_secret": "s",
    "azure_service_principal_tenant_id": "t",
}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, None),
        ({"password": "p", **APP_KEY}, None),
        ({"bearer_token": "b", **APP_KEY}, None),
        ({"ssh_private_key": "k", **APP_KEY}, None),
        ({"github_app_private_key": "k", "gcp_service_account_key": "{}"}, Kind.GOOGLE),
        ({**APP_KEY, "gcp_service_account_key": "{}"}, Kind.GITHUB_APP),
        ({"gcp_service_account_key": "{}", "use_azure_workload_identity": True}, Kind.GOOGLE),
        ({"use_azure_workload_identity": True, **PRINCIPAL}, Kind.AZURE_WORKLOAD),
        (PRINCIPAL, Kind.AZURE_PRINCIPAL),
        ({**PRINCIPAL, "azure_service_principal_tenant_id": ""}, None),
        ({"url": "git@example.org:x/y", **APP_KEY}, None),
    ],
)
def test_the_first_kind_that_applies(fields: dict[str, Any], kind: Kind | None) -> None:  # 18.4
    assert kind_of(Repository(**{"url": "https://example.org/x/y", **fields})) is kind
