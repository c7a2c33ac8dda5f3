"""Who may learn of an Application (api.md 8.1): the same refusals whether it exists or not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.applications.place import KINDS, Place, refusal

pytestmark = pytest.mark.controlplane

SPEC = {"project": "team", "destination": {"server": "https://kubernetes.default.svc"}}
Method = tuple[str, str, Any]

METHODS: dict[str, Method] = {
    "Get": ("GET", "", None),
    "Get-refresh": ("GET", "?refresh=normal", None),
    "UpdateSpec": ("PUT", "/spec", SPEC),
    "Delete": ("DELETE", "", None),
    "TerminateOperation": ("DELETE", "/operation", None),
    "GetApplicationSyncWindows": ("GET", "/syncwindows", None),
}
IN_BODY: dict[str, Method] = {
    "Patch": ("PATCH", "", {"patch": '{"metadata":{"labels":{"a":"b"}}}', "patchType": "merge"}),
    "Sync": ("POST", "/sync", {}),
    "Rollback": ("POST", "/rollback", {"id": 1}),
}
DENIED = (403, 7, "permission denied")


async def call(user: Any, method: Method, name: str, project: str = "", namespace: str = "") -> Any:
    verb, path, body = method
    path, _, query = path.partition("?")
    params = dict(part.split("=") for part in query.split("&") if part)
    extra = {key: value for key, value in (("project", project), ("appNamespace", namespace)) if value}
    if method in IN_BODY.values():
        body = {**body, **extra}
    else:
        params |= extra
    return await user.call(verb, f"{KINDS}/{name}{path}", body=body, params=params)


ALL = METHODS | IN_BODY


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
async def test_without_the_right_nothing_shows_whether_it_exists(place: Place, method: Method) -> None:
    name = (await place.create())["metadata"]["name"]
    for user, project in ((place.stranger, ""), (place.stranger, "team"), (place.reader, "other")):
        there = await call(user, method, name, project)
        gone = await call(user, method, f"no-{name}", project)
        assert refusal(there) == refusal(gone) == DENIED
    nobody = place.admin.acting("")
    answers = [await call(nobody, method, each) for each in (name, f"no-{name}")]
    assert [answer.status for answer in answers] == [401, 401]
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
async def test_an_application_that_does_not_exist(place: Place, method: Method) -> None:
    assert refusal(await call(place.admin, method, "no-such")) == DENIED
    named = refusal(await call(place.tenant, method, "no-such", "team"))
    assert named == (404, 5, 'applications.argoproj.io "no-such" not found')


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
async def test_an_application_of_another_project(place: Place, method: Method) -> None:
    name = (await place.create())["metadata"]["name"]
    gone = (404, 5, f'applications.argoproj.io "{name}" not found')
    assert refusal(await call(place.admin, method, name, "other")) == gone
    assert refusal(await call(place.stranger, method, name, "other")) == gone


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
async def test_a_namespace_that_is_not_enabled(place: Place, method: Method) -> None:
    for namespace in ("kube-system", "no-such", "../x"):
        assert refusal(await call(place.admin, method, "web", namespace=namespace)) == DENIED


@pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "A", "a%00", "a%0A", "%C3%A4", "x" * 300, "a%252Fb"])
async def test_names_that_no_object_has(place: Place, name: str) -> None:
    answer = await place.admin.get(f"{KINDS}/{name}")
    assert answer.status in (403, 404), answer.text
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("UpdateSpec", None),
        ("Patch", "update"),
        ("Delete", "delete"),
        ("Sync", "sync"),
        ("Rollback", None),
        ("TerminateOperation", None),
    ],
)
async def test_who_may_look_learns_what_right_is_missing(
    place: Place, method: str, action: str | None
) -> None:
    name = (await place.create())["metadata"]["name"]
    status, code, message = refusal(await call(place.reader, ALL[method], name))
    if action is None:  # reached with the action itself: masked
        assert (status, code, message) == DENIED
    else:
        assert (status, code) == (403, 7)
        assert message.startswith(
            f"permission denied: applications, {action}, team/{name}, sub: reader, iat: "
        )


async def test_a_project_that_is_gone_is_told_to_whom_may_look(place: Place) -> None:
    manifest = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", **place.manifest(project="gone")}
    name = manifest["metadata"]["name"]
    await _apply(place, manifest)
    told = (400, 3, 'app is not allowed in project "gone", or the project does not exist')
    assert refusal(await place.admin.get(f"{KINDS}/{name}")) == told
    assert refusal(await place.admin.get(f"{KINDS}/{name}", params={"project": "gone"})) == told
    assert refusal(await place.tenant.get(f"{KINDS}/{name}")) == DENIED


async def test_what_the_watch_does_not_know_yet_is_read(place: Place) -> None:
    manifest = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", **place.manifest()}
    await _apply(place, manifest)
    answer = await place.tenant.get(f"{KINDS}/{manifest['metadata']['name']}")
    assert answer.status == 200, answer.text


async def _apply(place: Place, manifest: dict[str, Any]) -> None:
    import asyncio

    await asyncio.to_thread(place.admin.kubectl, "apply", "-f", "-", stdin=json.dumps(manifest))
