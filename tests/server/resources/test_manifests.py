"""Manifests and revisions of sources over the API (api.md 8.2, sources.md 2, 14.6)."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.server.grpc.client import CallFailed
from tests.server.resources.archives import MAP, add, link, packed
from tests.server.resources.site import APPS, Site, refusal

pytestmark = pytest.mark.controlplane
WITH_FILES = "application.ApplicationService/GetManifestsWithFiles"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def manifests(site: Site) -> AsyncIterator[Site]:
    await site.create("manifests", sync=False)
    await site.create(
        "several",
        sync=False,
        source=None,
        sources=[
            {"repoURL": site.url, "path": path, "targetRevision": "main"} for path in ("second", "manifests")
        ],
    )
    await site.create("broken", sync=False)
    yield site


def objects(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(text) for text in answer["manifests"]]


async def test_what_the_source_renders_to(manifests: Site) -> None:
    answer = await manifests.reader.get(f"{APPS}/manifests/manifests")
    assert answer.status == 200, answer.text
    first, second = objects(answer.json)
    assert first["data"] == {"key": "value"}
    tracked = first["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert tracked == f"manifests:/ConfigMap:{manifests.place}/first"
    assert second["data"] == {"key": "++++++++"}, "Secrets are masked"
    assert set(answer.json) == {"manifests"}


async def test_a_revision(manifests: Site) -> None:
    answer = await manifests.reader.get(f"{APPS}/manifests/manifests", params={"revision": "main"})
    assert len(answer.json["manifests"]) == 2
    answer = await manifests.reader.get(f"{APPS}/manifests/manifests", params={"revision": "no-such"})
    assert answer.status == 500
    assert "no-such" in answer.json["message"]


async def test_several_sources(manifests: Site) -> None:
    answer = await manifests.reader.get(f"{APPS}/several/manifests")
    assert [each["metadata"]["name"] for each in objects(answer.json)] == ["third", "first", "second"]
    params = [("sourcePositions", "1"), ("revisions", manifests.git("rev-parse", "HEAD"))]
    answer = await manifests.reader.get(f"{APPS}/several/manifests", params=params)
    assert len(answer.json["manifests"]) == 3
    for position in ("0", "3"):
        params = [("sourcePositions", position), ("revisions", "main")]
        answer = await manifests.reader.get(f"{APPS}/several/manifests", params=params)
        assert refusal(answer) == (500, "source position is out of range")


async def test_the_dry_source_of_a_hydrator(manifests: Site) -> None:
    hydrator = {
        "drySource": {"repoURL": manifests.url, "path": "second", "targetRevision": "main"},
        "syncSource": {"targetBranch": "hydrated", "path": "manifests"},
    }
    app = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "dry"},
        "spec": {
            "project": "team",
            "sourceHydrator": hydrator,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": manifests.place},
        },
    }
    manifests.admin.apply(app)
    answer = await manifests.admin.until(f"{APPS}/dry/manifests", lambda a: a.status == 200)
    assert [each["metadata"]["name"] for each in objects(answer.json)] == ["third"]
    path = f"revisions/{manifests.git('rev-parse', 'HEAD')}/metadata"
    answer = await manifests.reader.get(f"{APPS}/dry/{path}", params={"sourceIndex": "-1"})
    assert answer.status == 200, answer.text
    answer = await manifests.reader.get(f"{APPS}/manifests/{path}", params={"sourceIndex": "-1"})
    assert refusal(answer) == (500, "source index -1 not found because there is only 1 source")


async def test_what_cannot_be_rendered(manifests: Site) -> None:
    answer = await manifests.reader.get(f"{APPS}/broken/manifests")
    assert answer.status == 400, "the code of the failure stays"
    assert "a.yaml" in answer.json["message"]


async def test_a_source_that_the_project_forbids(manifests: Site) -> None:
    # who writes Applications with kubectl reads no other repository through the API
    app = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "forbidden"},
        "spec": {
            "project": "narrow",
            "source": {"repoURL": manifests.url, "path": "manifests"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": manifests.place},
        },
    }
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "narrow"},
        "spec": {
            "sourceRepos": ["https://example.org/*"],
            "destinations": [{"server": "*", "namespace": "*"}],
        },
    }
    manifests.admin.apply(project, app)
    await manifests.settled("forbidden")
    sha = manifests.git("rev-parse", "HEAD")
    for path in ("manifests", f"revisions/{sha}/metadata"):
        answer = await manifests.admin.get(f"{APPS}/forbidden/{path}")
        assert answer.status == 403, answer.text
        assert "is not permitted in project 'narrow'" in answer.json["message"]


async def send(site: Site, archive: bytes, **query: Any) -> dict[str, Any]:
    asked = {"name": "manifests", "checksum": hashlib.sha256(archive).hexdigest(), **query}
    pieces = [archive[at : at + 100] for at in range(0, len(archive), 100)]
    messages = [{"query": asked}, *({"chunk": {"chunk": piece}} for piece in pieces)]
    async with site.reader.grpc() as client:
        return await client.call(WITH_FILES, messages)


async def test_files_of_the_client(manifests: Site) -> None:
    # sources.md 2: the source's path inside of what is sent
    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "manifests/a.yaml")
        link(archive, "manifests/b.yaml", "../other/b.yaml")
        add(archive, "other/b.yaml", MAP.replace(b"sent", b"linked"))

    found = objects(await send(manifests, packed(fill)))
    assert sorted(each["metadata"]["name"] for each in found) == ["linked", "sent"]
    assert found[0]["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].startswith("manifests:")


async def test_files_over_rest(manifests: Site) -> None:
    # api.md 3: one JSON message after the other, bytes in base64
    archive = packed(lambda a: add(a, "manifests/a.yaml"))
    messages = [
        {"query": {"name": "manifests", "checksum": hashlib.sha256(archive).hexdigest()}},
        {"chunk": {"chunk": base64.b64encode(archive[:50]).decode()}},
        {"chunk": {"chunk": base64.b64encode(archive[50:]).decode()}},
    ]
    answer = await manifests.reader.call(
        "POST", f"{APPS}/manifestsWithFiles", data="\n".join(map(json.dumps, messages)).encode()
    )
    assert answer.status == 200, answer.text
    assert [each["metadata"]["name"] for each in objects(answer.json)] == ["sent"]


def _reads(target: str, kind: bytes = tarfile.SYMTYPE) -> Callable[[tarfile.TarFile], None]:
    return lambda archive: link(archive, "manifests/a.yaml", target, kind)


def _through_a_link(archive: tarfile.TarFile) -> None:
    link(archive, "here", ".")
    link(archive, "here/up", "..")


@pytest.mark.parametrize(
    ("fill", "text"),
    [
        pytest.param(_reads("/etc/passwd"), "out-of-bounds symlinks. file: manifests/a.yaml", id="absolute"),
        pytest.param(_reads("../../x"), "out-of-bounds symlinks. file: manifests/a.yaml", id="relative"),
        pytest.param(_through_a_link, "out-of-bounds symlinks. file: here/up", id="by-two-links"),
        pytest.param(_reads("../other", tarfile.LNKTYPE), "manifests/a.yaml is no file", id="hard-link"),
        pytest.param(lambda a: add(a, "pipe", b"", type=tarfile.FIFOTYPE), "pipe is no file", id="pipe"),
        pytest.param(lambda a: add(a, "../out.yaml"), "illegal filepath in archive", id="up"),
        pytest.param(lambda a: add(a, "/tmp/out.yaml"), "illegal filepath in archive", id="root"),
        pytest.param(
            lambda a: (add(a, "x"), add(a, "x/y")), "receiving manifest file stream", id="below-a-file"
        ),
        pytest.param(
            lambda a: add(a, "x" * 300), "receiving manifest file stream: File name too long", id="long-name"
        ),
    ],
)
async def test_archives_that_lead_out_of_themselves(manifests: Site, fill: Any, text: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await send(manifests, packed(fill))
    assert failed.value.code == "Unknown"
    assert text in failed.value.message


async def test_what_is_no_archive(manifests: Site) -> None:
    with pytest.raises(CallFailed, match="code = Unknown desc = error receiving manifest file stream"):
        await send(manifests, b"no gzip at all")
    with pytest.raises(CallFailed, match="the checksum does not match"):
        await send(manifests, packed(lambda a: add(a, "manifests/a.yaml")), checksum="00")
    async with manifests.reader.grpc() as client:
        with pytest.raises(CallFailed, match="expected a query first"):
            await client.call(WITH_FILES, [{"chunk": {"chunk": b"x"}}])


async def test_files_for_what_one_may_not_see(manifests: Site) -> None:
    messages = [{"query": {"name": "manifests", "checksum": "00"}}]
    async with manifests.stranger.grpc() as client:
        with pytest.raises(CallFailed, match="code = PermissionDenied desc = permission denied"):
            await client.call(WITH_FILES, messages)


async def test_a_commit(manifests: Site) -> None:
    # sources.md 14.6
    sha = manifests.git("rev-parse", "HEAD")
    answer = await manifests.reader.get(f"{APPS}/manifests/revisions/{sha}/metadata")
    assert answer.status == 200, answer.text
    found = answer.json
    assert found["author"] == "Ada <ada@example.org>"
    assert found["message"] == "All that is needed\n\nAnd why"
    assert found["date"].endswith("Z")


@pytest.mark.parametrize(
    ("path", "params", "text"),
    [
        ("main/metadata", {}, "revision main must be resolved"),
        ("main/metadata", {"versionId": "7"}, "version ID 7 not found because the app has no history"),
        ("main/metadata", {"sourceIndex": "1"}, "source index 1 not found because there is only 1 source"),
        ("main/chartdetails", {}, "no chart found for application: manifests"),
        ("main/ocimetadata", {}, "no OCI source found for application: manifests"),
    ],
)
async def test_revisions_that_are_not_there(
    manifests: Site, path: str, params: dict[str, str], text: str
) -> None:
    answer = await manifests.reader.get(f"{APPS}/manifests/revisions/{path}", params=params)
    assert answer.json["message"] == text
    assert answer.status in (400, 500)


async def test_an_entry_of_the_history(site: Site) -> None:
    app = await site.create("history", path="second")
    sha = app["status"]["sync"]["revision"]
    answer = await site.reader.get(f"{APPS}/history/revisions/{sha}/metadata", params={"versionId": "0"})
    assert answer.status == 200, answer.text
    answer = await site.reader.get(f"{APPS}/history/revisions/{sha}/metadata", params={"versionId": "9"})
    assert refusal(answer) == (500, "revision history not found for version ID 9")
    params = {"versionId": "0", "sourceIndex": "2"}
    answer = await site.reader.get(f"{APPS}/history/revisions/{sha}/metadata", params=params)
    assert refusal(answer) == (500, "source index 2 not found because there is only 1 source")
