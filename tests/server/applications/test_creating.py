"""Creating Applications over REST (api.md 8.2 "Create", "Validation")."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.applications.place import KINDS, Place, refusal

pytestmark = pytest.mark.controlplane


async def test_an_application_is_created_and_seen_at_once(place: Place) -> None:
    body = place.manifest()
    body["operation"] = {"sync": {"prune": True}}
    answer = await place.tenant.call("POST", KINDS, body=body)
    assert answer.status == 200, answer.text
    created = answer.json
    assert created["metadata"]["uid"]
    assert created["spec"]["source"] == body["spec"]["source"]
    name = body["metadata"]["name"]
    listed = (await place.tenant.get(KINDS, params={"name": name})).json
    assert [each["metadata"]["name"] for each in listed["items"]] == [name]
    assert "operation" not in await place.stored(name)


async def test_the_spec_is_stored_in_normal_form(place: Place) -> None:
    source = {"repoURL": place.repository.url, "path": "one", "helm": {}, "directory": {"recurse": False}}
    app = await place.create(source=source, syncPolicy={})
    stored = (await place.stored(app["metadata"]["name"]))["spec"]
    assert stored["source"] == {"repoURL": place.repository.url, "path": "one"}
    assert "syncPolicy" not in stored


async def test_nulls_in_the_values_of_a_chart_survive(place: Place) -> None:
    source = {"repoURL": place.repository.url, "path": "one", "helm": {"valuesObject": {"a": None, "b": 1}}}
    app = await place.create(source=source)
    name = app["metadata"]["name"]
    stored = (await place.stored(name))["spec"]["source"]["helm"]["valuesObject"]
    assert stored == {"a": None, "b": 1}
    source["helm"]["valuesObject"] = {"a": None, "c": None}  # type: ignore[index]
    spec = {**app["spec"], "source": source}
    answer = await place.admin.call("PUT", f"{KINDS}/{name}/spec", body=spec, params={"validate": "false"})
    assert answer.status == 200, answer.text
    stored = (await place.stored(name))["spec"]["source"]["helm"]["valuesObject"]
    assert stored == {"a": None, "c": None}


async def test_creating_what_is_there_already(place: Place) -> None:
    app = await place.create(metadata={"labels": {"a": "1"}, "annotations": {"x": "1"}})
    name = app["metadata"]["name"]
    same = place.manifest(name)
    same["metadata"] |= {"labels": {"a": "1"}, "annotations": {"x": "1"}}
    again = await place.tenant.call("POST", KINDS, body=same)
    assert (again.status, again.json["metadata"]["uid"]) == (200, app["metadata"]["uid"])
    other = place.manifest(name, source={"repoURL": place.repository.url, "path": "two"})
    other["metadata"] |= {"labels": {"b": "2"}, "finalizers": ["example.com/hold"]}
    refused = await place.tenant.call("POST", KINDS, body=other)
    assert refusal(refused) == (
        400,
        3,
        "existing application spec is different, use upsert flag to force update",
    )
    answer = await place.tenant.call("POST", KINDS, body=other, params={"upsert": "true"})
    assert answer.status == 200, answer.text
    stored = await place.stored(name)
    assert stored["spec"]["source"]["path"] == "two"
    assert stored["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert stored["metadata"]["annotations"]["x"] == "1"
    assert stored["metadata"]["finalizers"] == ["example.com/hold"]
    await place.patch_stored(name, '{"metadata":{"finalizers":[]}}')


async def test_upsert_needs_the_right_to_update(place: Place) -> None:
    app = await place.create()
    rights = place.admin.acting(place.reader.token)
    answer = await rights.call("POST", KINDS, body=place.manifest(app["metadata"]["name"]))
    status, code, message = refusal(answer)
    assert (status, code) == (403, 7)
    assert message.startswith(
        f"permission denied: applications, create, team/{app['metadata']['name']}, sub: reader, iat: "
    )


@pytest.mark.parametrize(
    ("metadata", "spec", "status", "code", "message"),
    [
        pytest.param({"name": ""}, {}, 500, 2, "resource name may not be empty", id="name"),
        pytest.param(
            {},
            {"project": "nowhere"},
            400,
            3,
            'app is not allowed in project "nowhere", or the project does not exist',
            id="project",
        ),
        pytest.param(
            {"namespace": "elsewhere"},
            {},
            400,
            3,
            'app is not allowed in project "team", or the project does not exist',
            id="namespace-not-in-the-project",
        ),
        pytest.param(
            {},
            {"destination": {"server": "https://no.where", "namespace": "x"}},
            400,
            3,
            # as of a cluster that is there but not the project's
            "application spec for {name} is invalid: InvalidSpecError: application destination server "
            "'https://no.where' and namespace 'x' do not match any of the allowed destinations in project "
            "'team'",
            id="destination",
        ),
        pytest.param(
            {},
            {"source": {"repoURL": "https://git.example/x", "path": "p"}},
            400,
            3,
            "application spec for {name} is invalid: InvalidSpecError: application repo "
            "https://git.example/x is not permitted in project 'team'",
            id="forbidden-repository",
        ),
        pytest.param(
            {},
            {"source": {"repoURL": "file:///x"}},
            400,
            3,
            "application spec for {name} is invalid: InvalidSpecError: spec.source.repoURL and either "
            "spec.source.path or spec.source.chart are required",
            id="incomplete",
        ),
        pytest.param(
            {},
            {
                "source": None,
                "sources": [
                    {"repoURL": "file:///x", "path": "a", "name": "n"},
                    {"repoURL": "file:///x", "path": "b", "name": "n"},
                ],
            },
            500,
            2,
            "application {name} has duplicate source name: n",
            id="duplicate-source-name",
        ),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/managed-by-url": "x"}},
            {},
            400,
            3,
            "application spec for {name} is invalid: InvalidSpecError: invalid managed-by URL: URL must "
            "include http or https protocol",
            id="managed-by-url",
        ),
    ],
)
async def test_what_cannot_be_is_refused_even_unvalidated(
    place: Place, metadata: Any, spec: Any, status: int, code: int, message: str
) -> None:
    body = place.manifest(**spec)
    body["metadata"] |= metadata
    answer = await place.admin.call("POST", KINDS, body=body, params={"validate": "false"})
    assert refusal(answer) == (status, code, message.format(name=body["metadata"]["name"]))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(
            {"path": "nowhere"},
            "InvalidSpecError: Unable to generate manifests in nowhere: rpc error: code = ",
            id="no-such-path",
        ),
        pytest.param(
            {"path": "broken"},
            "InvalidSpecError: Unable to generate manifests in broken: rpc error: code = ",
            id="broken-manifest",
        ),
        pytest.param(
            {"path": "one", "targetRevision": "nowhere"},
            "InvalidSpecError: Unable to generate manifests in one: rpc error: code = ",
            id="no-such-revision",
        ),
        pytest.param(
            {"path": "one", "repoURL": "file:///no/repository"},
            "InvalidSpecError: repository not accessible: repositories not accessible: "
            "file:///no/repository: rpc error: code = ",
            id="no-such-repository",
        ),
    ],
)
async def test_sources_are_tried(place: Place, source: dict[str, str], message: str) -> None:
    body = place.manifest(source={"repoURL": place.repository.url, "targetRevision": "main", **source})
    name = body["metadata"]["name"]
    status, code, text = refusal(await place.tenant.call("POST", KINDS, body=body))
    assert (status, code) == (400, 3)
    assert text.startswith(f"application spec for {name} is invalid: {message}"), text
    unvalidated = await place.tenant.call("POST", KINDS, body=body, params={"validate": "false"})
    assert unvalidated.status == 200, unvalidated.text


async def test_nothing_in_the_body(place: Place) -> None:
    answer = await place.admin.call("POST", KINDS)
    assert refusal(answer) == (
        500,
        13,
        'grpc: error while marshaling: proto: required field "application" not set',
    )


async def test_the_right_to_create_is_asked_first(place: Place) -> None:
    body = place.manifest(project="team", destination={"server": "https://no.where"})
    answer = await place.stranger.call("POST", KINDS, body=body)
    status, code, message = refusal(answer)
    assert (status, code) == (403, 7)
    assert message.startswith(f"permission denied: applications, create, team/{body['metadata']['name']}")


async def test_kubernetes_refuses_what_no_schema_allows(place: Place) -> None:
    body = place.manifest("Not_A_Name")
    status, code, _ = refusal(await place.admin.call("POST", KINDS, body=body, params={"validate": "false"}))
    assert (status, code) == (400, 3)


async def test_who_created_it_is_told(place: Place) -> None:
    body = place.manifest()
    name = body["metadata"]["name"]
    assert (await place.tenant.call("POST", KINDS, body=body)).status == 200
    await place.told(name, "ResourceCreated", "tenant created application")
