"""Changing and deleting Applications over REST (api.md 8.2)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.server.applications.place import KINDS, Place, refusal

pytestmark = pytest.mark.controlplane

FINALIZER = "resources-finalizer.argocd.argoproj.io"


async def test_update_replaces_spec_labels_annotations_finalizers_and_nothing_else(place: Place) -> None:
    app = await place.create(metadata={"labels": {"a": "1", "b": "1"}, "annotations": {"x": "1"}})
    name = app["metadata"]["name"]
    await place.settled(name)
    before = await place.stored(name)
    body = place.manifest(name, source={"repoURL": place.repository.url, "path": "two"})
    body["metadata"] |= {"labels": {"b": "2"}, "finalizers": [FINALIZER]}
    body["status"] = {"sync": {"status": "Nonsense"}}
    body["operation"] = {"sync": {}}
    answer = await place.tenant.call("PUT", f"{KINDS}/{name}", body=body)
    assert answer.status == 200, answer.text
    assert answer.json["spec"]["source"]["path"] == "two"
    after = await place.stored(name)
    assert after["spec"]["source"] == {"repoURL": place.repository.url, "path": "two"}
    assert after["metadata"]["labels"] == {"b": "2"}
    assert "x" not in after["metadata"].get("annotations", {})
    assert after["metadata"]["finalizers"] == [FINALIZER]
    assert after["status"]["sync"]["status"] != "Nonsense"
    assert "operation" not in after
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    shown = (await place.tenant.get(KINDS, params={"name": name})).json["items"][0]
    assert shown["spec"]["source"]["path"] == "two"
    await place.told(name, "ResourceUpdated", "tenant updated application spec")


async def test_an_update_wakes_the_controller(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    spec = place.manifest(name, source={"repoURL": place.repository.url, "path": "two"})["spec"]
    answer = await place.tenant.call("PUT", f"{KINDS}/{name}/spec", body=spec)
    assert answer.status == 200, answer.text
    assert answer.json == spec  # only the normalised spec
    await place.admin.until(
        f"{KINDS}/{name}",
        lambda answer: answer.json["status"]["sync"]["comparedTo"]["source"]["path"] == "two",
    )


async def test_nothing_in_the_body(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    answer = await place.admin.call("PUT", f"{KINDS}/{name}/spec")
    assert refusal(answer) == (500, 13, 'grpc: error while marshaling: proto: required field "spec" not set')
    # the path makes an Application of the name, which has no destination
    status, code, _ = refusal(await place.admin.call("PUT", f"{KINDS}/{name}"))
    assert (status, code) == (400, 3)


async def test_moving_to_another_project_needs_rights_in_both(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    spec = place.manifest(name, project="other")["spec"]
    status, code, message = refusal(
        await place.tenant.call("PUT", f"{KINDS}/{name}/spec", body=spec, params={"validate": "false"})
    )
    assert (status, code) == (403, 7)
    assert message.startswith(f"permission denied: applications, create, other/{name}")
    body = {"metadata": {"name": name}, "spec": spec}
    taken = await place.stranger.call("PUT", f"{KINDS}/{name}", body=body)
    assert refusal(taken) == (403, 7, "permission denied")
    upsert = await place.stranger.call(
        "POST", KINDS, body=body, params={"upsert": "true", "validate": "false"}
    )
    assert refusal(upsert)[:2] == (403, 7)
    moved = await place.admin.call("PUT", f"{KINDS}/{name}/spec", body={**spec, "project": "gone"})
    assert refusal(moved) == (
        400,
        3,
        'app is not allowed in project "gone", or the project does not exist',
    )
    moved = await place.admin.call("PUT", f"{KINDS}/{name}/spec", body=spec)
    assert moved.status == 200, moved.text
    assert refusal(await place.tenant.get(f"{KINDS}/{name}")) == (403, 7, "permission denied")


@pytest.mark.parametrize(
    ("patch_type", "patch"),
    [
        ("merge", {"metadata": {"labels": {"p": "1"}}, "status": {"sync": {"status": "X"}}}),
        ("json", [{"op": "add", "path": "/metadata/labels", "value": {"p": "1"}}]),
        ("", [{"op": "add", "path": "/metadata/labels", "value": {"p": "1"}}]),
    ],
)
async def test_patches(place: Place, patch_type: str, patch: Any) -> None:
    name = (await place.create())["metadata"]["name"]
    body = {"patch": json.dumps(patch), "patchType": patch_type}
    answer = await place.tenant.call("PATCH", f"{KINDS}/{name}", body=body)
    assert answer.status == 200, answer.text
    assert answer.json["metadata"]["labels"] == {"p": "1"}
    stored = await place.stored(name)
    assert stored["metadata"]["labels"] == {"p": "1"}
    assert stored.get("status", {}).get("sync", {}).get("status") != "X"


@pytest.mark.parametrize(
    ("patch_type", "patch", "status", "code", "message"),
    [
        ("strategic", "{}", 400, 3, "Patch type 'strategic' is not supported"),
        ("json", "nonsense", 500, 2, "error decoding json patch: "),
        (
            "merge",
            '{"spec":{"destination":{"server":"https://no.where"}}}',
            400,
            3,
            "application spec for {name} is invalid: InvalidSpecError: application destination server "
            "'https://no.where' and namespace ",
        ),
    ],
)
async def test_bad_patches(
    place: Place, patch_type: str, patch: str, status: int, code: int, message: str
) -> None:
    name = (await place.create())["metadata"]["name"]
    answer = await place.tenant.call(
        "PATCH", f"{KINDS}/{name}", body={"patch": patch, "patchType": patch_type}
    )
    found = refusal(answer)
    assert found[:2] == (status, code)
    assert found[2].startswith(message.replace("{name}", name))


async def test_edits_of_others_in_between_survive(place: Place) -> None:
    """Several patches at once, each with a label of its own, and nobody's is lost."""
    name = (await place.create())["metadata"]["name"]

    async def label(number: int) -> int:
        patch = json.dumps({"metadata": {"labels": {f"l{number}": "x"}}})
        body = {"patch": patch, "patchType": "merge"}
        return (await place.tenant.call("PATCH", f"{KINDS}/{name}", body=body)).status

    assert await asyncio.gather(*(label(number) for number in range(4))) == [200] * 4
    stored = await place.stored(name)
    assert stored["metadata"]["labels"] == {f"l{number}": "x" for number in range(4)}


async def test_one_item_of_a_list_changes_alone(place: Place) -> None:
    sources = [
        {"repoURL": place.repository.url, "path": "one"},
        {"repoURL": place.repository.url, "path": "two"},
    ]
    name = (await place.create(source=None, sources=sources))["metadata"]["name"]
    changed = [sources[0], {**sources[1], "targetRevision": "main"}]
    spec = place.manifest(name, source=None, sources=changed)["spec"]
    answer = await place.tenant.call("PUT", f"{KINDS}/{name}/spec", body=spec)
    assert answer.status == 200, answer.text
    assert (await place.stored(name))["spec"]["sources"] == changed


# Delete


@pytest.mark.parametrize(
    ("params", "finalizers"),
    [
        ({}, [FINALIZER]),
        ({"propagationPolicy": "foreground"}, [f"{FINALIZER}/foreground"]),
        ({"cascade": "true", "propagationPolicy": "Background"}, [f"{FINALIZER}/background"]),
    ],
)
async def test_a_deletion_cascades(place: Place, params: dict[str, str], finalizers: list[str]) -> None:
    name = (await place.create(metadata={"finalizers": ["example.com/hold"]}))["metadata"]["name"]
    answer = await place.tenant.call("DELETE", f"{KINDS}/{name}", params=params)
    assert (answer.status, answer.json) == (200, {}), answer.text
    shown = (await place.tenant.get(f"{KINDS}/{name}")).json
    assert shown["metadata"]["deletionTimestamp"]
    again = await place.tenant.call("DELETE", f"{KINDS}/{name}", params=params)
    assert again.status == 200, again.text
    stored = await place.stored(name)
    assert stored["metadata"]["finalizers"][0] == "example.com/hold"
    assert set(stored["metadata"]["finalizers"][1:]) <= set(finalizers)
    await place.patch_stored(name, '{"metadata":{"finalizers":[]}}')
    await place.told(name, "ResourceDeleted", "tenant deleted application")


async def test_a_deletion_without_cascade_is_done_at_once(place: Place) -> None:
    name = (await place.create(metadata={"finalizers": [FINALIZER]}))["metadata"]["name"]
    answer = await place.tenant.call("DELETE", f"{KINDS}/{name}", params={"cascade": "false"})
    assert (answer.status, answer.json) == (200, {}), answer.text
    assert refusal(await place.admin.get(f"{KINDS}/{name}")) == (403, 7, "permission denied")
    assert (await place.admin.get(KINDS, params={"name": name})).json["items"] is None


async def test_what_was_deployed_goes_with_a_cascading_deletion(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    assert (await place.tenant.call("POST", f"{KINDS}/{name}/sync", body={})).status == 200
    await place.admin.until(
        f"{KINDS}/{name}",
        lambda answer: answer.json["status"].get("operationState", {}).get("phase") == "Succeeded",
    )
    assert (await place.tenant.call("DELETE", f"{KINDS}/{name}")).status == 200
    await place.admin.until(f"{KINDS}/{name}", lambda answer: answer.status == 403)
    left = await asyncio.to_thread(
        place.admin.kubectl, "get", "configmap", "one", "--ignore-not-found", "-o", "name"
    )
    assert left.strip() == ""


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"cascade": "false", "propagationPolicy": "foreground"},
            "cannot set propagation policy when cascading is disabled",
        ),
        ({"propagationPolicy": "orphan"}, "invalid propagation policy: orphan"),
    ],
)
async def test_bad_deletions(place: Place, params: dict[str, str], message: str) -> None:
    name = (await place.create())["metadata"]["name"]
    answer = await place.tenant.call("DELETE", f"{KINDS}/{name}", params=params)
    assert refusal(answer) == (400, 3, message)
