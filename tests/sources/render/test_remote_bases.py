"""Remote bases of Kustomize: fetched with the repository's own credentials, for its own host (10.2)."""

from pathlib import Path

import pytest

from tests.gitservers import Authority, GitRepo, HttpGitServer
from tests.sources.render.support import Bench, config_map
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git import Trust

pytestmark = pytest.mark.usefixtures("binaries")

SECRET = "s3cr3t-p4ssw0rd"


def furnish(bench: Bench, base: str, folder: Path) -> None:
    GitRepo(folder / "base").commit(
        {"one/kustomization.yaml": "resources: [cm.yaml]\n", "one/cm.yaml": config_map("far")}
    )
    bench.upstream.git("config", "uploadpack.allowAnySHA1InWant", "true")
    bench.commit(
        {"kustomization.yaml": f"resources:\n- near.yaml\n- {base}\n", "near.yaml": config_map("near")}
    )


async def test_a_private_base_on_the_same_host(bench: Bench, tmp_path: Path) -> None:
    authority = Authority()
    with HttpGitServer(tmp_path, basic=("ada", SECRET), authority=authority) as server:
        furnish(bench, f"{server.url}/base//one?ref=main", tmp_path)
        bench.git.set_trust(Trust(tls_certificates={"localhost": authority.pem}))
        repository = Repository(url=f"{server.url}/upstream", username="ada", password=SECRET)
        found = await bench.names({}, repository=repository)
    assert sorted(found) == ["far", "near"]


async def test_credentials_go_to_no_other_host(bench: Bench, tmp_path: Path) -> None:
    with HttpGitServer(tmp_path, basic=("ada", SECRET)) as server, HttpGitServer(tmp_path) as other:
        furnish(bench, f"{other.url}/base//one?ref=main", tmp_path)
        repository = Repository(
            url=f"{server.url}/upstream", username="ada", password=SECRET, force_http_basic_auth=True
        )
        assert sorted(await bench.names({}, repository=repository)) == ["far", "near"]
        assert not other.seen_authorization


async def test_a_base_that_refuses_shows_no_secret(bench: Bench, tmp_path: Path) -> None:
    with (
        HttpGitServer(tmp_path, basic=("ada", SECRET)) as server,
        HttpGitServer(tmp_path, basic=("other", "other")) as other,
    ):
        furnish(bench, f"{other.url}/base//one?ref=main", tmp_path)
        repository = Repository(url=f"{server.url}/upstream", username="ada", password=SECRET)
        with pytest.raises(SourceError) as caught:
            await bench.rendered({}, repository=repository)
    assert SECRET not in caught.value.message
    assert str(tmp_path) not in caught.value.message


async def test_a_base_in_our_own_folders_is_refused(bench: Bench, tmp_path: Path) -> None:
    """A mirror of somebody else's repository is no base."""
    with HttpGitServer(tmp_path) as server:
        furnish(bench, f"file://{tmp_path}/base//one?ref=main", tmp_path)
        with pytest.raises(SourceError, match="not allowed"):
            await bench.rendered({}, repository=Repository(url=f"{server.url}/upstream"))
