"""A project that demands signatures, from the API to the condition and the sync (applications.md 22)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gitservers import GitRepo
from tests.server.repositories.conftest import Place
from tests.sources.gpg.people import Person, people
from tests.sources.render.support import config_map

APPS = "/api/v1/applications"


@pytest.fixture(scope="module")
def ada() -> Iterator[Person]:
    with people("Ada") as [made]:
        yield made


def guarded(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], **spec},
    }


def policy(mode: str, *keys: str, repos: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    return {"repos": [{"url": url} for url in repos], "gpg": {"mode": mode, "keys": list(keys)}}


def application(place: Place, name: str, project: str, *urls: str, **more: Any) -> dict[str, Any]:
    sources = [{"repoURL": url, "path": "one", "targetRevision": "main"} for url in urls]
    spec: dict[str, Any] = {"source": sources[0]} if len(sources) == 1 else {"sources": sources}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name},
        "spec": {
            "project": project,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": place.admin.namespace},
            **spec,
            **more,
        },
    }


async def conditions(place: Place, name: str, wanted: str) -> list[str]:
    """Messages of the conditions once one of them holds ``wanted``."""

    def found(answer: Any) -> bool:
        return answer.status == 200 and wanted in str(answer.json["status"].get("conditions"))

    answer = await place.admin.until(f"{APPS}/{name}", found)
    return [
        each["message"] for each in answer.json["status"]["conditions"] if each["type"] == "ComparisonError"
    ]


async def in_state(place: Place, name: str, wanted: str) -> None:
    await place.admin.until(
        f"{APPS}/{name}",
        lambda answer: answer.status == 200 and answer.json["status"].get("sync", {}).get("status") == wanted,
    )


async def refresh(place: Place, name: str) -> None:
    await place.admin.get(f"{APPS}/{name}", params={"refresh": "normal"})


async def test_an_unsigned_commit_is_refused_and_a_signed_one_deployed(
    place: Place, tmp_path: Path, ada: Person
) -> None:
    api = place.admin
    repo = GitRepo(tmp_path / "app")
    sha = repo.commit({"one/cm.yaml": config_map("signed-story")})
    assert (await api.call("POST", "/api/v1/gpgkeys", body={"keyData": ada.public})).status == 200
    api.apply(
        guarded("guarded", signatureKeys=[{"keyID": ada.key_id}]),
        application(place, "signed", "guarded", repo.url),
    )
    unsigned = f"GIT/GPG: Failed verifying revision {sha} by 'Ada <ada@example.org>': unsigned (key_id=)"
    assert await conditions(place, "signed", "GIT/GPG") == [unsigned]
    known = (await api.get(f"{APPS}/signed/revisions/{sha}/metadata")).json
    assert known["sourceIntegrityResult"] == {
        "Checks": [{"Name": "GIT/GPG", "Problems": [unsigned.removeprefix("GIT/GPG: ")]}]
    }
    shown = (await api.get(f"{APPS}/signed")).json["status"]
    assert shown["sync"]["status"] == "Unknown"

    refused = await api.call("POST", f"{APPS}/signed/sync", body={})
    assert refused.status in (200, 400), refused.text
    if refused.status == 200:
        done = await api.until(
            f"{APPS}/signed",
            lambda answer: (
                answer.json["status"].get("operationState", {}).get("phase") in ("Error", "Failed")
            ),
        )
        assert "unsigned (key_id=)" in done.json["status"]["operationState"]["message"]
    assert "signed-story" not in api.kubectl("get", "configmaps", "-o", "name")

    sha = repo.commit({"one/cm.yaml": config_map("signed-story", a="2")}, **ada.signs())
    await refresh(place, "signed")
    await in_state(place, "signed", "OutOfSync")
    assert (await api.call("POST", f"{APPS}/signed/sync", body={})).status == 200
    await in_state(place, "signed", "Synced")
    assert "signed-story" in api.kubectl("get", "configmaps", "-o", "name")
    known = (await api.get(f"{APPS}/signed/revisions/{sha}/metadata")).json
    assert not known["sourceIntegrityResult"]["Checks"][0]["Problems"]

    # the key is taken away: what was good is not good any more
    await api.call("DELETE", "/api/v1/gpgkeys", params={"keyID": ada.key_id})
    await refresh(place, "signed")
    [problem] = await conditions(place, "signed", "GIT/GPG")
    assert problem.endswith(f"signed with key not in keyring (key_id={ada.key_id})")
    api.kubectl("delete", "application", "signed", "--wait=false")


async def test_each_source_is_named_and_policies_choose_repositories(
    place: Place, tmp_path: Path, ada: Person
) -> None:
    first, second = GitRepo(tmp_path / "first"), GitRepo(tmp_path / "second")
    first.commit({"one/cm.yaml": config_map("story-one")})
    sha = second.commit({"one/cm.yaml": config_map("story-two")})
    policies = [policy("strict", ada.key_id, repos=("*", f"!{first.url}"))]
    place.admin.apply(
        guarded("chosen", sourceIntegrity={"git": {"policies": policies}}),
        application(place, "both", "chosen", first.url, second.url),
    )
    problem = f"Failed verifying revision {sha} by 'Ada <ada@example.org>': unsigned (key_id=)"
    assert await conditions(place, "both", "GIT/GPG") == [f"GIT/GPG: source 2 of 2: {problem}"]
    # two policies for one repository are one too many
    two = {"git": {"policies": [policy("head", ada.key_id), policy("none")]}}
    place.admin.apply(guarded("chosen", sourceIntegrity=two))
    text = "multiple (2) git source integrity policies found for repo URL"
    [problem] = await conditions(place, "both", text)
    assert problem.startswith("Failed to load target state: failed to generate manifest for source 1 of 2: ")
    # none is none
    place.admin.apply(guarded("chosen", sourceIntegrity={"git": {"policies": [policy("none")]}}))
    await in_state(place, "both", "OutOfSync")
    place.admin.kubectl("delete", "application", "both", "--wait=false")


async def test_local_manifests_are_refused(place: Place, tmp_path: Path, ada: Person) -> None:
    """Also those that somebody writes into the Application past the API."""
    repo = GitRepo(tmp_path / "app")
    repo.commit({"one/cm.yaml": config_map("story-local")})
    app = application(place, "local", "locked", repo.url)
    app["operation"] = {"sync": {"manifests": [config_map("smuggled")]}}
    place.admin.apply(guarded("locked", signatureKeys=[{"keyID": ada.key_id}]))
    place.admin.apply(app)
    done = await place.admin.until(
        f"{APPS}/local",
        lambda answer: (
            answer.status == 200
            and answer.json["status"].get("operationState", {}).get("phase") in ("Error", "Failed")
        ),
    )
    message = done.json["status"]["operationState"]["message"]
    assert "Cannot use local manifests when source integrity is enforced" in message
    assert "smuggled" not in place.admin.kubectl("get", "configmaps", "-o", "name")
    place.admin.kubectl("delete", "application", "local", "--wait=false")
