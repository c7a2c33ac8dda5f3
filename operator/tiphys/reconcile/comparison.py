"""Comparing an application: desired with live, object by object, and the sums of it.

For each pair the verdict is remembered under (target digest, live uid and version, rules digest),
so an object is looked at again only when one of them moved, or when the API server may have come to
think otherwise of it (:meth:`Comparer.forget_answers`). A pair that local knowledge cannot decide
costs one dry run. What could not be compared is Unknown with the reason, never Synced.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from tiphys.compare.masking import without_values
from tiphys.compare.targets import Target
from tiphys.compare.verdicts import Verdict, compare, decide, dry_run_request
from tiphys.health.aggregate import aggregate
from tiphys.kube.errors import ApiError, ClusterUnreachable, NotFound
from tiphys.kube.nesting import TOO_DEEP
from tiphys.live.cluster import ClusterCache
from tiphys.live.records import LiveObject
from tiphys.projects.permission import live_permission
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.pairs import (
    Comparison,
    ComparisonInputs,
    health_items,
    kind_problems,
    managed_namespace,
    outside,
    pair_of,
    shared,
    statuses,
    without_twins,
)
from tiphys.reconcile.patience import patiently
from tiphys.reconcile.traits import Traits, traits_of
from tiphys.resources.identity import AppKey, GroupKind, ResourceKey

DRY_RUNS_AT_ONCE = 8
DRY_RUN_ATTEMPTS = 3
LOOK_UPS_AT_ONCE = 8
ALL_GROUPS = "*"


class Comparer:
    """Compares applications and remembers verdicts."""

    def __init__(self) -> None:
        self._verdicts: dict[AppKey, dict[ResourceKey, tuple[tuple[str, ...], Verdict]]] = {}
        self._traits: dict[AppKey, dict[ResourceKey, tuple[LiveObject, Traits]]] = {}
        self._answers: dict[AppKey, dict[ResourceKey, tuple[tuple[str, ...], Verdict]]] = {}
        self._epochs: Counter[tuple[str, str]] = Counter()  # of (server, API group): answers count within
        self._servers: dict[AppKey, str] = {}
        self._dry_runs = asyncio.Semaphore(DRY_RUNS_AT_ONCE)

    def forget(self, key: AppKey) -> None:
        """Drop what is remembered of an application that is gone."""
        self._verdicts.pop(key, None)
        self._traits.pop(key, None)
        self._answers.pop(key, None)
        self._servers.pop(key, None)

    def forget_answers(self, server: str, group: str | None = None) -> list[AppKey]:
        """The API server may make something else of what is applied than when it was asked.

        Args:
            group: the API group concerned (its CRD changed); None: all of them (another version of
                the server, another mutating webhook or policy).

        Returns:
            The applications for which that may matter: those with objects of the group, or, where it is
            about all, those for which the server was asked.
        """
        self._epochs[server, ALL_GROUPS if group is None else group] += 1
        known: Mapping[AppKey, Iterable[ResourceKey]] = self._answers if group is None else self._verdicts
        return [
            app
            for app, keys in known.items()
            if self._servers.get(app) == server and any(group is None or key.group == group for key in keys)
        ]

    def _epoch(self, server: str, group: str) -> str:
        return f"{self._epochs[server, ALL_GROUPS]}.{self._epochs[server, group]}"

    async def compare(self, inputs: ComparisonInputs) -> Comparison:
        """Compare now; never raises for what a condition can say."""
        self._servers[inputs.app.key] = inputs.cache.server
        found = list(inputs.found)
        failed = inputs.desired is None
        targets: Sequence[Target] = ()
        permitted = live_permission(inputs.project, inputs.cluster)
        if inputs.desired is not None:
            prepared = inputs.desired.prepared
            targets = prepared.targets
            found.extend(prepared.conditions)
            # hooks, too: one of another application would be deleted before ours is made
            everything = (*targets, *prepared.hooks, *prepared.delete_hooks)
            found.extend(shared(inputs, everything, permitted))

        managed = dict(inputs.cache.managed(inputs.instance))
        problems = kind_problems(inputs.cache, targets, managed)
        for problem in (*outside(inputs.cache, targets), *problems):
            found.append((kinds.COMPARISON_ERROR, f"Failed to load live state: {problem}"))
            failed = True

        allowed = {key: live for key, live in managed.items() if live.is_root and permitted(key)}
        targeted = {target.key for target in targets}
        allowed = without_twins(allowed, targeted)
        if (namespace := managed_namespace(inputs.app)) is not None:
            # Without a target it is neither extraneous nor pruned (applications.md 11.1).
            allowed = {key: live for key, live in allowed.items() if key != namespace or key in targeted}
        candidates: list[tuple[ResourceKey, Target | None, LiveObject | None]] = []
        looked_up, troubles = await _not_followed(inputs.cache, targets, permitted)
        for trouble in troubles:
            found.append((kinds.COMPARISON_ERROR, f"Failed to load live state: {trouble}"))
            failed = True
        for target in targets:
            live = allowed.pop(target.key, None)
            if live is None and permitted(target.key):  # what is not is hidden (applications.md 11.1)
                live = inputs.cache.get(target.key) or looked_up.get(target.key)
            candidates.append((target.key, target, live))
        candidates.extend((key, None, live) for key, live in allowed.items())

        verdicts, failures = await self._verdicts_of(inputs, candidates)
        for failure in failures:
            found.append(
                (kinds.COMPARISON_ERROR, f"Failed to compare desired state to live state: {failure}")
            )
            failed = True
        traits = self._traits_of(inputs.app.key, candidates)
        pairs = tuple(
            pair_of(inputs, key, target, live, traits.get(key), verdicts.get(key))
            for key, target, live in candidates
        )
        resources, sync_status = statuses(inputs, pairs, failed)
        health = aggregate(health_items(inputs, pairs))
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
        open_pairs: list[tuple[Target, LiveObject, tuple[str, ...], Verdict]] = []
        failures: list[str] = []
        for count, (key, target, live) in enumerate(candidates):
            if live is not None and live.unreadable:
                failures.append(f"unexpected error getting managed object {key}: {live.unreadable}")
                continue
            if target is None or live is None:
                continue
            stamp: tuple[str, ...] = (
                target.digest,
                live.uid,
                live.resource_version,
                inputs.rules.digest,
                self._epoch(inputs.cache.server, key.group),
            )
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
            try:
                sides = partial(compare, target.manifest(), manifest, inputs.rules)
                verdict = await patiently(inputs.rules, sides)
            except RecursionError:  # too deep for us, though not for the decoder
                failures.append(f"unexpected error getting managed object {key}: {TOO_DEEP}")
                continue
            if verdict.outcome == "undecided":
                open_pairs.append((target, live, stamp, verdict))
                continue
            verdicts[key] = verdict
            kept[key] = (stamp, verdict)
            if count % 50 == 49:
                await asyncio.sleep(0)
        answers = await asyncio.gather(
            *(self._decided(inputs, target, live, verdict.doubt) for target, live, _, verdict in open_pairs)
        )
        for (target, _, stamp, verdict), answer in zip(open_pairs, answers, strict=True):
            if isinstance(answer, str):
                failures.append(answer)
                continue
            if verdict.ignoring:
                answer = msgspec.structs.replace(answer, ignoring=True)
            verdicts[target.key] = answer
            kept[target.key] = (stamp, answer)
        self._verdicts[inputs.app.key] = kept
        return verdicts, failures

    async def _decided(
        self, inputs: ComparisonInputs, target: Target, live: LiveObject, doubt: str
    ) -> Verdict | str:
        """The verdict on a doubtful pair: remembered, or by one dry run."""
        known = self._answers.setdefault(inputs.app.key, {})
        stamp = (
            target.digest,
            live.uid,
            inputs.rules.digest,
            doubt,
            self._epoch(inputs.cache.server, target.key.group),
        )
        before = known.get(target.key)
        if before is not None and before[0] == stamp and not inputs.no_cache:
            return before[1]
        async with self._dry_runs:
            verdict = await _by_dry_run(inputs, target)
        if isinstance(verdict, Verdict) and doubt:
            known[target.key] = (stamp, verdict)
        return verdict


async def _not_followed(
    cache: ClusterCache, targets: Sequence[Target], permitted: Callable[[ResourceKey], bool]
) -> tuple[dict[ResourceKey, LiveObject], list[str]]:
    """Live objects of targets whose kinds are not followed, and why some could not be had."""
    followed: dict[GroupKind, bool] = {}
    asked: list[Target] = []
    for target in targets:
        if not target.key.name or cache.get(target.key) is not None:
            continue
        kind = target.key.group_kind
        if kind not in followed:
            followed[kind] = cache.is_watched(kind)
        if not followed[kind] and permitted(target.key):
            asked.append(target)
    if not asked:
        return {}, []
    turns = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    async def look_up(target: Target) -> LiveObject | str | None:
        async with turns:
            try:
                return await cache.look_up(target.key, target.gvk)
            except (ApiError, ClusterUnreachable) as error:
                return str(error)

    found: dict[ResourceKey, LiveObject] = {}
    troubles: list[str] = []
    for target, answer in zip(asked, await asyncio.gather(*map(look_up, asked)), strict=True):
        if isinstance(answer, str):
            troubles.append(answer)
        elif answer is not None:
            found[target.key] = answer
    return found, troubles


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
            answer = await inputs.dry_runner.patch(
                target.gvk,
                key.namespace,
                key.name,
                request.body,
                request.content_type,
                dry_run=True,
                field_manager=request.field_manager,
                force=request.force,
            )
            verdict = await patiently(inputs.rules, partial(decide, manifest, live, answer, inputs.rules))
            if verdict.outcome != "undecided":
                return verdict
            # Read anew: it changed since, or the cache left fields out that are needed here.
            live = await inputs.client.get(target.gvk, key.namespace, key.name)
    except NotFound:
        return Verdict("different", "the object is gone")
    except (ApiError, ClusterUnreachable) as error:
        return f"error running dry run for resource {name}: {without_values(key, str(error))}"
    return f"error running dry run for resource {name}: {verdict.reason}"
