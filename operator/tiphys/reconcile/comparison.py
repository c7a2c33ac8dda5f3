"""Comparing an application: desired with live, object by object, and the sums of it.

For each pair the verdict is remembered under (target digest, live uid and version, rules digest),
so an object is looked at again only when one of them moved. A pair that local knowledge cannot
decide costs one dry run. What could not be compared is Unknown with the reason, never Synced.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from tiphys.compare import hooks
from tiphys.compare.rules import Rules
from tiphys.compare.targets import Target
from tiphys.compare.tracking import Tracking
from tiphys.compare.verdicts import Verdict, compare, decide, dry_run_request
from tiphys.health.aggregate import AppHealth, HealthItem, aggregate
from tiphys.health.model import MISSING, Health
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError, ClusterUnreachable, NotFound
from tiphys.live.cluster import ClusterCache
from tiphys.live.records import LiveObject
from tiphys.projects.permission import permits_kind, permits_live
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.desired import Desired
from tiphys.reconcile.traits import Traits, traits_of
from tiphys.resources.application import Application, ResourceStatus
from tiphys.resources.identity import AppKey, ResourceKey
from tiphys.resources.project import AppProject
from tiphys.settings.clusters import Cluster

DRY_RUNS_AT_ONCE = 8
DRY_RUN_ATTEMPTS = 3
SYNCED, OUT_OF_SYNC, UNKNOWN = "Synced", "OutOfSync", "Unknown"


class Pair(msgspec.Struct, frozen=True):
    """A target and its live counterpart; at least one is there.

    Attributes:
        modified: what an apply would change: None when unknown or not compared.
        status: ``Synced``, ``OutOfSync``, ``Unknown``, or ``""`` for what has no sync status.
    """

    key: ResourceKey
    target: Target | None
    live: LiveObject | None
    traits: Traits | None
    status: str
    modified: bool | None
    self_referenced: bool
    is_hook: bool
    requires_pruning: bool


class Comparison(msgspec.Struct, frozen=True):
    """The outcome of comparing one application.

    Attributes:
        found: conditions (type, message) of this comparison.
        failed: something could not be loaded or compared.
    """

    sync_status: str
    revisions: tuple[str, ...]
    source_types: tuple[str, ...]
    health: AppHealth
    resources: tuple[ResourceStatus, ...]
    pairs: tuple[Pair, ...]
    hooks: tuple[Target, ...]
    delete_hooks: tuple[Target, ...]
    found: tuple[tuple[str, str], ...]
    failed: bool


class ComparisonInputs(msgspec.Struct, frozen=True):
    """What a comparison is made of.

    Attributes:
        desired: None when it could not be loaded (then ``found`` says why).
        found: conditions found while loading.
    """

    app: Application
    instance: str
    project: AppProject
    cluster: Cluster
    client: ClusterClient
    cache: ClusterCache
    desired: Desired | None
    rules: Rules
    tracking: Tracking
    namespace_metadata_differs: bool
    control_namespace: str
    found: tuple[tuple[str, str], ...] = ()
    no_cache: bool = False


class Comparer:
    """Compares applications and remembers verdicts."""

    def __init__(self) -> None:
        self._verdicts: dict[AppKey, dict[ResourceKey, tuple[tuple[str, ...], Verdict]]] = {}
        self._traits: dict[AppKey, dict[ResourceKey, tuple[LiveObject, Traits]]] = {}
        self._answers: dict[AppKey, dict[ResourceKey, tuple[tuple[str, ...], Verdict]]] = {}
        self._dry_runs = asyncio.Semaphore(DRY_RUNS_AT_ONCE)

    def forget(self, key: AppKey) -> None:
        """Drop what is remembered of an application that is gone."""
        self._verdicts.pop(key, None)
        self._traits.pop(key, None)
        self._answers.pop(key, None)

    async def compare(self, inputs: ComparisonInputs) -> Comparison:
        """Compare now; never raises for what a condition can say."""
        found = list(inputs.found)
        failed = inputs.desired is None
        targets: Sequence[Target] = ()
        if inputs.desired is not None:
            targets = inputs.desired.prepared.targets
            found.extend(inputs.desired.prepared.conditions)

        managed = dict(inputs.cache.managed(inputs.instance))
        problems = _kind_problems(inputs.cache, targets, managed)
        for problem in problems:
            found.append((kinds.COMPARISON_ERROR, f"Failed to load live state: {problem}"))
            failed = True
        found.extend(_shared(inputs, targets))

        allowed = {
            key: live
            for key, live in managed.items()
            if live.is_root and permits_live(inputs.project, key, cluster=inputs.cluster)
        }
        candidates: list[tuple[ResourceKey, Target | None, LiveObject | None]] = []
        for target in targets:
            candidates.append(
                (target.key, target, allowed.pop(target.key, None) or inputs.cache.get(target.key))
            )
        candidates.extend((key, None, live) for key, live in allowed.items())

        verdicts, failures = await self._verdicts_of(inputs, candidates)
        for failure in failures:
            found.append(
                (kinds.COMPARISON_ERROR, f"Failed to compare desired state to live state: {failure}")
            )
            failed = True
        traits = self._traits_of(inputs.app.key, candidates)
        pairs = tuple(
            _pair(inputs, key, target, live, traits.get(key), verdicts.get(key))
            for key, target, live in candidates
        )
        resources, sync_status = _statuses(inputs, pairs, failed)
        health = aggregate(_health_items(inputs, pairs))
        if health.error:
            found.append((kinds.COMPARISON_ERROR, health.error))
        return Comparison(
            sync_status=sync_status,
            revisions=inputs.desired.revisions if inputs.desired else (),
            source_types=inputs.desired.source_types if inputs.desired else (),
            health=health,
            resources=resources,
            pairs=pairs,
            hooks=inputs.desired.prepared.hooks if inputs.desired else (),
            delete_hooks=inputs.desired.prepared.delete_hooks if inputs.desired else (),
            found=tuple(found),
            failed=failed,
        )

    def _traits_of(
        self, app: AppKey, candidates: Sequence[tuple[ResourceKey, Target | None, LiveObject | None]]
    ) -> dict[ResourceKey, Traits]:
        known = self._traits.get(app, {})
        kept: dict[ResourceKey, tuple[LiveObject, Traits]] = {}
        for key, _, live in candidates:
            if live is None:
                continue
            before = known.get(key)
            kept[key] = before if before is not None and before[0] is live else (live, traits_of(live))
        self._traits[app] = kept
        return {key: traits for key, (_, traits) in kept.items()}

    async def _verdicts_of(
        self,
        inputs: ComparisonInputs,
        candidates: Sequence[tuple[ResourceKey, Target | None, LiveObject | None]],
    ) -> tuple[dict[ResourceKey, Verdict], list[str]]:
        known = self._verdicts.get(inputs.app.key, {}) if not inputs.no_cache else {}
        kept: dict[ResourceKey, tuple[tuple[str, ...], Verdict]] = {}
        verdicts: dict[ResourceKey, Verdict] = {}
        open_pairs: list[tuple[Target, LiveObject, tuple[str, ...], str]] = []
        failures: list[str] = []
        for count, (key, target, live) in enumerate(candidates):
            if target is None or live is None:
                continue
            stamp: tuple[str, ...] = (target.digest, live.uid, live.resource_version, inputs.rules.digest)
            before = known.get(key)
            if before is not None and before[0] == stamp:
                kept[key] = before
                verdicts[key] = before[1]
                continue
            try:
                manifest = await inputs.cache.manifest(key, target.gvk)
            except (ApiError, ClusterUnreachable) as error:
                failures.append(f"unexpected error getting managed object {key}: {error}")
                continue
            verdict = compare(target.manifest(), manifest, inputs.rules)
            if verdict.outcome == "undecided":
                open_pairs.append((target, live, stamp, verdict.doubt))
                continue
            verdicts[key] = verdict
            kept[key] = (stamp, verdict)
            if count % 50 == 49:
                await asyncio.sleep(0)
        answers = await asyncio.gather(
            *(self._decided(inputs, target, live, doubt) for target, live, _, doubt in open_pairs)
        )
        for (target, _, stamp, _), answer in zip(open_pairs, answers, strict=True):
            if isinstance(answer, str):
                failures.append(answer)
                continue
            verdicts[target.key] = answer
            kept[target.key] = (stamp, answer)
        self._verdicts[inputs.app.key] = kept
        return verdicts, failures

    async def _decided(
        self, inputs: ComparisonInputs, target: Target, live: LiveObject, doubt: str
    ) -> Verdict | str:
        """The verdict on a doubtful pair: remembered, or by one dry run."""
        known = self._answers.setdefault(inputs.app.key, {})
        stamp = (target.digest, live.uid, inputs.rules.digest, doubt)
        before = known.get(target.key)
        if before is not None and before[0] == stamp and not inputs.no_cache:
            return before[1]
        async with self._dry_runs:
            verdict = await _by_dry_run(inputs, target)
        if isinstance(verdict, Verdict) and doubt:
            known[target.key] = (stamp, verdict)
        return verdict


async def _by_dry_run(inputs: ComparisonInputs, target: Target) -> Verdict | str:
    """Ask the API server what an apply would do; a text is why that could not be found out."""
    key, manifest = target.key, target.manifest()
    name = f"{key.kind}/{key.name}"
    try:
        live = await inputs.cache.manifest(key, target.gvk)
        for _ in range(DRY_RUN_ATTEMPTS):
            if live is None:
                return Verdict("different", "the object is gone")
            request = dry_run_request(manifest, live, inputs.rules)
            answer = await inputs.client.patch(
                target.gvk,
                key.namespace,
                key.name,
                request.body,
                request.content_type,
                dry_run=True,
                field_manager=request.field_manager,
                force=request.force,
            )
            verdict = decide(manifest, live, answer, inputs.rules)
            if verdict.outcome != "undecided":
                return verdict
            # Read anew: it changed since, or the cache left fields out that are needed here.
            live = await inputs.client.get(target.gvk, key.namespace, key.name)
    except NotFound:
        return Verdict("different", "the object is gone")
    except (ApiError, ClusterUnreachable) as error:
        return f"error running dry run for resource {name}: {error}"
    return f"error running dry run for resource {name}: {verdict.reason}"


def _kind_problems(
    cache: ClusterCache, targets: Sequence[Target], managed: Mapping[ResourceKey, LiveObject]
) -> list[str]:
    """Kinds that this application uses and whose live objects cannot be read."""
    if not cache.problems:
        return []
    used = {target.key.group_kind for target in targets} | {key.group_kind for key in managed}
    return [f"{kind}: {why}" for kind, why in sorted(cache.problems.items()) if kind in used]


def _shared(inputs: ComparisonInputs, targets: Sequence[Target]) -> list[tuple[str, str]]:
    """Targets that another application's tracking claims."""
    found: list[tuple[str, str]] = []
    for target in targets:
        live = inputs.cache.get(target.key)
        if live is not None and live.app_instance and live.app_instance != inputs.instance:
            app = inputs.app
            found.append(
                (
                    kinds.SHARED_RESOURCE_WARNING,
                    f"{target.key.kind}/{target.key.name} is part of applications "
                    f"{app.metadata.namespace}/{app.metadata.name} and {live.app_instance.replace('_', '/')}",
                )
            )
    return found


def _pair(
    inputs: ComparisonInputs,
    key: ResourceKey,
    target: Target | None,
    live: LiveObject | None,
    traits: Traits | None,
    verdict: Verdict | None,
) -> Pair:
    """Sync status of one pair (sync.md 8.1)."""
    is_hook = live is not None and live.is_hook
    self_referenced = traits is None or inputs.tracking.is_self_referenced_record(
        traits, target.key if target else None
    )
    modified: bool | None = None
    if live is None or target is None:
        modified = live is None
    elif verdict is not None:
        modified = verdict.outcome == "different"
    if is_hook or (target is not None and target.is_skipped) or not self_referenced:
        status = ""
    elif target is None or live is None:
        status = OUT_OF_SYNC
    elif modified is None:
        status = UNKNOWN
    else:
        status = OUT_OF_SYNC if modified else SYNCED
    requires_pruning = target is None and live is not None and self_referenced and not is_hook
    return Pair(key, target, live, traits, status, modified, self_referenced, is_hook, requires_pruning)


def _statuses(
    inputs: ComparisonInputs, pairs: Sequence[Pair], failed: bool
) -> tuple[tuple[ResourceStatus, ...], str]:
    """``status.resources`` and the application's sync status (sync.md 8.2–8.3)."""
    overall = SYNCED
    resources: list[ResourceStatus] = []
    options = tuple((inputs.app.spec.sync_policy and inputs.app.spec.sync_policy.sync_options) or ())
    hook_waves = {hook.key: hook.wave for hook in (inputs.desired.prepared.hooks if inputs.desired else ())}
    for pair in pairs:
        status = pair.status
        if status == OUT_OF_SYNC and not (
            pair.target is None and pair.traits is not None and pair.traits.ignore_extraneous
        ):
            overall = OUT_OF_SYNC
        key = pair.key
        namespaced = bool(key.namespace)
        if not permits_kind(inputs.project, key.group, key.kind, namespaced=namespaced, name=key.name):
            status = UNKNOWN
        if failed and status:
            status = UNKNOWN
        resources.append(
            ResourceStatus(
                group=key.group,
                version=pair.target.gvk.version if pair.target else (pair.live.version if pair.live else ""),
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                status=status,
                hook=pair.is_hook,
                requires_pruning=pair.requires_pruning,
                sync_wave=pair.target.wave if pair.target else hook_waves.get(key, 0),
                requires_deletion_confirmation=_needs_confirmation(pair, options),
            )
        )
    if failed:
        overall = UNKNOWN
    elif inputs.namespace_metadata_differs:
        overall = OUT_OF_SYNC
    resources.sort(key=lambda r: f"{r.group}/{r.kind}/{r.namespace}/{r.name}")
    return tuple(resources), overall


def _needs_confirmation(pair: Pair, options: tuple[str, ...]) -> bool:
    """``Delete=confirm`` or ``Prune=confirm``, from the object or else the application."""
    for side in (pair.target, pair.traits):
        if side is None:
            continue
        for option in ("Delete", "Prune"):
            own = hooks.option_value(side.sync_options, option)
            if (own if own is not None else hooks.option_value(options, option)) == "confirm":
                return True
    return False


def _health_items(inputs: ComparisonInputs, pairs: Sequence[Pair]) -> list[HealthItem]:
    items: list[HealthItem] = []
    for pair in pairs:
        live = pair.live
        skip = pair.is_hook or (pair.target is not None and pair.target.is_skipped)
        itself = live is not None and live.uid != "" and live.uid == inputs.app.metadata.uid
        items.append(
            HealthItem(
                key=pair.key,
                has_target=pair.target is not None,
                has_live=live is not None,
                skip=skip,
                health=live.health if live is not None else Health(MISSING),
                ignored=itself or (pair.traits is not None and pair.traits.ignore_health),
            )
        )
    return items
