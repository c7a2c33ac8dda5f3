"""What a changed live object asks for, and of whom (health-and-resources.md 10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tiphys.kube.client import ClusterClient
from tiphys.live.records import Change, Details, LiveObject
from tiphys.reconcile.clusters import ClusterPool
from tiphys.reconcile.comparison import Comparer
from tiphys.reconcile.controller import Controller
from tiphys.reconcile.desired import DesiredStates
from tiphys.reconcile.queue import WorkQueue
from tiphys.reconcile.refresh import Level
from tiphys.reconcile.services import Memory, Services
from tiphys.reconcile.stores import Store
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources import project as projects_kind
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import AppKey, ResourceKey
from tiphys.resources.project import AppProject
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.metrics import ControllerMetrics

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SERVER = "https://kubernetes.default.svc"


def controller() -> Controller:
    """A controller that nothing was given to do yet; it asks nobody anything."""
    settings = SettingsStore("argocd", Params())
    apps: Store[Application] = Store(decode)
    projects: Store[AppProject] = Store(projects_kind.decode)
    metrics = ControllerMetrics(apps=lambda: (), clusters=lambda: ())
    nothing = cast(Any, None)
    return Controller(
        Services(
            apps=apps,
            projects=projects,
            settings_store=settings,
            pool=ClusterPool(lambda cluster: nothing, lambda cluster, client: nothing),
            desired=DesiredStates(nothing, nothing),
            comparer=Comparer(),
            writer=ApplicationWriter(cast(ClusterClient, None), apps),
            events=nothing,
            queue=WorkQueue(lambda key: "", metrics.queue("app_reconciliation_queue")),
            memory=Memory(),
            metrics=metrics,
            live_options=lambda: nothing,
            engine=lambda cluster: nothing,
            clock=lambda: NOW,
        )
    )


def application(name: str, *, namespace: str = "argocd", place: str = "one", **more: Any) -> dict[str, Any]:
    spec = {
        "project": more.pop("project", "default"),
        "source": {"repoURL": "https://git.example/r", "path": "p"},
        "destination": {"server": SERVER, "namespace": place},
    }
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1"}
    status = {"reconciledAt": (NOW - timedelta(seconds=1)).isoformat()}
    return {"metadata": metadata, "spec": spec, "status": status, **more}


def project(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "argocd", "uid": name, "resourceVersion": "1"},
        "spec": spec,
    }


def change(
    kind: str = "ConfigMap", name: str = "x", *, instance: str = "", root: bool = True, **more: Any
) -> Change:
    group, namespace = more.get("group", ""), more.get("namespace", "one")
    key = ResourceKey(group, kind, namespace, name)
    record = LiveObject(key, "v1", more.get("uid", "uid"), "2", details=Details())
    return Change(SERVER, key, None if more.get("added") else record, record, instance, root)


def asked(made: Controller) -> dict[str, Level]:
    services = made._s
    levels = {app.key.name: services.memory.requested(app.key, services.steady()) for app in services.apps}
    return {name: level for name, level in levels.items() if level is not None}


def prepared() -> Controller:
    made = controller()
    services = made._s
    services.projects.put(project("default"))
    services.projects.put(project("watchful", orphanedResources={}))
    for each in (
        application("app"),
        application("apart", namespace="elsewhere"),
        application("watcher", project="watchful"),
        application("everywhere", project="watchful", place=""),
        application("other-place", project="watchful", place="two"),
    ):
        services.apps.put(each)
    return made


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        pytest.param(change(instance="app"), {"app": Level.RECENT}, id="a-managed-object"),
        pytest.param(change("Pod", instance="app", root=False), {"app": Level.TREE}, id="a-child"),
        pytest.param(change(instance="elsewhere_apart"), {"apart": Level.RECENT}, id="another-namespace"),
        pytest.param(change(instance="nobody"), {}, id="an-application-that-is-not-there"),
        pytest.param(change("Endpoints", instance="app", root=False), {}, id="endpoints"),
        pytest.param(
            change("Application", "app", group="argoproj.io", instance="app", uid="uid-app"),
            {},
            id="the-application-itself",
        ),
        pytest.param(
            change(),
            {"watcher": Level.TREE, "everywhere": Level.TREE},
            id="an-orphan-here",
        ),
        pytest.param(
            change(namespace="two"),
            {"other-place": Level.TREE, "everywhere": Level.TREE},
            id="an-orphan-elsewhere",
        ),
        pytest.param(change("Node", namespace=""), {}, id="nobody's-and-without-a-namespace"),
        pytest.param(change(added=True, instance="app"), {"app": Level.RECENT}, id="a-new-object"),
    ],
)
async def test_who_looks_again_and_how_deeply(moved: Change, expected: dict[str, Level]) -> None:
    made = prepared()
    made.live_changed(moved)
    assert asked(made) == expected


async def test_those_who_watch_are_told() -> None:
    made = prepared()
    told: list[AppKey] = []
    made._s.notices.tell = told.append  # type: ignore[method-assign]
    made.live_changed(change(instance="app"))
    made.live_changed(change())
    assert [key.name for key in told] == ["app", "watcher", "everywhere"]


@pytest.mark.parametrize(
    ("server", "group", "expected"),
    [
        pytest.param(SERVER, "example.org", ["app"], id="a-definition"),
        pytest.param(SERVER, "example.net", [], id="a-definition-that-nobody-uses"),
        pytest.param(SERVER, None, ["apart"], id="a-webhook"),
        pytest.param("https://other", "example.org", [], id="another-cluster"),
    ],
)
def test_who_looks_again_when_the_api_server_may_think_otherwise(
    server: str, group: str | None, expected: list[str]
) -> None:  # health-and-resources.md 10, proving-no-op rule 15
    comparer = Comparer()
    for name, known, kind in (("app", "_verdicts", "example.org"), ("apart", "_answers", "apps")):
        comparer._servers[AppKey("argocd", name)] = SERVER
        held = getattr(comparer, known).setdefault(AppKey("argocd", name), {})
        held[ResourceKey(kind, "X", "one", "x")] = None
    before = comparer._epoch(SERVER, "example.org"), comparer._epoch("https://other", "example.org")
    assert [key.name for key in comparer.forget_answers(server, group)] == expected
    after = comparer._epoch(SERVER, "example.org"), comparer._epoch("https://other", "example.org")
    assert (before[0] != after[0], before[1] != after[1]) == (
        server == SERVER and group in (None, "example.org"),
        server != SERVER,
    )
