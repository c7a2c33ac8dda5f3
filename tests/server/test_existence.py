"""What a team learns of what others have, beside the texts of refusals: names that are taken, clusters
that are there, counts, and the work that a refusal takes (api.md 8.1; in no case is time measured).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.operations import CASES, METHODS, message_of, reachable, rest
from tests.server.running import Answer, Running
from tests.server.tenants import GHOST, World, world
from tiphys.kube.transport import Purpose, Response, Transport

pytestmark = pytest.mark.controlplane

ROUTES = [
    pytest.param(path, number, id=f"{route.verb} {route.path} ({method.name})")
    for path, method in METHODS.items()
    for number, route in enumerate(method.routes)
    if not method.name.startswith("Watch")
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def teams(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("tenants")
    async with world(control_plane, folder, unique_namespace("existence")) as made:
        yield made


@contextmanager
def listening(teams: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The requests to Kubernetes about what is in the world, as they are sent; without Events and the
    book of failed logins, which are written after the answer by tasks of their own."""
    sent: list[str] = []
    request = Transport.request

    async def heard(self: Transport, method: str, path: str, purpose: Purpose, **more: Any) -> Response:
        about = re.search(rf"/namespaces/{teams.admin.namespace}[-/]", path) is not None
        later = path.endswith("/events") or b"tiphys-sessions" in path.encode() + (more.get("body") or b"")
        if about and not later:
            sent.append(f"{method} {path}")
        return await request(self, method, path, purpose, **more)

    with monkeypatch.context() as patching:
        patching.setattr(Transport, "request", heard)
        yield sent


async def ask(caller: Running, path: str, number: int, names: Mapping[str, str]) -> Answer:
    route = METHODS[path].routes[number]
    sent = rest(route, message_of(CASES[path], reachable(route, names)))
    return await caller.call(sent.verb, sent.path, body=sent.body, params=list(sent.params))


@pytest.mark.parametrize("who", ["anna", "stranger"])
@pytest.mark.parametrize(("path", "number"), ROUTES)
async def test_a_refusal_takes_the_same_work_whether_or_not_it_is_there(
    teams: World, path: str, number: int, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller: Running = getattr(teams, who)
    with listening(teams, monkeypatch) as sent:
        work = []
        for word in ("bravo", GHOST):
            sent.clear()
            await ask(caller, path, number, teams.names(word))
            work.append([each.replace(word, "?????") for each in sent])
    assert work[0] == work[1]


def application(teams: World, named: str, **destination: str) -> dict[str, Any]:
    names = teams.names("alpha")
    source = {"repoURL": names["repo"], "path": "one", "targetRevision": "main"}
    spec = {"project": "team-alpha", "source": source, "destination": destination}
    return {"metadata": {"name": named}, "spec": spec}


@pytest.mark.parametrize("upsert", ["false", "true"])
async def test_a_name_that_another_team_has(teams: World, upsert: str) -> None:  # api.md 8.2 "Create"
    here = {"server": "https://kubernetes.default.svc", "namespace": teams.names("alpha")["dest"]}
    taken = application(teams, teams.names("bravo")["app"], **here)
    answer = await teams.anna.call("POST", "/api/v1/applications", body=taken, params={"upsert": upsert})
    assert (answer.status, answer.json["message"]) == (403, "permission denied")
    assert "bravo" not in answer.text
    told = await teams.admin.call("POST", "/api/v1/applications", body=taken, params={"upsert": upsert})
    assert told.status == (200 if upsert == "true" else 400)
    if upsert == "true":  # as it was
        names = teams.names("bravo")
        spec = {
            "project": "team-bravo",
            "source": {"repoURL": names["repo"], "path": "one", "targetRevision": "main"},
            "destination": {"server": here["server"], "namespace": names["dest"]},
        }
        body = {"metadata": {"name": names["app"]}, "spec": spec}
        back = await teams.admin.call("POST", "/api/v1/applications", body=body, params={"upsert": "true"})
        assert back.status == 200, back.text


@pytest.mark.parametrize("by", ["name", "server"])
async def test_clusters_that_a_project_does_not_permit_are_as_those_that_are_not_there(
    teams: World, by: str
) -> None:
    heard = {}
    for word in ("bravo", GHOST):
        place = f"{word}-cluster" if by == "name" else f"https://{word}.invalid:6443"
        app = application(teams, "alpha-probe", **{by: place, "namespace": "default"})
        answer = await teams.anna.call("POST", "/api/v1/applications", body=app)
        heard[word] = (answer.status, answer.text.replace(word, "?????"))
    assert heard["bravo"] == heard[GHOST]
    assert "do not match any of the allowed destinations in project 'team-alpha'" in heard["bravo"][1]


@pytest.mark.parametrize("by", ["name", "server"])
async def test_clusters_that_a_project_forbids_among_all(teams: World, by: str) -> None:
    """applications.md 16: with ``!`` a project permits all but some."""
    rules = [{"server": server, "namespace": "*"} for server in ("*", "!https://bravo.invalid:6443")]
    spec = {"sourceRepos": ["*"], "destinations": rules}
    own = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "but-one"}}
    teams.admin.apply({**own, "spec": spec})
    await teams.admin.until("/api/v1/projects/but-one", lambda a: a.status == 200)
    heard = {}
    for word in ("bravo", GHOST, "alpha"):
        place = f"{word}-cluster" if by == "name" else f"https://{word}.invalid:6443"
        app = application(teams, "alpha-probe", **{by: place, "namespace": "default"})
        app["spec"]["project"] = "but-one"
        params = {"validate": "false"}
        answer = await teams.admin.call("POST", "/api/v1/applications", body=app, params=params)
        heard[word] = (answer.status, answer.text.replace(word, "?????"))
    refused = "do not match any of the allowed destinations in project 'but-one'"
    assert refused in heard["bravo"][1]
    assert (heard[GHOST] == heard["bravo"]) is (by == "name")
    assert heard["alpha"][0] == 200  # what is permitted is
    assert by == "name" or "not found" in heard[GHOST][1]  # of a permitted server it is told
    await teams.admin.call("DELETE", "/api/v1/applications/alpha-probe", params={"cascade": "false"})


async def test_applications_are_counted_that_the_caller_may_read(
    teams: World,
) -> None:  # health-and-resources.md 11
    hers = "p, anna, clusters, get, *, allow\n"
    stored = teams.admin.plane.kubectl.json(
        "-n", teams.admin.namespace, "get", "configmap", "argocd-rbac-cm"
    )["data"]["policy.csv"]
    teams.admin.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-rbac-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
            "data": {"policy.csv": stored + hers},
        }
    )
    path = "/api/v1/clusters"

    def count(answer: Answer) -> int:
        items = answer.json["items"] or []
        here = [each for each in items if each["server"] == "https://kubernetes.default.svc"]
        return int(here[0]["info"]["applicationsCount"]) if here else -1

    await teams.anna.until(path, lambda answer: count(answer) == 1)
    assert count(await teams.admin.get(path)) == 3
