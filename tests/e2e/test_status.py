"""The status is written once and only when different; refreshes, Events and polling."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.controlplane.installation import Operator
from tests.e2e.installed import setting
from tests.e2e.story import APPLICATIONS, CONTROL_NAMESPACE, Story, config_map, sync_status

REFRESH = "argocd.argoproj.io/refresh"


@contextmanager
def versions_seen(story: Story, name: str = "") -> Iterator[list[dict[str, Any]]]:
    """Every version of the Application that the API server shows to a watch, from now on."""
    kubectl = story.kubectl
    seen: list[dict[str, Any]] = []
    process = subprocess.Popen(
        [
            *(kubectl.program, "--kubeconfig", kubectl.kubeconfig, "get", APPLICATIONS),
            *(name or story.name, "-n", CONTROL_NAMESPACE, "--watch", "-o", "json"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    begun = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        decoder, text = json.JSONDecoder(), ""
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                seen.append(decoder.decode(text))
                text = ""
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert begun.wait(20)
        yield seen
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)


@pytest.fixture
def no_polling(story: Story) -> Iterator[None]:
    with setting(story.kubectl, {"timeout.reconciliation": "1h"}):
        yield


def versions(seen: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(each["metadata"]["resourceVersion"] for each in seen))


def test_a_look_that_finds_nothing_new_writes_nothing(story: Story) -> None:
    """Polling every second for a while leaves the Application as it is."""
    with setting(story.kubectl, {"timeout.reconciliation": "1s"}):
        story.commit({"app/one.yaml": config_map("one"), "witness/two.yaml": config_map("two")})
        story.create_application(syncPolicy=story.automated())
        witness = f"{story.name}-witness"
        story.create_application(witness, source={"path": "witness"})
        app = story.wait_synced()
        # Commits that touch nothing of ours; the witness shows that they were polled.
        for number in range(2):
            revision = story.commit({"witness/two.yaml": config_map("two", {"key": str(number)})})
            story.wait(
                "polled", lambda app, at=revision: app["status"]["sync"].get("revision") == at, name=witness
            )
        assert story.get()["metadata"]["resourceVersion"] == app["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("no_polling")
def test_a_short_sync_needs_two_writes(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    with versions_seen(story) as seen:
        story.sync()
        story.wait_synced()
        story.wait_operation("Succeeded")
        # the version before, the user's patch, the begin, the end
        story.refresh()
    written = versions(seen)
    # and the refresh that ended the watching: its annotation and the status without it
    assert len(written) <= 6, [(each["metadata"]["resourceVersion"], each.get("status")) for each in seen]


@pytest.mark.usefixtures("no_polling")
@pytest.mark.parametrize("kind", ["normal", "hard"])
def test_a_refresh_takes_its_annotation_away_in_one_write(story: Story, kind: str) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    revision = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    with versions_seen(story) as seen:
        story.refresh(kind)
        app = story.get()
        assert app["status"]["sync"]["revision"] == revision
        assert REFRESH not in app["metadata"].get("annotations", {})
    assert len(versions(seen)) <= 3  # before, annotated, refreshed
    for each in seen:
        refreshed = REFRESH not in (each["metadata"].get("annotations") or {})
        if refreshed and each["metadata"]["resourceVersion"] != seen[0]["metadata"]["resourceVersion"]:
            assert each["status"]["sync"]["revision"] == revision


@pytest.mark.usefixtures("no_polling")
def test_a_refresh_asked_for_during_a_refresh_is_not_lost(story: Story) -> None:
    """While a look is under way a commit is made and another refresh asked for."""
    story.commit(
        {
            "app/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
            "app/templates/one.yaml": config_map("one"),
        }
    )
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    for number in range(5):
        revision = story.commit({"app/templates/one.yaml": config_map("one", {"key": str(number)})})
        # two requests in a row: the first look may be anywhere when the second one comes
        story.annotate(refresh="normal")
        last = story.commit({"app/templates/one.yaml": config_map("one", {"key": f"{number}-last"})})
        story.annotate(refresh="hard")
        app = story.wait("taken away", lambda app: REFRESH not in app["metadata"].get("annotations", {}))
        assert app["status"]["sync"]["revision"] == last != revision


def event_objects(story: Story) -> list[dict[str, Any]]:
    chosen = f"involvedObject.uid={story.get()['metadata']['uid']}"
    return list(
        story.kubectl.json("get", "events", "-n", CONTROL_NAMESPACE, "--field-selector", chosen)["items"]
    )


def events(story: Story) -> list[tuple[str, str, str]]:
    items = event_objects(story)
    items.sort(key=lambda each: int(each["metadata"]["name"].rpartition(".")[2], 16))
    return [(each["type"], each["reason"], each["message"]) for each in items]


def test_events_tell_the_transitions(story: Story) -> None:
    """applications.md 24."""
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced(revision)
    wanted = [
        ("Normal", "ResourceUpdated", "Updated sync status:  -> OutOfSync"),
        ("Normal", "ResourceUpdated", "Updated health status:  -> Missing"),
        ("Normal", "OperationStarted", f"Initiated automated sync to '{revision}'"),
        ("Normal", "OperationCompleted", f"Sync operation to {revision} succeeded"),
        ("Normal", "ResourceUpdated", "Updated sync status: OutOfSync -> Synced"),
        ("Normal", "ResourceUpdated", "Updated health status: Missing -> Healthy"),
    ]
    story.wait("told", lambda app: len(events(story)) >= len(wanted))
    assert events(story) == wanted
    (event,) = [each for each in event_objects(story) if each["reason"] == "OperationCompleted"]
    assert event["source"] == {"component": "argocd-application-controller"}
    assert event["metadata"]["annotations"] == {
        "dest-server": "https://kubernetes.default.svc",
        "dest-namespace": story.namespace,
    }
    involved = event["involvedObject"]
    assert (involved["kind"], involved["apiVersion"]) == ("Application", "argoproj.io/v1alpha1")
    assert involved["uid"] == story.get()["metadata"]["uid"]


def test_a_failed_operation_is_a_warning(story: Story) -> None:
    story.commit({"app/one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n"})
    story.create_application()
    story.wait("compared", sync_status)
    story.sync()
    story.wait_operation("Failed")
    story.wait(
        "told",
        lambda app: any(
            kind == "Warning"
            and reason == "OperationCompleted"
            and "failed: one or more objects failed" in text
            for kind, reason, text in events(story)
        ),
    )


def test_events_carry_the_labels_that_are_asked_for(story: Story) -> None:
    with setting(
        story.kubectl, {"resource.includeEventLabelKeys": "team*", "resource.excludeEventLabelKeys": "team-x"}
    ):
        story.commit({"app/one.yaml": config_map("one")})
        labels = {"team": "blue", "team-x": "no", "other": "no"}
        story.create_application(metadata={"labels": labels})
        story.wait("compared", sync_status)
        story.wait("told", lambda app: events(story))
    assert event_objects(story)[0]["metadata"]["labels"] == {"team": "blue"}


def test_what_others_set_survives(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        metadata={"annotations": {"example.org/mine": "kept"}}, info=[{"name": "url", "value": "https://x"}]
    )
    story.wait("compared", sync_status)
    story.sync()
    app = story.wait_synced()
    assert app["metadata"]["annotations"]["example.org/mine"] == "kept"
    assert app["spec"]["info"] == [{"name": "url", "value": "https://x"}]


@pytest.mark.usefixtures("no_polling")
def test_a_spec_is_stored_in_its_normal_form_and_compared_once(story: Story) -> None:
    """applications.md 3.3."""
    story.commit({"app/one.yaml": config_map("one")})
    empty: dict[str, Any] = {"helm": {}, "kustomize": {}, "directory": {"recurse": False, "jsonnet": {}}}
    story.create_application(source=empty, syncPolicy={}, project="")
    app = story.wait("compared", sync_status)
    normal = {**story.application()["spec"]["source"]}
    assert app["spec"]["source"] == app["status"]["sync"]["comparedTo"]["source"] == normal
    assert app["spec"]["project"] == "default"
    assert "syncPolicy" not in app["spec"]
    assert app["metadata"]["generation"] == 2  # made, compared


def test_the_summary_is_of_the_whole_tree(story: Story) -> None:
    """applications.md 4, health-and-resources.md 9.5: also of what is wanted and was not synced yet."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "annotations": {"link.argocd.argoproj.io/docs": "https://docs"}},
        "spec": {"containers": [{"name": "main", "image": "example.org/one:1"}]},
    }
    child = story.application(f"{story.name}-child")
    story.kubectl("apply", "-n", story.namespace, "-f", "-", stdin=json.dumps(pod))
    story.commit({"app/pod.json": json.dumps(pod), "app/child.json": json.dumps(child)})
    story.create_application(metadata={"annotations": {"link.argocd.argoproj.io/own": "own|x"}})
    app = story.wait("compared", sync_status)
    assert app["status"]["summary"] == {
        "externalURLs": ["https://docs", "own|x"],
        "images": ["example.org/one:1"],
        "isAppOfApps": True,
    }


def test_a_paused_application_is_left_alone(story: Story, operator: Operator) -> None:
    """applications.md 8, 14: in the metrics, too."""

    def shown(name: str) -> bool:
        series = [line for line in operator.metrics().splitlines() if line.startswith("argocd_app_info{")]
        return any(f'name="{name}"' in line for line in series)

    story.commit({"app/one.yaml": config_map("one")})
    annotation = "argocd.argoproj.io/skip-reconcile"
    story.create_application(metadata={"annotations": {annotation: "true"}}, syncPolicy=story.automated())
    witness = f"{story.name}-witness"
    story.create_application(witness)
    story.wait("compared", sync_status, name=witness)
    assert "status" not in story.get()
    assert (shown(witness), shown(story.name)) == (True, False)
    story.kubectl("annotate", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, f"{annotation}-")
    story.wait_synced()
    assert shown(story.name)
