"""``ServerSideDiff``: what an apply of given targets would make of live objects (sync.md 7).

Asked of the API server by dry runs, as the service account of the project. The caller names live
objects and sends targets; what is compared is the live object as the cluster has it, and a target can
only be compared with the object of its own name, which must be one that the Application manages: a
caller may neither read nor try anything else through a dry run. Objects that the project does not permit
are as if they were not there.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import orjson

from tiphys.compare.masking import mask_states, without_values
from tiphys.compare.merging import shown
from tiphys.compare.normalize import normalize
from tiphys.compare.rules import IgnoreRuleError, Rules
from tiphys.compare.tracking import Tracking
from tiphys.compare.verdicts import DIFFERENT, Prediction, decide, dry_run_request, predict
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import KubeError, NotFound
from tiphys.projects.permission import live_permission
from tiphys.reconcile.inspecting.differences import text_of
from tiphys.reconcile.patience import patiently
from tiphys.reconcile.situation import RuleInputs
from tiphys.resources.application import Application
from tiphys.resources.identity import Manifest, ResourceKey, gvk_of, key_of
from tiphys.resources.messages.application import (
    ApplicationServerSideDiffQuery,
    ApplicationServerSideDiffResponse,
)
from tiphys.resources.messages.trees import ResourceDiff
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import (
    ApiFailure,
    failure_of,
    invalid_argument,
    permission_denied,
    unknown,
)
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.state import State

AT_ONCE = 8
MOST = 2000
"""Pairs in one call."""


class _Asked(msgspec.Struct, frozen=True):
    """One pair of a request."""

    key: ResourceKey
    target: Manifest | None


class ApplicationDiffs:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._reach = reach

    @rpc("ServerSideDiff", Route("GET", "/api/v1/applications/{appName}/server-side-diff"))
    async def server_side_diff(
        self, call: Call, request: ApplicationServerSideDiffQuery
    ) -> ApplicationServerSideDiffResponse:
        """Needs ``get``. Of each pair ``targetState`` is the prediction, ``liveState`` the live object
        without what never counts.

        Raises:
            ApiFailure: InvalidArgument, an entry does not fit what it holds; PermissionDenied, an object
                is none of the Application's; the API server's refusal of a dry run.
        """
        reached = self._reach.app(call, "get", request.app_name, request.app_namespace, request.project)
        asked = _pairs(request)
        self._check_managed(reached.app, asked)
        rules = self._rules(reached.app)
        client = await self._reach.client(reached)
        # What the project forbids may stand in Git, and so among the Application's resources.
        permitted = live_permission(reached.project, self._reach.cluster(reached.app))
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(each: _Asked) -> ResourceDiff:
            async with turns:
                live = await self._live(client, each) if permitted(each.key) else None
                return await self._difference(client, rules, each, live)

        items = await _all(one, asked)
        return ApplicationServerSideDiffResponse(items=items, modified=any(each.modified for each in items))

    def _check_managed(self, app: Application, asked: tuple[_Asked, ...]) -> None:
        managed = {
            ResourceKey(each.group, each.kind, each.namespace, each.name) for each in app.status.resources
        }
        for each in asked:
            if each.key not in managed:
                key = each.key
                raise permission_denied(
                    f"{key.group}/{key.kind} {key.name} not found as part of application {app.metadata.name}"
                )

    def _rules(self, app: Application) -> Rules:
        settings = self._state.settings
        tracking = Tracking(settings.tracking_method, settings.instance_label_key, settings.installation_id)
        inputs = RuleInputs.of(app, settings, tracking, server_side_diff=True)
        try:
            return msgspec.structs.replace(inputs, server_side_diff=True).compiled()
        except IgnoreRuleError as error:
            raise unknown(f"error building diff config: {error}") from error

    async def _difference(
        self, client: ClusterClient, rules: Rules, asked: _Asked, live: Manifest | None
    ) -> ResourceDiff:
        key = asked.key
        target = normalize(asked.target) if asked.target is not None else None
        modified = live is None and target is not None
        prediction = Prediction(None if live is None else shown(live), target)
        if target is not None and live is not None:
            answer, live = await _dry_run(client, rules, target, live)
            verdict = await patiently(rules, partial(decide, target, live, answer, rules))
            modified = verdict.outcome == DIFFERENT
            prediction = await patiently(rules, partial(predict, target, live, rules, answer))
        normalized, predicted = mask_states(
            (prediction.normalized_live, prediction.predicted_live),
            self._state.settings.sensitive_mask_annotations,
        )
        return ResourceDiff(
            group=key.group,
            kind=key.kind,
            namespace=key.namespace,
            name=key.name,
            target_state=text_of(predicted),
            live_state=text_of(normalized),
            modified=modified,
        )

    async def _live(self, client: ClusterClient, asked: _Asked) -> Manifest | None:
        if asked.target is not None:
            gvk = gvk_of(asked.target)
        else:
            preferred = (await client.discovery()).preferred(asked.key.group, asked.key.kind)
            if preferred is None:
                return None
            gvk = preferred.gvk
        try:
            return await client.get(gvk, asked.key.namespace, asked.key.name)
        except NotFound:
            return None


async def _all(one: Any, asked: tuple[_Asked, ...]) -> tuple[ResourceDiff, ...]:
    """All at once, in order; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(each)) for each in asked]
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return tuple(task.result() for task in running)


async def _dry_run(
    client: ClusterClient, rules: Rules, target: Manifest, live: Manifest
) -> tuple[Manifest, Manifest]:
    """The answer to the dry run, and the live object that it is about.

    Raises:
        ApiFailure: the API server refuses it; without values.
    """
    key = key_of(live)
    request = dry_run_request(target, live, rules)
    try:
        answer = await client.patch(
            gvk_of(target),
            key.namespace,
            key.name,
            request.body,
            request.content_type,
            dry_run=True,
            field_manager=request.field_manager,
            force=request.force,
        )
        verdict = await patiently(rules, partial(decide, target, live, answer, rules))
        if verdict.outcome not in ("same", DIFFERENT):
            live = await client.get(gvk_of(target), key.namespace, key.name)  # it moved in between
    except KubeError as error:
        failure = failure_of(error)
        told = without_values(key, failure.message)
        raise ApiFailure(
            failure.code,
            "error performing state diffs: error running server side apply in dryrun mode for resource "
            f"{key.kind}/{key.name}: {told}",
        ) from error
    return answer, live


def _pairs(request: ApplicationServerSideDiffQuery) -> tuple[_Asked, ...]:
    """The pairs of a request: targets belong to live objects by their position; targets beyond them
    stand for themselves.

    Raises:
        ApiFailure: InvalidArgument, they do not fit.
    """
    lives, targets = request.live_resources, request.target_manifests
    if max(len(lives), len(targets)) > MOST:
        raise invalid_argument(f"too many resources in one call: at most {MOST}")
    found: list[_Asked] = []
    for at in range(max(len(lives), len(targets))):
        target = _decoded(targets[at], "target manifest") if at < len(targets) else None
        if at < len(lives):
            key = _key_of_live(lives[at])
            if target is not None:
                _check_same("target", lives[at], key_of(target))
        else:
            if target is None:
                continue
            key = key_of(target)
        found.append(_Asked(key, target))
    return tuple(found)


def _key_of_live(entry: ResourceDiff) -> ResourceKey:
    live = _decoded(entry.live_state, "live state")
    if live is not None:
        _check_same("live", entry, key_of(live))
    return ResourceKey(entry.group, entry.kind, entry.namespace, entry.name)


def _check_same(side: str, entry: ResourceDiff, key: ResourceKey) -> None:
    checks: Mapping[str, tuple[str, str]] = {
        "name": (entry.name, key.name),
        "namespace": (entry.namespace, key.namespace),
        "group": (entry.group, key.group),
        "kind": (entry.kind, key.kind),
    }
    for field, (expected, got) in checks.items():
        if expected != got:
            raise invalid_argument(
                f"{field} mismatch: expected {expected}, got {got} for {side} resource "
                f"{entry.group}/{entry.kind}/{entry.name}"
            )


def _decoded(text: str, what: str) -> Manifest | None:
    """The object of a JSON text; ``null`` and nothing at all are None. Raises ApiFailure."""
    if text in ("", "null"):
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"error unmarshaling {what}: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("metadata", {}), dict):
        raise invalid_argument(f"error unmarshaling {what}: it is no object")
    return value
