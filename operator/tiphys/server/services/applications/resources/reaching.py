"""The way of a caller to the live objects of an Application.

Order matters: who may not see the Application learns nothing of its objects; an object that is in
none of its trees is not reached at all, whoever asks; and the destination is asked as the service
account that the project names, where impersonation is on (api.md 8.2 "Resource access").
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ConnectionSettingsError
from tiphys.projects.impersonation import ImpersonationError, impersonated_user
from tiphys.projects.validate import is_destination_permitted
from tiphys.reconcile.conditions import COMPARISON_ERROR, INVALID_SPEC_ERROR
from tiphys.reconcile.refresh import REFRESH_ANNOTATION
from tiphys.resources.application import Application
from tiphys.resources.identity import GVK, ResourceKey
from tiphys.resources.messages.trees import ApplicationTree, ResourceDiff, ResourceNode
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument, unknown
from tiphys.server.guard import Guard
from tiphys.server.services.applications.access import AppAccess, Reached, no_such
from tiphys.server.services.applications.reading import refresh_patch
from tiphys.server.services.applications.writing import AppWriter
from tiphys.server.state import State
from tiphys.settings.clusters import Cluster, DestinationError

INHERITANCE = "server.rbac.disableApplicationFineGrainedRBACInheritance"
"""Key in ``argocd-cm``; only ``false`` lets ``update`` include ``update/…`` (api.md 13)."""


class Wanted(msgspec.Struct, frozen=True):
    """Which object a request is about. An empty ``version`` is that of the tree."""

    group: str
    kind: str
    namespace: str
    name: str
    version: str = ""

    @property
    def key(self) -> ResourceKey:
        return ResourceKey(self.group, self.kind, self.namespace, self.name)

    def gvk(self, node: ResourceNode) -> GVK:
        """The kind as it is to be asked for."""
        return GVK(self.group, self.version or node.version, self.kind)


def wanted(
    group: str | None, kind: str | None, namespace: str | None, name: str | None, version: str | None = None
) -> Wanted:
    """The object that the optional fields of a request name."""
    return Wanted(group or "", kind or "", namespace or "", name or "", version or "")


class Reaching:
    """See the module."""

    def __init__(self, state: State, guard: Guard, access: AppAccess, writer: AppWriter):
        self._state = state
        self._guard = guard
        self._access = access
        self._writer = writer

    # Applications

    def app(
        self, call: Call, action: str, name: str | None, namespace: str | None, project: str | None
    ) -> Reached:
        """The Application as the watches hold it. Raises ApiFailure (api.md 8.1)."""
        return self._access.cached(call, action, name, namespace, project)

    async def app_now(
        self, call: Call, action: str, name: str | None, namespace: str | None, project: str | None
    ) -> Reached:
        """The Application as Kubernetes has it now. Raises ApiFailure (api.md 8.1)."""
        return await self._access.live(call, action, name, namespace, project)

    def app_to_change(
        self,
        call: Call,
        verb: str,
        one: Wanted,
        name: str | None,
        namespace: str | None,
        project: str | None,
    ) -> Reached:
        """The Application, one of whose objects is to be changed: ``update/<group>/<kind>/<ns>/<name>``,
        and before it plain ``update`` where the settings say that it includes the other (api.md 13)."""
        if self._state.settings.raw.get(INHERITANCE, "").strip().lower() == "false":
            try:
                return self._access.cached(call, verb, name, namespace, project)
            except ApiFailure as failure:
                if failure.code not in (Code.PERMISSION_DENIED, Code.NOT_FOUND):
                    raise
        fine = f"{verb}/{one.group}/{one.kind}/{one.namespace}/{one.name}"
        return self._access.cached(call, fine, name, namespace, project)

    def enforce(self, call: Call, resource: str, action: str, app: Application) -> None:
        """A further right on an Application that the caller reached already, in the detailed style."""
        self._guard.enforce(call, resource, action, self._access.object_of(app))

    # What is known of live objects

    async def tree(self, reached: Reached) -> ApplicationTree:
        """The resource tree; a refresh is made where it is not known yet.

        Raises:
            ApiFailure: Unknown with the conditions that say why nothing is known.
        """
        found = await self._state.live.tree(reached.app)
        if found is None:
            found = await self._state.live.tree(await self._refreshed(reached.app))
        if found is None:
            raise unknown(not_cached(reached.app))
        return found

    async def managed(
        self, reached: Reached, keys: Sequence[ResourceKey] | None = None
    ) -> tuple[ResourceDiff, ...]:
        """Targets and live objects, masked. Raises ApiFailure as :meth:`tree`."""
        found = await self._state.live.managed_resources(reached.app, keys=keys)
        if found is None:
            app = await self._refreshed(reached.app)
            found = await self._state.live.managed_resources(app, keys=keys)
        if found is None:
            raise unknown(not_cached(reached.app))
        return found

    async def node(self, reached: Reached, one: Wanted) -> ResourceNode:
        """The node of a live object: what is not there cannot be reached.

        Raises:
            ApiFailure: InvalidArgument, it is no part of the Application.
        """
        tree = await self.tree(reached)
        for node in (*tree.nodes, *tree.orphaned_nodes):
            if node.uid and (node.kind, node.name, node.namespace, node.group) == (
                one.kind,
                one.name,
                one.namespace,
                one.group,
            ):
                return node
        raise invalid_argument(
            f"{one.kind} {one.group} {one.name} not found as part of application {reached.app.metadata.name}"
        )

    async def _refreshed(self, app: Application) -> Application:
        """The Application after a refresh that the caller waits for.

        Raises:
            ApiFailure: Unknown, its conditions say why nothing is known; NotFound, it is gone.
        """
        if problems := conditions_of(app):
            raise unknown(problems)
        arrived = asyncio.Event()
        key = app.key

        def heard(old: Application | None, new: Application | None) -> None:
            moved = new or old
            if moved is not None and moved.key == key:
                arrived.set()

        stop = self._state.apps.listen(heard)
        try:
            asked = await self._writer.change(app, lambda now: refresh_patch(now, "normal", self._clock()))
            begun = int(asked.metadata.resource_version)
            while True:
                held = self._state.apps.get(key)
                if held is None:
                    raise no_such(key.name)
                if int(held.metadata.resource_version) > begun and REFRESH_ANNOTATION not in (
                    held.metadata.annotations or {}
                ):
                    return held
                arrived.clear()
                await arrived.wait()
        finally:
            stop()

    # The destination

    def cluster(self, app: Application) -> Cluster:
        """The destination cluster of an Application.

        Raises:
            ApiFailure: Unknown, there is none.
        """
        try:
            return self._state.settings.clusters.resolve(app.spec.destination)
        except DestinationError as error:
            raise unknown(f"error getting destination cluster: {error.message}") from None

    async def client(self, reached: Reached) -> ClusterClient:
        """A client of the destination, as whom the project says.

        Raises:
            ApiFailure: Unknown, the project does not permit the destination, no service account can be
                derived, or the cluster cannot be connected.
        """
        cluster, settings = self.cluster(reached.app), self._state.settings
        if not is_destination_permitted(reached.app, reached.project, cluster, settings):
            raise unknown("error getting destination cluster")
        try:
            client = await self._state.connect(cluster)
        except ConnectionSettingsError as error:
            raise unknown(f"error getting destination cluster: {error}") from None
        if not settings.impersonation_enabled:
            return client
        try:
            user = impersonated_user(
                reached.project, reached.app, cluster.server, enforced=settings.impersonation_enforced
            )
        except ImpersonationError as error:
            raise unknown(str(error)) from None
        return client.impersonating(user) if user else client

    def _clock(self) -> datetime:
        return self._state.clock()


def conditions_of(app: Application) -> str:
    """Why nothing may be known of an Application: ``<type>: <message>`` joined by ``;``."""
    found: Iterable[str] = (
        f"{each.type}: {each.message}"
        for each in app.status.conditions or ()
        if each.type in (COMPARISON_ERROR, INVALID_SPEC_ERROR)
    )
    return ";".join(found)


def not_cached(app: Application) -> str:
    """What is told when a refresh did not help either."""
    return conditions_of(app) or "cache: key is missing"
