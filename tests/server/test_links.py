"""Deep links over the API: what the settings make of Applications, objects and projects (api.md 14)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from demo.repository import Repository
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running
from tiphys.resources.messages.application import LinkInfo
from tiphys.server.links.rendering import Links

SETTINGS = {
    "url": "https://cd.example.com",
    "application.links": """
- url: https://wiki.example.com/{{ .app.metadata.name }}?cluster={{ .cluster.name }}
  title: Wiki
  description: how to run it
  icon.class: fa-book
- url: https://never.example.com
  title: Never
  if: app.spec.project == "other"
- url: '{{ fail "no" }}'
  title: Broken
- url: '{{ .managedByURL }}/{{ .project }}'
  title: Managed
""",
    "resource.links": """
- url: https://logs.example.com/{{ .resource.kind }}/{{ .resource.metadata.name }}?s={{ .resource.data }}
  title: Logs
  if: resource.kind in ["Secret", "ConfigMap"]
""",
    "project.links": "- {title: Team, url: 'https://teams.example.com/{{ .project.metadata.name | upper }}'}",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def linked(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """An API with links and an Application named after its namespace."""
    folder = tmp_path_factory.mktemp("links")
    async with running(control_plane, folder, unique_namespace("links"), settings=SETTINGS) as api:
        repository = Repository.create(folder / "repository")
        (repository.folder / "secrets").mkdir()
        (repository.folder / "secrets" / "secret.yaml").write_text(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: deep}\nstringData: {password: hunter2}\n"
        )
        repository.commit("A secret")
        name = api.namespace
        body = {
            "metadata": {"name": name},
            "spec": {
                "project": "default",
                "source": {"repoURL": repository.url, "path": "secrets", "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": api.namespace},
                "syncPolicy": {"automated": {}},
            },
        }
        made = await api.call("POST", "/api/v1/applications", body=body)
        assert made.status == 200, made.text
        await api.until(
            f"/api/v1/applications/{name}",
            lambda answer: answer.json["status"].get("sync", {}).get("status") == "Synced",
        )
        yield api


async def test_links_of_an_application(linked: Running) -> None:
    answer = await linked.get(f"/api/v1/applications/{linked.namespace}/links")
    assert answer.json == {
        "items": [
            {
                "title": "Wiki",
                "url": f"https://wiki.example.com/{linked.namespace}?cluster=in-cluster",
                "description": "how to run it",
                "iconClass": "fa-book",
            },
            {"title": "Managed", "url": "https://cd.example.com/<no value>"},
        ]
    }


async def test_links_of_an_object_show_no_secret(linked: Running) -> None:
    asked = {"kind": "Secret", "version": "v1", "resourceName": "deep", "namespace": linked.namespace}
    path = f"/api/v1/applications/{linked.namespace}/resource/links"
    (link,) = (await linked.get(path, params=asked)).json["items"]
    assert link["url"].startswith("https://logs.example.com/Secret/deep?s=map[password:++++")


async def test_links_of_a_project(linked: Running) -> None:
    answer = await linked.get("/api/v1/projects/default/links")
    assert answer.json == {"items": [{"title": "Team", "url": "https://teams.example.com/DEFAULT"}]}
    missing = await linked.get("/api/v1/projects/none/links")
    assert (missing.status, missing.json["message"]) == (404, 'appprojects.argoproj.io "none" not found')


@pytest.mark.parametrize("web", [False, True])
async def test_over_grpc(linked: Running, web: bool) -> None:
    async with linked.grpc(web=web) as client:
        found = await client.call("project.ProjectService/ListLinks", {"name": "default"})
    assert found["items"] == [{"title": "Team", "url": "https://teams.example.com/DEFAULT"}]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("{", [], id="no-yaml"),
        pytest.param("title: x", [], id="no-list"),
        pytest.param("[1, {title: 5, url: x}, {title: good, url: x}]", ["good"], id="odd-entries"),
        pytest.param("[{title: a, url: '{{'}, {title: b, url: x}]", ["b"], id="template-does-not-parse"),
        pytest.param(
            "[{title: a, url: x, if: '1 +'}, {title: b, url: x}]", ["b"], id="condition-does-not-parse"
        ),
        pytest.param(
            "[{title: a, url: x, if: '1'}, {title: b, url: x}]", ["b"], id="condition-is-no-boolean"
        ),
        pytest.param(
            "[{title: a, url: '{{ range $i := until 9999 }}{{ range $j := until 9999 }}x{{ end }}{{ end }}'},"
            " {title: b, url: x}]",
            ["b"],
            id="template-without-end",
        ),
        pytest.param(
            "[{title: a, url: '{{ $_ := set .app \"x\" 1 }}y'}, {title: b, url: '{{ .app }}'}]",
            ["a", "b"],
            id="links-change-nothing-for-others",
        ),
    ],
)
async def test_what_settings_may_hold(text: str, titles: list[str]) -> None:
    links = Links(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    objects: dict[str, Any] = {"app": {"a": 1}}
    before = json.dumps(objects)
    found: tuple[LinkInfo, ...] = (await links.of(text, objects)).items
    assert [link.title for link in found] == titles
    assert all("x:1" not in (link.url or "") for link in found)
    assert json.dumps(objects) == before
