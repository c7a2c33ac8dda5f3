"""The pure decisions of the controller, as tables (applications.md 5, 7.4, 9, 12)."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.reconcile.autosync import SelfHealBackoff, already_attempted, decide_auto_sync
from tiphys.reconcile.conditions import set_conditions
from tiphys.reconcile.durations import DurationError, parse_duration
from tiphys.reconcile.finalizers import propagation_policy, with_delete_hook_finalizers
from tiphys.reconcile.refresh import REFRESH_ANNOTATION, Level, Timeouts, decide_refresh, is_skipped
from tiphys.reconcile.retrying import retry_delay
from tiphys.reconcile.services import Memory
from tiphys.reconcile.statuses import merge_patch
from tiphys.reconcile.writing import Stale
from tiphys.resources.application import (
    Application,
    ApplicationCondition,
    Backoff,
    ResourceStatus,
    RetryStrategy,
    decode,
)
from tiphys.resources.identity import AppKey
from tiphys.resources.times import Timestamp, from_timestamp, to_timestamp

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOURCE = {"repoURL": "https://git.example/r", "path": "p", "targetRevision": "main"}
DESTINATION = {"server": "https://kubernetes.default.svc", "namespace": "demo"}


def application(**parts: Any) -> Application:
    """A compared, synced application; ``parts`` replace what the case is about."""
    manifest: dict[str, Any] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "a", "namespace": "argocd", "annotations": parts.get("annotations", {})},
        "spec": {"project": "default", "source": SOURCE, "destination": DESTINATION, **parts.get("spec", {})},
        "status": {
            "sync": {
                "status": "Synced",
                "revision": "abc",
                "comparedTo": {"source": SOURCE, "destination": DESTINATION, **parts.get("compared", {})},
            },
            "health": {},
            "reconciledAt": to_timestamp(NOW - timedelta(seconds=parts.get("age", 10))),
            **parts.get("status", {}),
        },
    }
    if "operation" in parts:
        manifest["operation"] = parts["operation"]
    if parts.get("deleting"):
        manifest["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return decode(manifest)


@pytest.mark.parametrize(
    ("parts", "requested", "expected"),
    [
        pytest.param({}, None, None, id="9: nothing due"),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/refresh": "normal"}},
            None,
            (Level.FORCE, False),
            id="9.1 normal",
        ),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/refresh": "hard"}}, None, (Level.FORCE, True), id="9.1 hard"
        ),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/refresh": "x"}}, None, (Level.FORCE, False), id="9.1 other"
        ),
        pytest.param(
            {"compared": {"source": {**SOURCE, "path": "q"}}}, None, (Level.FORCE, False), id="9.2 source"
        ),
        pytest.param({"age": 121}, None, (Level.LATEST, False), id="9.3 expired"),
        pytest.param(
            {"compared": {"destination": {"name": "other"}}},
            None,
            (Level.LATEST, False),
            id="9.4 destination",
        ),
        pytest.param(
            {"spec": {"ignoreDifferences": [{"kind": "Pod"}]}}, None, (Level.LATEST, False), id="9.6 ignore"
        ),
        pytest.param({}, Level.RECENT, (Level.RECENT, False), id="9.7 requested"),
    ],
)
def test_refresh_decision(parts: Any, requested: Level | None, expected: tuple[Level, bool] | None) -> None:
    decision = decide_refresh(
        application(**parts), requested=requested, now=NOW, looked_at=None, timeouts=Timeouts(120)
    )
    assert (decision and (decision.level, decision.hard)) == expected


def test_a_look_that_wrote_nothing_still_counts_as_recent() -> None:
    app = application(age=500)
    recently = NOW - timedelta(seconds=5)
    assert decide_refresh(app, requested=None, now=NOW, looked_at=recently, timeouts=Timeouts(120)) is None


@pytest.mark.parametrize(
    ("asked", "waited", "max_age"),
    [
        pytest.param(False, 0.0, 1.0, id="new"),
        pytest.param(False, 7.5, 7.5, id="waited: what was asked meanwhile is news for it"),
        pytest.param(True, 7.5, 0.05, id="asked by a user"),
    ],
)
def test_how_old_a_repository_s_answer_may_be(asked: bool, waited: float, max_age: float) -> None:
    app = application(annotations={REFRESH_ANNOTATION: "normal"} if asked else {}, compared={"source": {}})
    decision = decide_refresh(
        app, requested=None, now=NOW, looked_at=None, timeouts=Timeouts(120), waited=waited
    )
    assert decision is not None
    assert (decision.level, decision.max_age) == (Level.FORCE, max_age)


@pytest.mark.parametrize(
    ("ahead", "timeouts", "expected"),
    [
        pytest.param(30, Timeouts(120), None, id="clocks of two machines differ"),
        pytest.param(36_000, Timeouts(120), (Level.LATEST, False), id="the clock was set back"),
        pytest.param(36_000, Timeouts(120, 600), (Level.LATEST, True), id="nor the next hard one"),
    ],
)
def test_a_clock_that_was_set_back_puts_no_look_off(
    ahead: int, timeouts: Timeouts, expected: tuple[Level, bool] | None
) -> None:
    looked = NOW + timedelta(seconds=ahead)
    decision = decide_refresh(
        application(age=0), requested=None, now=NOW, looked_at=looked, timeouts=timeouts
    )
    assert (decision and (decision.level, decision.hard)) == expected


@pytest.mark.parametrize(
    ("looked", "hard", "expected"),
    [
        pytest.param(5, 3601, (Level.LATEST, True), id="9.3 looks in between do not put it off"),
        pytest.param(5, 3599, None, id="9.3 not yet"),
        pytest.param(121, 3599, (Level.LATEST, False), id="9.3 soft"),
        pytest.param(3601, None, (Level.LATEST, True), id="9.3 no hard look known: since the last one"),
    ],
)
def test_hard_expiry_counts_for_itself(
    looked: int, hard: int | None, expected: tuple[Level, bool] | None
) -> None:
    decision = decide_refresh(
        application(age=10_000),
        requested=None,
        now=NOW,
        looked_at=NOW - timedelta(seconds=looked),
        timeouts=Timeouts(120, 3600),
        hard_at=None if hard is None else NOW - timedelta(seconds=hard),
    )
    assert (decision and (decision.level, decision.hard)) == expected


@pytest.mark.parametrize(
    ("soft", "hard", "shortest"), [(120, 0, 120), (0, 3600, 3600), (120, 60, 60), (120, 3600, 120), (0, 0, 0)]
)
def test_the_next_look_is_at_the_shorter_timeout(soft: float, hard: float, shortest: float) -> None:
    assert Timeouts(soft, hard).shortest == shortest


@pytest.mark.parametrize(
    ("value", "skipped"), [("true", True), ("1", True), ("T", True), ("yes", False), ("", False)]
)
def test_skip_reconcile(value: str, skipped: bool) -> None:
    assert is_skipped(application(annotations={"argocd.argoproj.io/skip-reconcile": value})) is skipped


AUTO = {"syncPolicy": {"automated": {}}}
HEAL = {"syncPolicy": {"automated": {"selfHeal": True}}}
PRUNE = {"syncPolicy": {"automated": {"prune": True}}}
OUT = (ResourceStatus(kind="ConfigMap", name="c", status="OutOfSync"),)
ONLY_PRUNE = (ResourceStatus(kind="ConfigMap", name="c", status="OutOfSync", requires_pruning=True),)


def ended(phase: str, revision: str = "abc", attempts: int = 0, ago: int = 1) -> dict[str, Any]:
    """A finished operation at ``revision``."""
    return {
        "operationState": {
            "operation": {"sync": {"revision": revision, "autoHealAttemptsCount": attempts}},
            "phase": phase,
            "message": "why",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": to_timestamp(NOW - timedelta(seconds=ago)),
            "syncResult": {"revision": revision, "source": SOURCE},
        }
    }


def since_end(app: Application) -> float:
    state = app.status.operation_state
    moment = state.finished_at if state is not None else ""
    return (NOW - from_timestamp(moment)).total_seconds() if moment else 0.0


@pytest.mark.parametrize(
    ("parts", "resources", "outcome"),
    [
        pytest.param({}, OUT, "", id="12.1 off"),
        pytest.param(
            {"spec": {"syncPolicy": {"automated": {"enabled": False}}}}, OUT, "", id="12.1 disabled"
        ),
        pytest.param({"spec": AUTO, "operation": {"sync": {}}}, OUT, "", id="12.2 operation"),
        pytest.param({"spec": AUTO, "deleting": True}, OUT, "", id="12.3 deleting"),
        pytest.param({"spec": AUTO}, ONLY_PRUNE, "", id="12.5 only pruning"),
        pytest.param(
            {"spec": AUTO, "status": ended("Failed")},
            OUT,
            "Failed last sync attempt to [abc]: why",
            id="12.6 failed before",
        ),
        pytest.param({"spec": AUTO, "status": ended("Succeeded")}, OUT, "", id="12.7 no self-heal"),
        pytest.param({"spec": HEAL, "status": ended("Succeeded")}, OUT, "start", id="12.8 heals at once"),
        pytest.param(
            {"spec": HEAL, "status": ended("Succeeded", attempts=1)}, OUT, "wait", id="12.8 backs off"
        ),
        pytest.param(
            {"spec": HEAL, "status": ended("Succeeded", attempts=1, ago=3)}, OUT, "start", id="12.8 waited"
        ),
        pytest.param(
            {"spec": PRUNE},
            ONLY_PRUNE,
            "Skipping sync attempt to [abc]: auto-sync will wipe out all resources",
            id="12.9 empty",
        ),
        pytest.param(
            {"spec": {"syncPolicy": {"automated": {"prune": True, "allowEmpty": True}}}},
            ONLY_PRUNE,
            "start",
            id="12.9 allowEmpty",
        ),
        pytest.param({"spec": AUTO}, OUT, "start", id="12.10 never synced"),
        pytest.param(
            {"spec": AUTO, "status": ended("Succeeded", "old")}, OUT, "start", id="12.10 new revision"
        ),
    ],
)
def test_automated_sync(parts: Any, resources: tuple[ResourceStatus, ...], outcome: str) -> None:
    app = application(**parts)
    verdict = decide_auto_sync(
        app,
        sync_status="OutOfSync",
        resources=resources,
        revisions=("abc",),
        backoff=SelfHealBackoff(),
        since_end=since_end(app),
    )
    assert verdict.why
    got = "start" if verdict.operation else "wait" if verdict.retry_after else verdict.error or ""
    assert got == outcome


def test_self_heal_syncs_only_what_differs_and_counts() -> None:
    resources = (*OUT, ResourceStatus(group="apps", kind="Deployment", name="d", status="Synced"))
    app = application(spec=HEAL, status=ended("Succeeded", attempts=2, ago=1000))
    verdict = decide_auto_sync(
        app,
        sync_status="OutOfSync",
        resources=resources,
        revisions=("abc",),
        backoff=SelfHealBackoff(),
        since_end=since_end(app),
    )
    assert verdict.operation is not None
    sync = verdict.operation.sync
    assert sync is not None
    assert sync.self_heal_attempts_count == 3
    assert [(r.kind, r.name, r.namespace) for r in sync.resources] == [("ConfigMap", "c", "")]


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, 0), (1, 2), (2, 6), (3, 18), (4, 54), (5, 162), (6, 300), (7, 300)]
)
def test_self_heal_backoff(attempts: int, delay: float) -> None:
    assert SelfHealBackoff().delay(attempts) == delay


def test_a_changed_source_was_not_attempted() -> None:
    app = application(spec={"source": {**SOURCE, "path": "other"}}, status=ended("Succeeded"))
    assert not already_attempted(app, ("abc",))


def test_commits_that_change_nothing_for_it_are_no_new_attempt() -> None:
    # applications.md 11.3, 12: drift after an unrelated commit is a matter of self-heal
    def verdict(spec: dict[str, Any], unchanged: bool) -> str:
        return decide_auto_sync(
            application(spec=spec, status=ended("Succeeded", "old")),
            sync_status="OutOfSync",
            resources=OUT,
            revisions=("abc",),
            backoff=SelfHealBackoff(),
            since_end=1.0,
            unchanged=unchanged,
        ).why

    assert verdict(AUTO, False) == "new revision or source"
    assert verdict(AUTO, True) == "this revision was synced already and self-heal is off"
    assert verdict(HEAL, True) == "self-heal"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("5s", 5), ("2m", 120), ("1h30m", 5400), ("300ms", 0.3), ("1.5s", 1.5), ("0", 0), ("-1s", -1)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "5 s", "1d", "s"])
def test_a_bad_duration_is_named(text: str) -> None:
    with pytest.raises(DurationError, match=f"unable to parse {text} as a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        pytest.param(RetryStrategy(limit=5), [5, 10, 20, 40, 80, 160, 180], id="7.4 defaults"),
        pytest.param(
            RetryStrategy(backoff=Backoff(duration="1", factor=3, max_duration="20s")),
            [1, 3, 9, 20],
            id="7.4 own",
        ),
        pytest.param(
            RetryStrategy(backoff=Backoff(duration="100s", max_duration="0")),
            [100, 200, 400],
            id="7.4 no cap",
        ),
        pytest.param(RetryStrategy(backoff=Backoff(duration="0s")), [0, 0, 0, 0, 1, 1], id="no pause"),
        pytest.param(RetryStrategy(backoff=Backoff(factor=0)), [5, 0, 0, 0, 1, 1], id="a factor of 0"),
        pytest.param(
            RetryStrategy(backoff=Backoff(duration="-5s")), [0, 0, 0, 0, 1, 1], id="a negative pause"
        ),
    ],
)
def test_retry_delays(retry: RetryStrategy, delays: list[float]) -> None:
    assert [retry_delay(retry, attempt) for attempt in range(len(delays))] == delays


def condition(kind: str, message: str, at: str = "2026-01-01T00:00:00Z") -> ApplicationCondition:
    return ApplicationCondition(type=kind, message=message, last_transition_time=Timestamp(at))


def test_conditions_keep_others_and_their_time_when_repeated() -> None:
    now = to_timestamp(NOW)
    stored = [condition("SyncError", "s"), condition("ComparisonError", "c"), condition("UnknownError", "u")]
    found = [("ComparisonError", "c"), ("RepeatedResourceWarning", "r")]
    updated = set_conditions(stored, found, frozenset({"ComparisonError", "UnknownError"}), now)
    assert [(c.type, c.last_transition_time) for c in updated] == [
        ("ComparisonError", "2026-01-01T00:00:00Z"),
        ("RepeatedResourceWarning", now),
        ("SyncError", "2026-01-01T00:00:00Z"),
    ]


def test_a_changed_message_gets_a_new_time() -> None:
    now = to_timestamp(NOW)
    updated = set_conditions([condition("A", "old")], [("A", "new")], frozenset({"A"}), now)
    assert [(c.message, c.last_transition_time) for c in updated] == [("new", now)]


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": 1}, {"a": True}, {"a": True}),
    ],
)
def test_merge_patch(old: Any, new: Any, patch: Any) -> None:
    assert merge_patch(old, new) == patch


def test_delete_hook_finalizers_follow_the_manifests() -> None:
    names = with_delete_hook_finalizers(("mine",), pre=False, post=True)
    assert names == (
        "mine",
        "post-delete-finalizer.argocd.argoproj.io",
        "post-delete-finalizer.argocd.argoproj.io/cleanup",
    )
    assert with_delete_hook_finalizers(names, pre=False, post=False) == ("mine",)


@pytest.mark.parametrize(
    ("finalizers", "policy"),
    [
        (("resources-finalizer.argocd.argoproj.io",), "Foreground"),
        (
            (
                "x",
                "resources-finalizer.argocd.argoproj.io/background",
                "resources-finalizer.argocd.argoproj.io",
            ),
            "Background",
        ),
        (("x",), None),
    ],
)
def test_propagation_policy(finalizers: tuple[str, ...], policy: str | None) -> None:
    assert propagation_policy(finalizers) == policy


@pytest.mark.parametrize(
    ("asked", "fails", "left"),
    [
        (Level.TREE, False, None),
        (Level.RECENT, False, None),
        (Level.RECENT, True, Level.RECENT),
        (Level.LATEST, False, Level.LATEST),
        (None, False, None),
    ],
    ids=["tree", "recent", "recent, but it fails", "more than that", "nothing"],
)
def test_the_end_of_a_sync_answers_what_its_writes_asked_for(
    asked: Level | None, fails: bool, left: Level | None
) -> None:
    key, memory = AppKey("argocd", "web"), Memory()
    if asked is not None:
        memory.request(key, asked)
    with contextlib.suppress(Stale), memory.answering(key, Level.RECENT):
        if fails:
            raise Stale(str(key))
    assert memory.requested(key, 0.0) == left


def test_what_is_asked_for_during_the_answer_stays() -> None:
    key, memory = AppKey("argocd", "web"), Memory()
    memory.request(key, Level.RECENT)
    with memory.answering(key, Level.RECENT):
        memory.request(key, Level.TREE)
    assert memory.requested(key, 0.0) == Level.TREE
