"""``ListResourceActions``, ``RunResourceAction`` and its second version (health-and-resources.md 5).

What an action means is worked out by ``health.actions``; here it gets its object and its consequences:
everything that it impacts must be permitted by the project, what it creates is tried dry before
anything is written, and what it patches is sent as the smallest merge patch.

The Application itself can be acted on, too; it is patched where it lives (the reference patches it
through the destination, where it may not be, docs/differences.md).
"""

from collections.abc import Mapping

import msgspec

from tiphys.compare.masking import without_values
from tiphys.health.actions import (
    CREATE,
    PATCH,
    ActionError,
    Impacted,
    discover_actions,
    merge_patch,
    run_action,
)
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import KubeError, NotFound
from tiphys.projects.permission import permits_live
from tiphys.resources.application import Application, to_json
from tiphys.resources.identity import GVK, Manifest, gvk_of, key_of
from tiphys.resources.messages.application import (
    ApplicationResourceRequest,
    ApplicationResponse,
    ResourceActionRunRequest,
    ResourceActionRunRequestV2,
    ResourceActionsListResponse,
)
from tiphys.resources.messages.overrides import ResourceAction, ResourceActionParam
from tiphys.resources.messages.trees import ResourceNode
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, failure_of, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.access import APPLICATION, Reached
from tiphys.server.services.applications.resources.reaching import Reaching, Wanted, wanted
from tiphys.server.services.events import ACTION_RAN, AuditLog
from tiphys.server.state import State
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_PATH = "/api/v1/applications/{name}/resource/actions"


class _Subject(msgspec.Struct, frozen=True):
    """What is acted on; ``node`` None: the Application itself."""

    manifest: Manifest
    client: ClusterClient
    node: ResourceNode | None


class ApplicationActions:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching, audit: AuditLog):
        self._state = state
        self._reach = reach
        self._audit = audit

    @rpc("ListResourceActions", Route("GET", _PATH))
    async def list_resource_actions(
        self, call: Call, request: ApplicationResourceRequest
    ) -> ResourceActionsListResponse:
        """What can be done with an object now. Needs ``get``."""
        one = wanted(request.group, request.kind, request.namespace, request.resource_name)
        reached = self._reach.app(call, "get", request.name, request.app_namespace, request.project)
        subject = await self._subject(reached, one)
        try:
            found = discover_actions(subject.manifest, self._state.settings.overrides)
        except ActionError as error:
            raise unknown(f"error getting available actions: {error}") from error
        return ResourceActionsListResponse(
            actions=tuple(
                ResourceAction(
                    name=each.name,
                    params=tuple(ResourceActionParam(name=param.name) for param in each.params),
                    disabled=each.disabled,
                    icon_class=each.icon_class,
                    display_name=each.display_name,
                )
                for each in found
            )
        )

    @rpc("RunResourceAction", Route("POST", _PATH, body="action"), deprecated=True)
    async def run_resource_action(self, call: Call, request: ResourceActionRunRequest) -> ApplicationResponse:
        """The second version without parameters."""
        log.warning("RunResourceAction is deprecated: use RunResourceActionV2")
        return await self.run_resource_action_v2(
            call,
            ResourceActionRunRequestV2(
                name=request.name,
                namespace=request.namespace,
                resource_name=request.resource_name,
                version=request.version,
                group=request.group,
                kind=request.kind,
                action=request.action,
                app_namespace=request.app_namespace,
                project=request.project,
            ),
        )

    @rpc("RunResourceActionV2", Route("POST", f"{_PATH}/v2", body="*"))
    async def run_resource_action_v2(
        self, call: Call, request: ResourceActionRunRequestV2
    ) -> ApplicationResponse:
        """Run an action; needs ``action/<group>/<kind>/<action>``. Whether the object offers the action
        or shows it disabled is not looked at, as in the reference.

        Raises:
            ApiFailure: Unknown, the action failed, or impacts what the project does not permit.
        """
        one = wanted(request.group, request.kind, request.namespace, request.resource_name)
        action = request.action or ""
        reached = self._reach.app(
            call,
            f"action/{one.group}/{one.kind}/{action}",
            request.name,
            request.app_namespace,
            request.project,
        )
        subject = await self._subject(reached, one)
        params: Mapping[str, str] = {
            each.name or "": each.value or "" for each in request.resource_action_parameters
        }
        overrides = self._state.settings.overrides
        try:
            impacted = run_action(subject.manifest, action, params, overrides, now=self._state.clock())
        except ActionError as error:
            raise unknown(str(error)) from error
        self._check_permitted(reached, impacted)
        await self._dry_run(subject, impacted)
        for each in impacted:
            await self._carry_out(subject, each)
        self._tell(call, reached.app, subject, one, action)
        return ApplicationResponse()

    async def _subject(self, reached: Reached, one: Wanted) -> _Subject:
        app = reached.app
        if (one.group, one.kind, one.name) == (APPLICATION.group, APPLICATION.kind, app.metadata.name):
            manifest = {
                "apiVersion": APPLICATION.api_version,
                "kind": APPLICATION.kind,
                **to_json(app),
            }
            return _Subject(manifest, self._state.client, None)
        node = await self._reach.node(reached, one)
        client = await self._reach.client(reached)
        manifest = await client.get(one.gvk(node), one.namespace, one.name)
        return _Subject(manifest, client, node)

    def _check_permitted(self, reached: Reached, impacted: tuple[Impacted, ...]) -> None:
        cluster = self._reach.cluster(reached.app)
        for each in impacted:
            key = key_of(each.manifest)
            if not permits_live(reached.project, key, cluster=cluster):
                raise unknown(
                    "application is not permitted to manage "
                    f"{key.group}/{key.kind}/{key.name} in {key.namespace}"
                )

    async def _dry_run(self, subject: _Subject, impacted: tuple[Impacted, ...]) -> None:
        """Nothing is written where something cannot be created."""
        for each in impacted:
            if each.operation == CREATE:
                try:
                    await subject.client.create(each.manifest, dry_run=True)
                except KubeError as error:
                    raise _prefixed("error creating resource", each, error) from error

    async def _carry_out(self, subject: _Subject, each: Impacted) -> None:
        try:
            if each.operation == CREATE:
                await subject.client.create(each.manifest)
            elif each.operation == PATCH:
                patch = merge_patch(subject.manifest, each.manifest)
                if patch:
                    await _patch(subject.client, each.manifest, patch)
        except KubeError as error:
            words = "error creating resource" if each.operation == CREATE else "error patching resource"
            raise _prefixed(words, each, error) from error

    def _tell(self, call: Call, app: Application, subject: _Subject, one: Wanted, action: str) -> None:
        if subject.node is None:
            self._audit.application(call, app, ACTION_RAN, f"ran action {action}")
            return
        named = f"{one.group}/{one.kind}/{one.name}"
        self._audit.application(call, app, ACTION_RAN, f"ran action {action} on resource {named}")
        self._audit.resource(call, subject.node, ACTION_RAN, f"ran action {action}")


async def _patch(client: ClusterClient, manifest: Manifest, patch: Manifest) -> None:
    """Send a merge patch; its status first and to the subresource, where there is one."""
    gvk: GVK = gvk_of(manifest)
    key = key_of(manifest)
    if "status" in patch:
        try:
            await client.patch(gvk, key.namespace, key.name, patch, MERGE_PATCH, subresource="status")
            patch = {name: value for name, value in patch.items() if name != "status"}
        except NotFound:
            pass  # the kind has no such subresource: the status is a part like the others
    if patch:
        await client.patch(gvk, key.namespace, key.name, patch, MERGE_PATCH)


def _prefixed(words: str, impacted: Impacted, error: KubeError) -> ApiFailure:
    """Without the values of a Secret: the API server repeats what it does not take."""
    failure = failure_of(error)
    told = without_values(key_of(impacted.manifest), failure.message)
    return ApiFailure(failure.code, f"{words}: {told}")
