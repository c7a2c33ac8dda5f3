"""Conditions of an application's spec, with their exact texts: applications.md 3.1 and 3.3."""

from typing import Any

import msgspec
import pytest

from tests.projects.building import SERVER, app, cluster, project
from tiphys.projects.validate import normalize_spec, validate_application
from tiphys.resources.shape import to_json
from tiphys.settings.clusters import Cluster, Clusters, DestinationError
from tiphys.settings.model import Settings

SETTINGS = Settings(control_namespace="argocd")
URL = "https://git.example.com/shop"
OPEN = project(sourceRepos=["*"], destinations=[{"server": "*", "namespace": "*"}])
HERE = {"server": SERVER, "namespace": "shop"}
SOURCE = {"repoURL": URL, "path": "a"}

NOT_PERMITTED = f"application repo {URL} is not permitted in project 'shop'"
REQUIRED = "spec.source.repoURL and either spec.source.path or spec.source.chart are required"
REQUIRED_OF = (
    "spec.source.repoURL and either source.path, source.chart, or source.ref are required for source "
)
CHART = "spec.source.targetRevision is required if the manifest source is a helm chart"
DESTINATION = (
    "application destination server '{}' and namespace 'shop' do not match any of the allowed "
    "destinations in project 'shop'"
)


def hydrator(*, dry: str = URL, branch: str = "env", sync: str = "", to: str | None = None) -> dict[str, Any]:
    return {
        "sourceHydrator": {
            "drySource": {"repoURL": dry, "path": "a", "targetRevision": "HEAD"},
            "syncSource": {"targetBranch": branch, "path": "a", "repoURL": sync},
            **({} if to is None else {"hydrateTo": {"targetBranch": to}}),
        }
    }


@pytest.mark.parametrize(
    ("spec", "rules", "messages"),
    [
        ({"source": SOURCE}, {}, []),
        ({"source": {"repoURL": URL, "chart": "c", "targetRevision": "1"}}, {}, []),
        ({}, {}, [REQUIRED]),
        ({"source": {"path": "a"}}, {}, [REQUIRED]),
        ({"source": {"repoURL": URL}}, {}, [REQUIRED]),
        ({"source": {"repoURL": URL, "ref": "r"}}, {}, [REQUIRED]),
        ({"source": {"repoURL": URL, "chart": "c"}}, {}, [CHART]),
        ({"sources": [SOURCE, {"repoURL": URL, "ref": "values"}]}, {}, []),
        (
            {"sources": [{"repoURL": "https://u:secret@h/x", "targetRevision": "1"}]},
            {},
            [REQUIRED_OF + '{"repoURL":"https://h/x","targetRevision":"1"}'],
        ),
        ({"sources": [SOURCE, {"repoURL": URL, "chart": "c"}]}, {}, [CHART]),
        ({"source": SOURCE}, {"sourceRepos": []}, [NOT_PERMITTED]),
        ({"sources": [SOURCE, SOURCE]}, {"sourceRepos": []}, [NOT_PERMITTED, NOT_PERMITTED]),
        # An incomplete source ends the validation, one that is not permitted does not.
        ({"sources": [SOURCE, {"repoURL": URL, "chart": "c"}]}, {"sourceRepos": []}, [NOT_PERMITTED, CHART]),
        ({"source": SOURCE}, {"destinations": []}, [DESTINATION.format(SERVER)]),
        (
            {"source": SOURCE},
            {"destinations": [], "sourceRepos": []},
            [NOT_PERMITTED, DESTINATION.format(SERVER)],
        ),
        (
            {"source": SOURCE, "destination": {"name": "in-cluster", "namespace": "shop"}},
            {"destinations": []},
            [DESTINATION.format("in-cluster")],
        ),
        (hydrator(), {}, []),
        (hydrator(dry=""), {}, ["spec.sourceHydrator.drySource.repoURL is required"]),
        (hydrator(branch=""), {}, ["spec.sourceHydrator.syncSource.targetBranch is required"]),
        (
            hydrator(to=""),
            {},
            [
                "when spec.sourceHydrator.hydrateTo is set, "
                "spec.sourceHydrator.hydrateTo.targetBranch is required"
            ],
        ),
        (hydrator(), {"sourceRepos": []}, [NOT_PERMITTED]),
        (
            hydrator(sync="https://git.example.com/wet"),
            {"sourceRepos": [URL]},
            ["sync source repo https://git.example.com/wet is not permitted in project 'shop'"],
        ),
        (hydrator(sync=URL), {"sourceRepos": [URL]}, []),
    ],
)
def test_conditions(spec: dict[str, Any], rules: dict[str, Any], messages: list[str]) -> None:
    given = project(**({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]} | rules))
    found = validate_application(app(**({"destination": HERE} | spec)), given, cluster(), SETTINGS)
    assert found == tuple(("InvalidSpecError", message) for message in messages)


ANYWHERE = [{"server": "*", "namespace": "*"}]


@pytest.mark.parametrize(
    ("destination", "allowed", "message"),
    [
        ({"namespace": "shop"}, [], "Destination server missing from app spec"),
        (
            {"server": SERVER, "name": "in-cluster"},
            [],
            f"application destination can't have both name and server defined: in-cluster {SERVER}",
        ),
        ({"name": "nowhere"}, ANYWHERE, "there are no clusters with this name: nowhere"),
        (
            {"name": "nowhere"},
            [{"name": "no*", "namespace": "*"}],
            "there are no clusters with this name: nowhere",
        ),
        ({"name": "nowhere", "namespace": "n"}, [{"name": "some*", "namespace": "*"}], None),
        ({"name": "nowhere", "namespace": "n"}, [{"name": "no*", "namespace": "shop"}], None),
        ({"server": "https://nowhere", "namespace": "n"}, [{"server": SERVER, "namespace": "*"}], None),
        ({"server": "https://nowhere/", "namespace": "n"}, [], None),
    ],
)
def test_destination_that_means_no_cluster(
    destination: dict[str, str], allowed: list[dict[str, str]], message: str | None
) -> None:
    """``None``: the same is said as of a cluster that is there and not permitted."""
    given = app(source=SOURCE, destination=destination)
    with pytest.raises(DestinationError) as caught:
        SETTINGS.clusters.resolve(given.spec.destination)
    found = validate_application(given, project(destinations=allowed), caught.value, SETTINGS)
    name = destination.get("name") or "https://nowhere"
    refused = (
        f"application destination server '{name}' and namespace 'n' do not match any of the allowed "
        "destinations in project 'shop'"
    )
    assert [text for _, text in found] == [NOT_PERMITTED, message or refused]
    if message is None:
        there = Cluster(
            server=destination.get("server", "https://x").rstrip("/"), name=destination.get("name", "")
        )
        assert validate_application(given, project(destinations=allowed), there, SETTINGS) == found


@pytest.mark.parametrize(("owner", "permitted"), [("shop", True), ("", False)])
def test_only_project_scoped_clusters(owner: str, permitted: bool) -> None:
    there: Cluster = cluster("https://there", "there", project=owner)
    settings = msgspec.structs.replace(SETTINGS, clusters=Clusters.of((there,)))
    strict = project(
        sourceRepos=["*"],
        destinations=[{"server": "*", "namespace": "*"}],
        permitOnlyProjectScopedClusters=True,
    )
    given = app(source=SOURCE, destination={"name": "there", "namespace": "shop"})
    assert (not validate_application(given, strict, there, settings)) is permitted


# applications.md 3.3
@pytest.mark.parametrize(
    ("spec", "changed"),
    [
        ({"project": ""}, {"project": "default"}),
        ({"project": "p", "syncPolicy": {}}, {"syncPolicy": None}),
        ({"project": "p", "syncPolicy": {"automated": {}}}, {}),
        ({"project": "p", "source": {**SOURCE, "helm": {}, "kustomize": {}}}, {"source": SOURCE}),
        ({"project": "p", "source": {**SOURCE, "helm": {"skipCrds": True}}}, {}),
        ({"project": "p", "source": {**SOURCE, "directory": {}}}, {"source": SOURCE}),
        ({"project": "p", "source": {**SOURCE, "directory": {"jsonnet": {}}}}, {"source": SOURCE}),
        (
            {"project": "p", "source": {**SOURCE, "directory": {"include": "a", "jsonnet": {}}}},
            {"source": {**SOURCE, "directory": {"include": "a"}}},
        ),
        ({"project": "p", "source": {**SOURCE, "directory": {"exclude": "a"}}}, {}),
        ({"project": "p", "source": {**SOURCE, "directory": {"recurse": True, "jsonnet": {}}}}, {}),
        ({"project": "p", "source": {**SOURCE, "directory": {"disableExtensionFilter": True}}}, {}),
        ({"project": "p", "source": {**SOURCE, "plugin": {}}}, {}),
        ({"project": "p", "sources": [{**SOURCE, "helm": {}}]}, {"sources": [SOURCE]}),
        # With sources, source is not looked at.
        ({"project": "p", "source": {**SOURCE, "helm": {}}, "sources": [SOURCE]}, {}),
    ],
)
def test_normal_form(spec: dict[str, Any], changed: dict[str, Any]) -> None:
    given = app(destination=HERE, **spec).spec
    normal = normalize_spec(given)
    expected = {**to_json(given), **changed}
    assert to_json(normal) == {name: value for name, value in expected.items() if value is not None}
    assert normalize_spec(normal) is normal
    if not changed:
        assert normal is given
