"""Targets beside live objects, as people are shown them (health-and-resources.md 12.1).

The comparison is that of a look: it costs what moved since the last one. For each pair there is the
target, the live object, the live object without what never counts, and what an apply would make of
it. The latter comes from the API server where only it knows: with server-side diff, and where local
knowledge sees no difference though a dry run did. Secrets are masked, all states of one together
(sync.md 6).
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from functools import partial

import msgspec
import orjson

from tiphys.compare.masking import mask_states
from tiphys.compare.merging import shown
from tiphys.compare.rules import IgnoreRuleError, Rules
from tiphys.compare.targets import TargetError
from tiphys.compare.verdicts import Prediction, decide, dry_run_request, predict
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import KubeError
from tiphys.projects.impersonation import ImpersonationError
from tiphys.reconcile.clusters import ClusterHandle
from tiphys.reconcile.desired import Desired, DesiredStateError, stored_revisions
from tiphys.reconcile.inspecting.answers import Answers
from tiphys.reconcile.loading import compare_now, desired_of, desired_request
from tiphys.reconcile.local import LocalManifestError, local_manifests
from tiphys.reconcile.pairs import Pair
from tiphys.reconcile.patience import patiently
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, rules_of
from tiphys.reconcile.syncing import client_for
from tiphys.resources.identity import Manifest, ResourceKey
from tiphys.resources.messages.trees import ResourceDiff

DRY_RUNS_AT_ONCE = 8
PAIRS_AT_ONCE = 20
"""Pairs prepared before others get their turn."""

NOTHING = "null"
FAILED = "{}"


class _Found(msgspec.Struct, frozen=True):
    """One pair, unmasked: never leaves this room.

    ``failed``: it could not be compared.
    """

    target: Manifest | None
    live: Manifest | None
    prediction: Prediction
    failed: bool = False


async def differences(
    services: Services,
    situation: Situation,
    handle: ClusterHandle,
    keys: Collection[ResourceKey] | None,
    answers: Answers,
) -> tuple[ResourceDiff, ...]:
    """The differences of an application's pairs, of all or of ``keys``, hooks included, sorted."""
    app = situation.app
    # Not load_desired: what fails here says nothing to the controller, which tries for itself.
    request = await desired_request(
        situation,
        handle,
        sources=app.spec.effective_sources(),
        revisions=stored_revisions(app),
        max_age=None,
        no_cache=False,
    )
    desired: Desired | None = None
    with suppress(DesiredStateError, TargetError, LocalManifestError):
        desired = await desired_of(services, request, local_manifests(app))
    comparison = await compare_now(services, situation, handle, desired, [])
    maker = _Maker(services, situation, handle, answers)
    wanted = [pair for pair in comparison.pairs if keys is None or pair.key in keys]
    wanted.sort(key=lambda pair: str(pair.key))
    made: list[ResourceDiff] = []
    for start in range(0, len(wanted), PAIRS_AT_ONCE):
        part = wanted[start : start + PAIRS_AT_ONCE]
        made.extend(await asyncio.gather(*(maker.difference(pair) for pair in part)))
        await asyncio.sleep(0)
    return tuple(made)


class _Maker:
    """What the differences of one application are made with."""

    def __init__(self, services: Services, situation: Situation, handle: ClusterHandle, answers: Answers):
        self._situation = situation
        self._answers = answers
        self._handle = handle
        self._turns = asyncio.Semaphore(DRY_RUNS_AT_ONCE)
        self._rules: Rules | None
        self._client: ClusterClient | None
        try:
            self._rules = rules_of(services, situation, server_side_diff=services.options.server_side_diff)
            enforced = situation.settings.impersonation_enforced
            self._client = client_for(situation, handle, enforced=enforced)
        except (IgnoreRuleError, ImpersonationError):
            self._rules = self._client = None  # the comparison has no targets then, and says why

    async def difference(self, pair: Pair) -> ResourceDiff:
        """One pair, masked."""
        found = await self._found(pair)
        hidden = self._situation.settings.sensitive_mask_annotations
        states = (
            found.target,
            found.live,
            found.prediction.normalized_live,
            found.prediction.predicted_live,
        )
        target, live, normalized, predicted = mask_states(states, hidden)
        key = pair.key
        return ResourceDiff(
            group=key.group,
            kind=key.kind,
            namespace=key.namespace,
            name=key.name,
            target_state=text_of(target),
            live_state=text_of(live),
            hook=pair.is_hook,
            normalized_live_state=FAILED if found.failed else text_of(normalized),
            predicted_live_state=FAILED if found.failed else text_of(predicted),
            resource_version=pair.live.resource_version if pair.live is not None else "",
            modified=bool(pair.modified) and not found.failed,
        )

    async def _found(self, pair: Pair) -> _Found:
        target = pair.target.manifest() if pair.target is not None else None
        nothing = Prediction(None, None)
        if pair.live is not None and pair.live.unreadable:
            return _Found(target, None, nothing, failed=True)
        try:
            live = None
            if pair.live is not None:
                gvk = pair.target.gvk if pair.target is not None else None
                live = await self._handle.cache.manifest(pair.key, gvk)
            if target is None or live is None or self._rules is None:
                return _Found(target, live, Prediction(None if live is None else shown(live), target))
            if pair.modified is None:
                return _Found(target, live, nothing, failed=True)
            if not pair.modified:
                calm = (await _predict(target, live, self._rules)).normalized_live
                return _Found(target, live, Prediction(calm, calm))
            return _Found(target, live, await self._predicted(pair, target, live, self._rules))
        except KubeError:
            return _Found(target, None, nothing, failed=True)

    async def _predicted(self, pair: Pair, target: Manifest, live: Manifest, rules: Rules) -> Prediction:
        """What an apply would make of a pair that differs. Raises KubeError."""
        local = await _predict(target, live, rules)
        if not rules.server_side_diff and local.normalized_live != local.predicted_live:
            return local
        assert self._client is not None
        assert pair.target is not None
        assert pair.live is not None
        gvk, key = pair.target.gvk, pair.key
        stamp = (
            self._situation.app.key,
            key,
            pair.target.digest,
            pair.live.uid,
            pair.live.resource_version,
            rules.digest,
        )
        clock = asyncio.get_running_loop().time
        answer = self._answers.get(stamp, clock())
        if answer is None:
            request = dry_run_request(target, live, rules)
            async with self._turns:
                answer = await self._client.patch(
                    gvk,
                    key.namespace,
                    key.name,
                    request.body,
                    request.content_type,
                    dry_run=True,
                    field_manager=request.field_manager,
                    force=request.force,
                )
            self._answers.keep(stamp, answer, clock())
        verdict = await patiently(rules, partial(decide, target, live, answer, rules))
        if verdict.outcome == "undecided":
            live = await self._handle.client.get(gvk, key.namespace, key.name)
        return await _predict(target, live, rules, answer)


async def _predict(
    target: Manifest, live: Manifest, rules: Rules, answer: Manifest | None = None
) -> Prediction:
    return await patiently(rules, partial(predict, target, live, rules, answer))


def text_of(manifest: Manifest | None) -> str:
    """A state as JSON text; ``null`` for none."""
    return NOTHING if manifest is None else orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS).decode()
