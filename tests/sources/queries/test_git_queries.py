"""Refs, applications and access of Git repositories (sources.md 16), over file, HTTPS and SSH."""

from pathlib import Path

import pytest

from tests.gitservers import Authority, GitRepo, HttpGitServer, SshGitServer
from tests.sources.render.support import Bench, Upstream
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable, RevisionNotFound, SourceError
from tiphys.sources.git.access import Trust
from tiphys.sources.queries import check_access, list_apps, list_oci_tags, list_refs

ALL_TOOLS = frozenset({"helm", "kustomize", "jsonnet"})
SECRET = "hunter2-hunter2"


async def test_refs_are_short_and_sorted(bench: Bench) -> None:  # sources.md 16
    for name in ("zeta", "feature/a", "alpha"):
        bench.upstream.git("branch", name)
    bench.upstream.git("tag", "v2")
    bench.upstream.git("tag", "-a", "-m", "annotated", "v1")
    refs = await list_refs(bench.git, bench.upstream.repository)
    assert refs.branches == ("alpha", "feature/a", "main", "zeta")
    assert refs.tags == ("v1", "v2")


async def test_what_is_no_url_is_refused(bench: Bench) -> None:  # sources.md 16
    with pytest.raises(SourceError, match=r'repository URL "a b://user@\[" is invalid') as caught:
        await list_refs(bench.git, Repository(url="a b://user:pw@["))
    assert caught.value.code == "InvalidArgument"


async def test_oci_tags_are_not_supported_yet(bench: Bench) -> None:
    with pytest.raises(SourceError) as caught:
        await list_oci_tags(Repository(url="oci://registry.example/x", type="oci"))
    assert caught.value.code == "Unimplemented"


async def test_directories_with_charts_and_kustomizations(bench: Bench) -> None:  # sources.md 3, 16
    found = await list_apps(bench.git, bench.renderer, bench.upstream.repository, "", ALL_TOOLS)
    assert list(found.items()) == [
        ("both", "Kustomize"),
        ("chart", "Helm"),
        ("deep/er", "Kustomize"),
        ("kust", "Kustomize"),
        ("odd", "Helm"),
    ]


@pytest.mark.parametrize(
    ("enabled", "both"), [({"helm"}, "Helm"), ({"kustomize"}, "Kustomize"), (set[str](), None)]
)
async def test_disabled_tools_find_nothing(bench: Bench, enabled: set[str], both: str | None) -> None:
    found = await list_apps(bench.git, bench.renderer, bench.upstream.repository, "main", enabled)
    assert found.get("both") == both


async def test_the_root_is_a_dot_and_the_revision_counts(bench: Bench) -> None:
    before = bench.sha
    bench.commit({"Chart.yaml": "name: root\n"})
    repository = bench.upstream.repository
    assert (await list_apps(bench.git, bench.renderer, repository, bench.sha, ALL_TOOLS))["."] == "Helm"
    assert "." not in await list_apps(bench.git, bench.renderer, repository, before, ALL_TOOLS)
    with pytest.raises(RevisionNotFound):
        await list_apps(bench.git, bench.renderer, repository, "nowhere", ALL_TOOLS)


# --- access --------------------------------------------------------------------------------------


async def test_a_file_repository_answers(bench: Bench) -> None:
    await check_access(bench.git, bench.renderer.charts, bench.upstream.repository)


@pytest.mark.parametrize(
    ("repository", "code", "text"),
    [
        pytest.param(
            Repository(url="file:///nowhere/at/all"),
            "Unknown",
            "error testing repository connectivity: unable to ls-remote HEAD on repository: "
            "failed to list refs: repository not found",
            id="absent",
        ),
        pytest.param(
            Repository(url="https://localhost:1/x"),
            "Unknown",
            "error testing repository connectivity: unable to ls-remote HEAD on repository: "
            "failed to list refs: ",
            id="refused",
        ),
        pytest.param(
            Repository(url="x", type="svn"), "Unknown", 'unsupported repository type "svn"', id="type"
        ),
        pytest.param(Repository(url="oci://x/y", type="oci"), "Unimplemented", "not supported yet", id="oci"),
        pytest.param(
            Repository(url="registry.example/path", type="helm", enable_oci=True),
            "Unknown",
            "connectivity: OCI Helm repository URL should include hostname and port only",
            id="registry with a path",
        ),
        pytest.param(
            Repository(url="http://localhost:1/charts", type="helm"),
            "Unknown",
            "error testing repository connectivity: failed to get index: ",
            id="no index",
        ),
    ],
)
async def test_what_cannot_be_reached(bench: Bench, repository: Repository, code: str, text: str) -> None:
    with pytest.raises(SourceError) as caught:
        await check_access(bench.git, bench.renderer.charts, repository)
    assert caught.value.code == code
    assert text in caught.value.message


async def test_an_empty_repository_is_no_answer(bench: Bench, tmp_path: Path) -> None:
    Upstream(tmp_path / "empty")
    with pytest.raises(SourceError, match="remote repository is empty"):
        await check_access(bench.git, bench.renderer.charts, Repository(url=f"file://{tmp_path}/empty"))


async def test_https_with_password_and_certificates(bench: Bench, tmp_path: Path) -> None:
    GitRepo(tmp_path / "remote" / "app").commit({"a": "1"})
    authority = Authority()
    charts = bench.renderer.charts
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET), authority=authority) as server:
        good = Repository(url=f"{server.url}/app", username="ada", password=SECRET)
        with pytest.raises(RepositoryUnreachable, match="certificate"):
            await check_access(bench.git, charts, good)
        bench.git.set_trust(Trust(tls_certificates={"localhost": authority.pem}))
        await check_access(bench.git, charts, good)
        for wrong in (Repository(url=good.url), Repository(url=good.url, username="ada", password="wrong")):
            with pytest.raises(AccessDenied) as caught:
                await check_access(bench.git, charts, wrong)
            assert "authentication required" in caught.value.message
            assert SECRET not in caught.value.message


async def test_ssh_with_key_and_known_hosts(bench: Bench, tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "remote" / "app")
    repo.commit({"a": "1"})
    charts = bench.renderer.charts
    with SshGitServer(tmp_path / "sshd") as server:
        url = server.url(repo.path)
        good = Repository(url=url, ssh_private_key=server.private_key)
        with pytest.raises(RepositoryUnreachable, match=r"[Hh]ost key verification failed"):
            await check_access(bench.git, charts, good)
        bench.git.set_trust(Trust(ssh_known_hosts=server.known_hosts))
        await check_access(bench.git, charts, good)
        with pytest.raises(AccessDenied):
            await check_access(bench.git, charts, Repository(url=url))


async def test_what_was_reachable_a_moment_ago_is_asked_again(bench: Bench, tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "remote" / "app")
    repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    await list_refs(bench.git, repository)
    repo.path.rename(tmp_path / "elsewhere")
    with pytest.raises(RepositoryUnreachable):
        await check_access(bench.git, bench.renderer.charts, repository)
