"""``GetResource``, ``PatchResource``, ``DeleteResource``: one live object (health-and-resources.md 12.3)."""

import re

import orjson

from tiphys.compare.masking import SECRET, mask_states, without_values
from tiphys.kube.errors import ApiError, KubeError
from tiphys.resources.identity import Manifest
from tiphys.resources.messages.application import (
    ApplicationResourceDeleteRequest,
    ApplicationResourcePatchRequest,
    ApplicationResourceRequest,
    ApplicationResourceResponse,
    ApplicationResponse,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, failure_of, invalid_argument, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.resources.reaching import Reaching, Wanted, wanted
from tiphys.server.services.events import DELETED, UPDATED, AuditLog
from tiphys.server.state import State

_PATH = "/api/v1/applications/{name}/resource"
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


class ApplicationObjects:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching, audit: AuditLog):
        self._state = state
        self._reach = reach
        self._audit = audit

    @rpc("GetResource", Route("GET", _PATH))
    async def get_resource(
        self, call: Call, request: ApplicationResourceRequest
    ) -> ApplicationResourceResponse:
        """The object as the API server has it now, a Secret masked. Needs ``get``."""
        one = _wanted(request)
        reached = self._reach.app(call, "get", request.name, request.app_namespace, request.project)
        node = await self._reach.node(reached, one)
        client = await self._reach.client(reached)
        found = await client.get(one.gvk(node), one.namespace, one.name)
        return ApplicationResourceResponse(manifest=self._shown(found))

    @rpc("PatchResource", Route("POST", _PATH, body="patch"))
    async def patch_resource(
        self, call: Call, request: ApplicationResourcePatchRequest
    ) -> ApplicationResourceResponse:
        """Patch the object; needs ``update/<group>/<kind>/<namespace>/<name>``.

        Raises:
            ApiFailure: of a Secret nothing but that it could not be patched.
        """
        one = _wanted(request)
        reached = self._reach.app_to_change(
            call, "update", one, request.name, request.app_namespace, request.project
        )
        node = await self._reach.node(reached, one)
        content_type = request.patch_type or ""
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise invalid_argument(f"Patch type '{content_type}' is not supported")
        client = await self._reach.client(reached)
        try:
            found = await client.patch(
                one.gvk(node), one.namespace, one.name, (request.patch or "").encode(), content_type
            )
        except KubeError as error:
            raise _patch_failure(one, error) from error
        self._audit.application(call, reached.app, UPDATED, f"patched resource {_named(one)}")
        return ApplicationResourceResponse(manifest=self._shown(found))

    @rpc("DeleteResource", Route("DELETE", _PATH))
    async def delete_resource(
        self, call: Call, request: ApplicationResourceDeleteRequest
    ) -> ApplicationResponse:
        """Delete the object; needs ``delete/<group>/<kind>/<namespace>/<name>``."""
        one = _wanted(request)
        reached = self._reach.app_to_change(
            call, "delete", one, request.name, request.app_namespace, request.project
        )
        node = await self._reach.node(reached, one)
        client = await self._reach.client(reached)
        policy, grace = "Foreground", None
        if request.orphan:
            policy = "Orphan"
        elif request.force:
            policy, grace = "Background", 0
        await client.delete(
            one.gvk(node),
            one.namespace,
            one.name,
            propagation_policy=policy,
            grace_period=grace,
            uid=node.uid,  # the object that the caller saw, no namesake
        )
        self._audit.application(call, reached.app, DELETED, f"deleted resource {_named(one)}")
        return ApplicationResponse()

    def _shown(self, manifest: Manifest) -> str:
        """The object as JSON text, masked."""
        (masked,) = mask_states((manifest,), self._state.settings.sensitive_mask_annotations)
        return orjson.dumps(masked, option=orjson.OPT_SORT_KEYS).decode()


def _wanted(
    request: ApplicationResourceRequest | ApplicationResourcePatchRequest | ApplicationResourceDeleteRequest,
) -> Wanted:
    # Only GetResource lets the request choose the version (api.md 8.2).
    version = request.version if isinstance(request, ApplicationResourceRequest) else ""
    return wanted(request.group, request.kind, request.namespace, request.resource_name, version)


def _named(one: Wanted) -> str:
    return f"{one.group}/{one.kind} '{one.name}'"


def _patch_failure(one: Wanted, error: KubeError) -> ApiFailure:
    """Without values: the API server repeats what it does not take."""
    if one.key.group_kind == SECRET:
        return unknown(f"failed to patch Secret {one.namespace}/{one.name}")
    failure = failure_of(error)
    if isinstance(error, ApiError):
        return ApiFailure(failure.code, without_values(one.key, failure.message))
    return failure
