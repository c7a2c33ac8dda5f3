"""Writing Applications for users: the smallest merge patch, from the state it was decided on.

A change is a function from an Application to the patch that it needs; when somebody else writes in
between, the function is asked again with what is there then, at most ten times (api.md 8.2). Fields
that our types do not know survive. The answer is taken in at once, so the writer's next read shows it.

A merge patch cannot say ``null``, which means something in the values of a chart: a spec that holds one
is written whole (:class:`Whole`), over what is stored.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.kube.client import MERGE_PATCH
from tiphys.kube.errors import Conflict, NotFound
from tiphys.reconcile.statuses import merge_patch
from tiphys.reconcile.unknown import with_unknown
from tiphys.resources.application import Application, decode, to_json
from tiphys.resources.identity import Manifest
from tiphys.resources.spec import ApplicationSpec
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.services.applications.access import APPLICATION, AppAccess, no_such
from tiphys.server.services.overlaying import overlaid
from tiphys.server.state import State

TRIES = 10
EXHAUSTED = "Failed to update application. Too many conflicts"

Patch = dict[str, Any]


class Whole(dict[str, Any]):
    """A spec that no merge patch can express."""


Decide = Callable[[Application], Patch]
"""What to merge into an Application; empty: nothing. May refuse with an ApiFailure."""


class AppWriter:
    """See the module."""

    def __init__(self, state: State, access: AppAccess):
        self._state = state
        self._access = access

    async def change(
        self,
        app: Application,
        decide: Decide,
        *,
        exhausted: str = EXHAUSTED,
    ) -> Application:
        """Write what ``decide`` says and give back the Application as it is then.

        Raises:
            ApiFailure: NotFound, it is gone meanwhile; Internal ``exhausted``, others wrote in between
                each of ten times; and what ``decide`` raises.
            ApiError, ClusterUnreachable: Kubernetes did not take it.
        """
        for _ in range(TRIES):
            body = decide(app)
            if not body:
                return app
            try:
                return await self.once(app, body)
            except Conflict:
                found = await self._access.reread(app)
                if found is None:
                    raise no_such(app.metadata.name) from None
                app = found
        raise ApiFailure(Code.INTERNAL, exhausted)

    async def once(self, app: Application, body: Patch) -> Application:
        """Merge ``body`` into exactly this version of an Application.

        Raises:
            Conflict: there is another version by now.
            ApiFailure: NotFound, it is gone.
        """
        if not body:
            return app
        try:
            return await self._send(app, body)
        except NotFound:
            raise no_such(app.metadata.name) from None

    async def _send(self, app: Application, body: Patch) -> Application:
        state, key = self._state, app.key
        guarded = {
            **body,
            "metadata": {
                **(body.get("metadata") or {}),
                "uid": app.metadata.uid,
                "resourceVersion": app.metadata.resource_version,
            },
        }
        if isinstance(body.get("spec"), Whole):
            answer = await self._replace(app, body)
        else:
            patch = with_unknown(app, guarded, state.apps.kept(key))
            answer = await state.client.patch(APPLICATION, key.namespace, key.name, patch, MERGE_PATCH)
        state.take("applications", answer)
        held = state.apps.get(key)
        version = answer["metadata"].get("resourceVersion")
        return held if held is not None and held.metadata.resource_version == version else decode(answer)

    async def _replace(self, app: Application, body: Patch) -> Manifest:
        key = app.key
        raw = await self._state.client.get(APPLICATION, key.namespace, key.name)
        if raw["metadata"].get("resourceVersion") != app.metadata.resource_version:
            raise Conflict(409, "Conflict", "the object has been modified")
        spec = overlaid(raw["spec"], to_json(app.spec), body["spec"])
        merged = merge({key: value for key, value in raw.items() if key != "spec"}, _but_spec(body))
        return await self._state.client.replace({**merged, "spec": spec})


def _but_spec(body: Patch) -> Patch:
    return {key: value for key, value in body.items() if key != "spec"}


def merge(value: Any, patch: Any) -> Any:
    """RFC 7386: ``value`` with ``patch`` merged in; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), item)
    return result


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    if isinstance(value, list):
        return any(map(_holds_null, value))
    return value is None


def edit(
    app: Application,
    *,
    spec: ApplicationSpec | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    finalizers: tuple[str, ...] | None = None,
) -> Patch:
    """The patch that makes these parts of an Application so; what is None stays as it is."""
    metadata: Patch = {}
    for name, before, after in (
        ("labels", app.metadata.labels, labels),
        ("annotations", app.metadata.annotations, annotations),
    ):
        if after is not None and (changed := merge_patch(before or {}, after)):
            metadata[name] = changed
    if finalizers is not None and finalizers != tuple(app.metadata.finalizers or ()):
        metadata["finalizers"] = list(finalizers)
    body: Patch = {"metadata": metadata} if metadata else {}
    if spec is not None:
        wanted = to_json(spec)
        if changed := merge_patch(to_json(app.spec), wanted):
            body["spec"] = Whole(wanted) if _holds_null(wanted) else changed
    return body
