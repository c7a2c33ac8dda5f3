"""The status of each resource and of the application (sync.md 8.1 to 8.3, 2.5)."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from tests.reconcile.test_decisions import application
from tiphys.compare.rules import build_rules
from tiphys.compare.targets import PreparedTargets, Target, make_target
from tiphys.compare.tracking import TRACKING_ANNOTATION, Tracking, format_tracking_id
from tiphys.compare.verdicts import Verdict
from tiphys.live.records import Details, LiveObject
from tiphys.reconcile.desired import Desired
from tiphys.reconcile.pairs import ComparisonInputs, Pair, pair_of, statuses
from tiphys.reconcile.traits import traits_of
from tiphys.resources.application import ResourceStatus
from tiphys.resources.identity import Manifest, ResourceKey, key_of
from tiphys.resources.project import AppProject, AppProjectSpec
from tiphys.settings.clusters import Cluster
from tiphys.settings.model import CompareOptions

NOBODY: Any = None  # no room that asks anybody is entered here
HOOK = "argocd.argoproj.io/hook"
OPTIONS = "argocd.argoproj.io/sync-options"
COMPARE = "argocd.argoproj.io/compare-options"
WAVE = "argocd.argoproj.io/sync-wave"
TRACKING = Tracking()
SAME, DIFFERENT = Verdict("same", ""), Verdict("different", "")


def config(name: str = "a", kind: str = "ConfigMap", **annotations: str) -> Manifest:
    key = ResourceKey("", kind, "demo", name)
    marks = {TRACKING_ANNOTATION: format_tracking_id("a", key), **annotations}
    metadata = {"name": name, "namespace": "demo", "annotations": {k: v for k, v in marks.items() if v}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def live(manifest: Manifest, *, is_hook: bool = False) -> LiveObject:
    body = orjson.dumps(manifest)
    return LiveObject(key_of(manifest), "v1", "1", "5", details=Details(body=body, is_hook=is_hook))


def inputs(
    *,
    options: Iterable[str] = (),
    hooks: Iterable[Target] = (),
    project: AppProjectSpec | None = None,
    **more: Any,
) -> ComparisonInputs:
    prepared = PreparedTargets((), tuple(hooks))
    return ComparisonInputs(
        app=application(spec={"syncPolicy": {"syncOptions": list(options)}}),
        instance="a",
        project=AppProject(spec=project or AppProjectSpec()),
        cluster=Cluster(name="in-cluster", server="https://kubernetes.default.svc"),
        client=NOBODY,
        dry_runner=NOBODY,
        cache=NOBODY,
        desired=Desired(("abc",), (), prepared),
        rules=build_rules((), {}, CompareOptions()),
        tracking=TRACKING,
        namespace_metadata_differs=more.get("namespace_metadata_differs", False),
        control_namespace="argocd",
    )


def paired(
    given: ComparisonInputs,
    target: Manifest | None,
    found: LiveObject | None,
    verdict: Verdict | None = None,
) -> Pair:
    key = key_of(target) if target is not None else found.key if found is not None else NOBODY
    traits = traits_of(found) if found is not None else None
    return pair_of(given, key, make_target(target) if target is not None else None, found, traits, verdict)


COPIED = {**config("a"), "metadata": {**config("b")["metadata"], "name": "a"}}
"""An object to which somebody copied another one's mark."""
SKIPPED = config(**{HOOK: "Skip"})
TOLERATED = config(**{COMPARE: "IgnoreExtraneous"})


@pytest.mark.parametrize(
    ("target", "found", "verdict", "status", "pruning", "overall"),
    [
        pytest.param(config(), live(config()), SAME, "Synced", False, "Synced", id="8.1 equal"),
        pytest.param(config(), live(config()), DIFFERENT, "OutOfSync", False, "OutOfSync", id="8.1 modified"),
        pytest.param(config(), None, None, "OutOfSync", False, "OutOfSync", id="8.1 missing"),
        pytest.param(None, live(config()), None, "OutOfSync", True, "OutOfSync", id="8.1 extra"),
        pytest.param(None, live(TOLERATED), None, "OutOfSync", True, "Synced", id="8.1 IgnoreExtraneous"),
        pytest.param(
            config(), live(TOLERATED), DIFFERENT, "OutOfSync", False, "OutOfSync", id="8.1 not extra"
        ),
        pytest.param(None, live(config(), is_hook=True), None, "", True, "Synced", id="8.1, 8.3 live hook"),
        pytest.param(config(), live(config(), is_hook=True), DIFFERENT, "", False, "Synced", id="23.27"),
        pytest.param(SKIPPED, live(config()), DIFFERENT, "", False, "Synced", id="8.1 Skip"),
        pytest.param(SKIPPED, None, None, "", False, "Synced", id="8.1 Skip, not there"),
        pytest.param(None, live(SKIPPED), None, "OutOfSync", True, "OutOfSync", id="8.1 Skip of live only"),
        pytest.param(None, live(COPIED), None, "", False, "Synced", id="2.5 a copied mark"),
    ],
)
def test_status_of_a_resource(
    target: Manifest | None,
    found: LiveObject | None,
    verdict: Verdict | None,
    status: str,
    pruning: bool,
    overall: str,
) -> None:
    given = inputs()
    resources, whole = statuses(given, [paired(given, target, found, verdict)], failed=False)
    assert [(r.status, r.requires_pruning) for r in resources] == [(status, pruning)]
    assert whole == overall


def test_where_something_failed_to_load_all_is_unknown() -> None:  # 8.1, 8.2, applications.md 11.2
    given = inputs()
    pairs = [
        paired(given, config("a"), live(config("a")), SAME),
        paired(given, None, live(config("h"), is_hook=True)),
    ]
    resources, whole = statuses(given, pairs, failed=True)
    assert ({r.name: r.status for r in resources}, whole) == ({"a": "Unknown", "h": "Unknown"}, "Unknown")


def test_what_the_project_does_not_permit_is_unknown() -> None:  # 8.1
    given = inputs(project=AppProjectSpec(namespace_resource_whitelist=()))
    resources, whole = statuses(given, [paired(given, config(), live(config()), SAME)], failed=False)
    assert (resources[0].status, whole) == ("Unknown", "Synced")


def test_changed_metadata_of_the_namespace_is_out_of_sync() -> None:  # 8.2
    given = inputs(namespace_metadata_differs=True)
    assert statuses(given, [], failed=False) == ((), "OutOfSync")


def test_waves_of_targets_and_of_hooks() -> None:  # 8.3
    hook = config("h", **{HOOK: "PreSync", WAVE: "-2"})
    given = inputs(hooks=[make_target(hook)])
    pairs = [
        paired(given, config("a", **{WAVE: "3"}), None),
        paired(given, None, live(config("old", **{WAVE: "7"}))),
        paired(given, None, live(hook, is_hook=True)),
    ]
    resources, _ = statuses(given, pairs, failed=False)
    assert {r.name: r.sync_wave for r in resources} == {"a": 3, "old": 0, "h": -2}


def test_order_is_that_of_the_joined_names() -> None:  # 8.3; "-" comes before "/"
    given = inputs()
    pairs = [
        paired(given, config("b"), None),
        paired(given, config("a", kind="Secret"), None),
        paired(given, config("a"), None),
        paired(given, config("z", kind="ConfigMap-x"), None),
    ]
    resources, _ = statuses(given, pairs, failed=False)
    found = [(r.kind, r.name) for r in resources]
    assert found == [("ConfigMap-x", "z"), ("ConfigMap", "a"), ("ConfigMap", "b"), ("Secret", "a")]


@pytest.mark.parametrize(
    ("target", "found", "options", "asks"),
    [
        pytest.param("", "", (), False, id="nobody asks"),
        pytest.param("Delete=confirm", "", (), True, id="the target"),
        pytest.param("", "Prune=confirm", (), True, id="the live object"),
        pytest.param("", "", ("Delete=confirm",), True, id="the application, Delete"),
        pytest.param("", "", ("Prune=confirm",), True, id="the application, Prune"),
        pytest.param("Delete=true", "Delete=x", ("Delete=confirm",), False, id="the object beats it"),
        pytest.param("Delete=true", "", ("Delete=confirm",), True, id="live follows the application"),
        pytest.param("Delete=x", "Delete=x", ("Delete=confirm", "Prune=confirm"), True, id="each for itself"),
        pytest.param("Prune=false,Prune=confirm", "", (), False, id="the first counts"),
    ],
)
def test_whose_deletion_has_to_be_confirmed(
    target: str, found: str, options: tuple[str, ...], asks: bool
) -> None:  # 8.3
    given = inputs(options=options)
    pair = paired(given, config(**{OPTIONS: target}), live(config(**{OPTIONS: found})), SAME)
    (resource,), _ = statuses(given, [pair], failed=False)
    assert resource.requires_deletion_confirmation is asks


def test_who_has_no_live_side_asks_by_its_target() -> None:  # 8.3
    given = inputs(options=("Delete=confirm",))
    (resource,), _ = statuses(given, [paired(given, config(), None)], failed=False)
    assert resource == ResourceStatus(
        version="v1",
        kind="ConfigMap",
        namespace="demo",
        name="a",
        status="OutOfSync",
        requires_deletion_confirmation=True,
    )
