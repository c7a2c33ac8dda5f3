"""Questions to repositories over the API (api.md 9, sources.md 16)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitservers import GitRepo
from tests.server.repositories.conftest import PASSWORD, Place, escaped, refused, says
from tests.server.running import Answer, Running
from tests.sources.render.test_charts import serving

LIST = "/api/v1/repositories"


def at(url: str) -> str:
    return f"{LIST}/{escaped(url)}"


async def details(api: Running, url: str, source: dict[str, Any], **query: Any) -> Answer:
    body = {"source": {"repoURL": url, **source}, "appName": "new", "appProject": "team", **query}
    return await api.call("POST", f"{at(url)}/appdetails", body=body)


async def test_refs(place: Place, own: str) -> None:
    answer = await place.dev.get(f"{at(own)}/refs")
    assert answer.json == {"branches": ["feature", "main"], "tags": ["v1", "v2"]}


@pytest.mark.parametrize("question", ["refs", "oci-tags", "helmcharts", "apps"])
async def test_every_question_needs_the_repository(place: Place, own: str, question: str) -> None:
    answer = await place.guest.get(f"{at(own)}/{question}")
    assert answer.status == 403
    assert answer.json["message"].startswith(says("guest", "repositories", "get", own))


async def test_oci_is_not_supported_yet(place: Place) -> None:
    answer = await place.admin.get(f"{at('oci://localhost:1/x')}/oci-tags")
    assert (answer.status, answer.json["code"]) == (501, 12)


# --- applications in a repository ----------------------------------------------------------------


async def test_applications_in_a_repository(place: Place, own: str) -> None:
    params = {"revision": "v1", "appProject": "team", "appName": "new"}
    answer = await place.dev.get(f"{at(own)}/apps", params=params)
    assert answer.json == {
        "items": [
            {"type": "Kustomize", "path": "both"},
            {"type": "Helm", "path": "chart"},
            {"type": "Kustomize", "path": "deep/er"},
            {"type": "Kustomize", "path": "kust"},
            {"type": "Helm", "path": "odd"},
        ]
    }


@pytest.mark.parametrize(
    ("params", "failure"),
    [
        pytest.param(
            {"appProject": "team", "appName": "other"}, (403, 7, "permission denied"), id="application"
        ),
        pytest.param({}, (403, 7, "permission denied"), id="nothing named"),
    ],
)
async def test_applications_need_the_application(
    place: Place, own: str, params: dict[str, str], failure: tuple[int, int, str]
) -> None:
    assert refused(await place.dev.get(f"{at(own)}/apps", params=params)) == failure


async def test_the_project_must_permit_the_repository(place: Place, own: str) -> None:
    params = {"appProject": "narrow", "appName": "x"}
    text = f"repository '{own}' not permitted in project 'narrow'"
    assert refused(await place.admin.get(f"{at(own)}/apps", params=params)) == (403, 7, text)
    assert refused(await details(place.admin, own, {"path": "chart"}, appProject="narrow")) == (403, 7, text)
    params = {"appProject": "absent", "appName": "x"}
    answer = await place.admin.get(f"{at(own)}/apps", params=params)
    assert refused(answer) == (404, 5, 'appprojects.argoproj.io "absent" not found')


async def test_an_unknown_revision(place: Place, own: str) -> None:
    params = {"revision": "nowhere", "appProject": "team", "appName": "new"}
    answer = await place.dev.get(f"{at(own)}/apps", params=params)
    assert refused(answer) == (
        500,
        2,
        "unable to resolve 'nowhere' to a commit SHA: revision not found",
    )


# --- details of a source -------------------------------------------------------------------------


async def test_details_of_a_chart(place: Place, own: str) -> None:
    answer = await details(place.dev, own, {"path": "chart", "targetRevision": "v2"})
    assert answer.status == 200, answer.text
    assert answer.json["type"] == "Helm"
    helm = answer.json["helm"]
    assert helm["valueFiles"] == ["envs/my-values.YAML", "values-prod.yml", "values.yaml"]
    assert {"name": "replicas", "value": "2"} in helm["parameters"]


async def test_details_of_a_kustomization_and_a_directory(place: Place, own: str) -> None:
    answer = await details(place.dev, own, {"path": "kust"})
    assert answer.json == {
        "type": "Kustomize",
        "kustomize": {"images": ["busybox:1", "busybox:1", "nginx:1.27"]},
    }
    assert (await details(place.dev, own, {"path": "plain"})).json == {"type": "Directory", "directory": {}}


@pytest.mark.parametrize(
    ("source", "query", "failure"),
    [
        pytest.param({"path": "absent"}, {}, (400, 3, "absent: app path does not exist"), id="path"),
        pytest.param(
            {"path": "chart", "targetRevision": "absent"},
            {},
            (400, 3, "unable to resolve 'absent' to a commit SHA: revision not found"),
            id="revision",
        ),
        pytest.param(
            {"path": "plain", "plugin": {"name": "x"}},
            {},
            (501, 12, "config management plugins are not supported yet"),
            id="plugin",
        ),
    ],
)
async def test_details_refused(
    place: Place, own: str, source: dict[str, Any], query: dict[str, Any], failure: tuple[int, int, str]
) -> None:
    assert refused(await details(place.dev, own, source, **query)) == failure


async def test_details_without_a_source(place: Place, own: str) -> None:
    answer = await place.admin.call("POST", f"{at(own)}/appdetails", body={"appName": "x"})
    assert answer.status in (400, 403)


async def test_details_of_an_application_that_may_not_be_read_or_made(place: Place, own: str) -> None:
    answer = await details(place.dev, own, {"path": "chart"}, appName="other")
    assert answer.json["message"].startswith(says("dev", "applications", "create", "team/other"))
    answer = await details(place.dev, own, {"path": "chart"}, appProject="default")
    assert answer.json["message"].startswith(says("dev", "applications", "get", "default/new"))


async def test_details_of_an_existing_application(place: Place, own: str, remote: GitRepo) -> None:
    source = {"repoURL": own, "path": "chart", "targetRevision": "main"}
    place.admin.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "there"},
            "spec": {
                "project": "team",
                "source": source,
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "x"},
            },
        }
    )
    asked = {"path": "chart", "targetRevision": "main"}
    wait = 60
    while (answer := await details(place.dev, own, asked, appName="there")).status != 200:
        wait -= 1
        assert wait, answer.text
        await place.admin.get("/api/version")
    assert answer.json["type"] == "Helm"
    for source_, query in (
        ({"path": "kust", "targetRevision": "main"}, {}),  # never its source
        ({**asked, "targetRevision": "feature"}, {}),
        (asked, {"appProject": "default"}),  # not its project
    ):
        answer = await details(place.admin, own, source_, appName="there", **query)
        assert refused(answer) == (403, 7, "permission denied")
    place.admin.kubectl("delete", "application", "there", "--wait=false")


# --- chart repositories --------------------------------------------------------------------------


async def test_charts_and_their_details(place: Place, tmp_path: Any) -> None:
    api = place.admin
    async with serving(tmp_path / "charts") as server:
        body = {"repo": server.url, "type": "helm", "name": "charts", "username": "user"}
        wrong = await api.call("POST", LIST, body={**body, "password": PASSWORD})
        assert refused(wrong) == (
            500,
            2,
            "error testing repository connectivity: failed to get index: 401 Unauthorized",
        )
        assert (await api.call("POST", LIST, body={**body, "password": "secret"})).status == 200
        found = (await api.get(f"{at(server.url)}/helmcharts")).json
        assert found["items"][0]["name"] == "web"
        assert sorted(found["items"][0]["versions"]) == ["1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0"]
        answer = await details(api, server.url, {"chart": "web", "targetRevision": "1.*"})
        assert answer.json["helm"]["parameters"] == [{"name": "note", "value": "chart"}]
        shown = (await api.get(at(server.url))).json
        assert (shown["type"], shown["connectionState"]["status"]) == ("helm", "Successful")
        await api.call("DELETE", at(server.url))
