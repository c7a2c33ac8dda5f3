"""Repositories and credentials (sources.md 14.5 and 18)."""

import msgspec
import pytest

from tests.settings.building import secret
from tiphys.settings.problems import SettingError
from tiphys.settings.reading import read_repository
from tiphys.settings.repositories import Repositories, Repository
from tiphys.settings.urls import is_ssh_url, normalize_git_url, same_repository, without_credentials

NORMAL = [
    ("https://GitHub.com/Org/Repo.git", "https://github.com/org/repo"),
    ("  https://github.com/org/repo  ", "https://github.com/org/repo"),
    ("https://github.com/org/repo.git.git", "https://github.com/org/repo.git"),
    ("https://github.com/org/repo/", "https://github.com/org/repo/"),
    ("git@github.com:Org/Repo.git", "git@github.com/org/repo"),
    ("ssh://git@github.com/org/repo.git", "git@github.com/org/repo"),
    ("ssh://git@github.com:22/org/repo", "git@github.com:22/org/repo"),
    ("user@host:path:with:colons", "user@host/path:with:colons"),
    ("file:///srv/git/repo.git", "file:///srv/git/repo"),
    ("/srv/git/repo", "/srv/git/repo"),
    ("oci://reg/x", "oci://reg/x"),
    ("https://h/%zz", ""),
    ("https://h:port/x", ""),
    (":no-scheme", ""),
    ("https://h/\x01", ""),
    ("", ""),
]


@pytest.mark.parametrize(("url", "normal"), NORMAL, ids=[url or "empty" for url, _ in NORMAL])
def test_normal_form(url: str, normal: str) -> None:  # sources.md 14.5
    assert normalize_git_url(url) == normal


def test_ssh_and_scp_forms_are_one_repository() -> None:
    assert same_repository("git@host:org/repo.git", "ssh://git@host/org/repo")
    assert is_ssh_url("git@host:x")
    assert not is_ssh_url("https://host/x")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("fatal: https://u:p@h/x failed", "fatal: https://h/x failed"),
        ("https://token@h/x", "https://h/x"),
        ("https://h/x@v1", "https://h/x@v1"),
        ("git@h:x", "git@h:x"),
    ],
)
def test_urls_without_credentials(text: str, clean: str) -> None:
    assert without_credentials(text) == clean


def repository(url: str, **fields: object) -> Repository:
    return msgspec.structs.replace(Repository(url=url, secret_name="s"), **fields)  # type: ignore[arg-type]


MINE = repository("https://h/org/x.git", project="p", username="mine")
SHARED = repository("https://H/org/x", username="shared")
BARE_SECRET = repository("https://h/org/y")
SHORT = repository("https://h/org", username="short", password="pw", proxy="http://p", enable_oci=True)
LONG = repository("https://h/org/y", username="long", password="pw")
ALL = Repositories.of([MINE, SHARED, BARE_SECRET], [SHORT, LONG])

LOOKUPS = [
    ("https://h/org/x", "p", "mine", False, "the project's Secret wins"),
    ("https://h/org/x", "q", "shared", False, "else one without project"),
    ("https://h/org/x.git", "", "shared", False, "no project asks for no project"),
    ("https://h/org/y", "p", "long", True, "longest template"),
    ("https://h/org-other/z", "p", "short", True, "a prefix is no path segment"),
    ("https://elsewhere/z", "p", "", False, "unknown is bare"),
]


@pytest.mark.parametrize(
    ("url", "project", "username", "inherited"), [c[:4] for c in LOOKUPS], ids=[c[4] for c in LOOKUPS]
)
def test_lookup(url: str, project: str, username: str, inherited: bool) -> None:  # sources.md 18.3
    found = ALL.lookup(url, project)
    assert (found.username, found.inherited_creds, found.url) == (username, inherited, url)


def test_only_scoped_to_another_project_is_unknown() -> None:
    found = Repositories.of([MINE]).lookup("https://h/org/x", "q")
    assert found == Repository(url="https://h/org/x")


def test_templates_fill_what_is_empty_and_overwrite_four_flags() -> None:  # sources.md 18.3
    own = repository("https://h/org/z", proxy="http://own", enable_oci=False, force_http_basic_auth=True)
    found = Repositories.of([own], [SHORT]).lookup("https://h/org/z", "")
    assert (found.proxy, found.password) == ("http://own", "pw")
    assert found.enable_oci
    assert not found.force_http_basic_auth


OWN_CREDENTIALS = [
    ({"username": "u"}, True),
    ({"password": "p"}, True),
    ({"bearer_token": "t"}, True),
    ({"ssh_private_key": "k"}, True),
    ({"tls_client_cert_data": "c"}, True),
    ({"github_app_private_key": "k"}, True),
    ({"use_azure_workload_identity": True}, True),
    ({"azure_service_principal_client_secret": "s"}, True),
    ({"gcp_service_account_key": "k"}, False),
    ({"proxy": "http://p"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("fields", "own"), OWN_CREDENTIALS, ids=[str(list(f)) for f, _ in OWN_CREDENTIALS])
def test_own_credentials_keep_templates_away(fields: dict[str, object], own: bool) -> None:  # sources.md 18.3
    found = Repositories.of([repository("https://h/org/z", **fields)], [SHORT]).lookup("https://h/org/z", "")
    assert found.inherited_creds is not own


def test_a_templates_type_counts_only_when_the_secret_says_none() -> None:
    template = repository("https://h", type="helm", type_given=True, username="u")
    assert Repositories.of([], [template]).lookup("https://h/x", "").type == "helm"
    given = repository("https://h/x", type="git", type_given=True)
    assert Repositories.of([given], [template]).lookup("https://h/x", "").type == "git"


def test_repositories_of_a_charts_dependencies() -> None:  # sources.md 9.5
    common = repository("https://a", type="helm", name="n", username="u")
    own = repository("https://b", type="helm", name="n", username="u", project="p")
    others = [
        repository("https://c", type="helm", name="n", project="q"),
        repository("https://d", type="helm"),
        repository("https://e", name="n"),
        repository("https://forbidden", type="helm", name="n"),
    ]
    repositories = Repositories.of([common, own, *others])
    permits = "https://forbidden".__ne__
    assert repositories.for_charts("p", permits) == (own, common)
    assert repositories.for_charts("", permits) == (common,)
    assert repositories.in_project("p") == (own,)


def test_credentials_of_a_charts_dependencies() -> None:  # sources.md 9.5
    helm, oci = repository("https://h", type="helm"), repository("oci://registry", type="oci")
    repositories = Repositories.of([], [helm, oci, repository("https://git"), repository("x", type="helm")])
    assert set(repositories.chart_templates("x".__ne__)) == {helm, oci}


def test_write_credentials_are_apart() -> None:
    write = repository("https://h/w", username="pusher")
    repositories = Repositories.of([], [], [write], [repository("https://h", username="t")])
    assert repositories.lookup("https://h/w", "").username == ""
    assert repositories.lookup_write("https://h/w", "").username == "pusher"
    assert repositories.lookup_write("https://h/v", "").username == "t"


def test_all_keys_of_a_secret() -> None:  # sources.md 18.2
    data = {
        "url": " https://h/x ",
        "name": "n",
        "type": "helm",
        "project": "p",
        "username": "u",
        "password": "pw",
        "bearerToken": "b",
        "sshPrivateKey": "k",
        "tlsClientCertData": "c",
        "tlsClientCertKey": "ck",
        "githubAppID": "12",
        "githubAppInstallationID": "34",
        "githubAppPrivateKey": "gk",
        "githubAppEnterpriseBaseUrl": "https://ghe",
        "gcpServiceAccountKey": "g",
        "azureServicePrincipalClientId": "ac",
        "azureServicePrincipalClientSecret": "as",
        "azureServicePrincipalTenantId": "at",
        "azureActiveDirectoryEndpoint": "https://ad",
        "useAzureWorkloadIdentity": "T",
        "proxy": "http://p",
        "noProxy": "a,b",
        "forceHttpBasicAuth": "1",
        "enableOCI": "true",
        "insecureOCIForceHttp": "true",
        "insecureIgnoreHostKey": "true",
        "enableLfs": "True",
        "depth": "7",
        "webhookManifestCacheWarmDisabled": "true",
    }
    found = read_repository(secret("r", "repository", data), template=False)
    assert found == Repository(
        url="https://h/x",
        type="helm",
        type_given=True,
        name="n",
        project="p",
        username="u",
        password="pw",
        bearer_token="b",
        ssh_private_key="k",
        tls_client_cert_data="c",
        tls_client_cert_key="ck",
        github_app_id=12,
        github_app_installation_id=34,
        github_app_private_key="gk",
        github_app_enterprise_base_url="https://ghe",
        gcp_service_account_key="g",
        azure_service_principal_client_id="ac",
        azure_service_principal_client_secret="as",
        azure_service_principal_tenant_id="at",
        azure_active_directory_endpoint="https://ad",
        use_azure_workload_identity=True,
        proxy="http://p",
        no_proxy="a,b",
        force_http_basic_auth=True,
        enable_oci=True,
        insecure_oci_force_http=True,
        insecure=True,
        enable_lfs=True,
        depth=7,
        webhook_manifest_cache_warm_disabled=True,
        secret_name="r",
    )


def test_templates_take_no_repository_keys_and_spell_azure_their_way() -> None:
    data = {"url": "https://h", "project": "p", "insecure": "true", "depth": "x"}
    data |= {"azureServicePrincipalClientID": "ac", "azureServicePrincipalTenantID": "at"}
    found = read_repository(secret("t", "repo-creds", data), template=True)
    assert (found.project, found.insecure, found.depth, found.problem) == ("", False, 0, "")
    assert (found.azure_service_principal_client_id, found.azure_service_principal_tenant_id) == ("ac", "at")


@pytest.mark.parametrize(
    ("url", "given", "kind"),
    [("https://h", "", "git"), ("oci://h/x", "", "oci"), ("https://h", "helm", "helm")],
)
def test_type_default(url: str, given: str, kind: str) -> None:  # sources.md 18.2
    assert (
        read_repository(secret("r", "repository", {"url": url, "type": given}), template=False).type == kind
    )


def test_an_unparsable_value_leaves_the_repository_listed_with_a_problem() -> None:  # sources.md 18.2
    data = {"url": "https://h", "depth": "deep", "enableLfs": "maybe", "password": "pw"}
    found = read_repository(secret("r", "repository", data), template=False)
    assert "depth: expected a whole number" in found.problem
    assert "enableLfs: expected a boolean" in found.problem
    assert "deep" not in found.problem
    with pytest.raises(SettingError, match="Secret r, key url: missing"):
        read_repository(secret("r", "repository", {}), template=False)


def test_the_digest_follows_every_credential_and_shows_none() -> None:
    base = repository("https://h/x")
    digests = {base.credential_digest}
    for name in ("username", "password", "bearer_token", "ssh_private_key", "tls_client_cert_key", "proxy"):
        digests.add(msgspec.structs.replace(base, **{name: "secret-value"}).credential_digest)
    assert len(digests) == 7
    assert repository("https://h/x").credential_digest == base.credential_digest
    assert "secret-value" not in repr(msgspec.structs.replace(base, password="secret-value", username="u"))
