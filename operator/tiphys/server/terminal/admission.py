"""Who may have a terminal, and whether the wish is about a container that runs in the Application.

Two questions: :class:`Ticket` answers "may this caller, still?" at the beginning and again and again
while the terminal is open, since tokens are revoked and policies change; :func:`Admission.reach` finds
the container and the client that reaches it. The order and the texts are the reference's (api.md 14):
who has no right learns nothing about Applications or Pods.
"""

import enum
from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.access.identity import UNRESTRICTED
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import KubeError
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.application import Application
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure
from tiphys.server.guard import Guard, app_object, refusal
from tiphys.server.http.by_cookie import TokenChecker
from tiphys.server.http.refusals import Refused
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.applications.writing import AppWriter
from tiphys.server.state import State
from tiphys.server.terminal.asking import Wish
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

POD = GVK("", "v1", "Pod")


class Standing(enum.Enum):
    """Whether a terminal may go on."""

    GOOD = "good"
    DENIED = "denied"
    """The rights are gone."""
    OVER = "over"
    """The token is: the client is to come again with a fresh one."""


class Ticket(msgspec.Struct, frozen=True):
    """What a caller came with. ``token`` empty: authentication is switched off."""

    wish: Wish
    token: str = ""
    sealed: str = ""


class Admission:
    """See the module."""

    def __init__(self, state: State, guard: Guard, checker: TokenChecker):
        self._state = state
        self._guard = guard
        self._checker = checker
        self._access = AppAccess(state, guard)
        self._reach = Reaching(state, guard, self._access, AppWriter(state, self._access))

    async def standing(self, ticket: Ticket) -> Standing:
        """Whether the caller may go on now: token, rights, and the Application in its project."""
        identity = UNRESTRICTED
        if ticket.token:
            found = await self._checker.check(ticket.token, ticket.sealed)
            if found.problem or found.renewed_token:
                return Standing.OVER
            identity = found.identity
        elif not self._state.settings.params.server_disable_auth:
            return Standing.OVER
        if self._state.settings.raw.get("exec.enabled") != "true" or self._app(ticket.wish) is None:
            return Standing.DENIED
        name, call = self._object(ticket.wish), Call(identity=identity)
        permitted = all(self._guard.allows(call, *right, name) for right in RIGHTS)
        return Standing.GOOD if permitted else Standing.DENIED

    def permit(self, call: Call, wish: Wish) -> Application:
        """The Application, if the caller may have terminals in it.

        Raises:
            Refused: 403 a namespace that is not managed; 401 a right is missing; 404, 400 the
                Application does not exist, or is in another project.
        """
        if not is_namespace_enabled(wish.app_namespace, self._state.settings):
            raise Refused(403, f"namespace '{wish.app_namespace}' is not permitted")
        name = self._object(wish)
        for resource, action in RIGHTS:
            if not self._guard.allows(call, resource, action, name):
                raise Refused(401, refusal(call.identity, resource, action, name))
        app = self._state.apps.get(AppKey(wish.app_namespace, wish.app))
        if app is None:
            raise Refused(404, "App not found")
        if app.spec.project_name != wish.project:
            raise Refused(400, "The wrong project was specified for the app")
        return app

    async def reach(self, call: Call, wish: Wish) -> ClusterClient:
        """The client of the destination, acting as the project says; the container runs.

        Raises:
            Refused: 400 the Pod is no part of the Application, does not exist or does not run; 500 what
                is needed to know that cannot be had.
        """
        try:
            reached = self._access.cached(call, "get", wish.app, wish.app_namespace, wish.project)
            client = await self._reach.client(reached)
        except ApiFailure as failure:
            log.warning("no terminal: %s", failure)
            raise Refused(500, "Cannot get raw cluster config") from None
        tree = await self._state.live.tree(reached.app)
        if tree is None:
            raise Refused(500, "Cannot get app resource tree")
        asked = ("", POD.kind, wish.namespace, wish.pod)
        uids = {
            node.uid for node in tree.nodes if (node.group, node.kind, node.namespace, node.name) == asked
        } - {""}
        if not uids:
            raise Refused(400, "Pod doesn't belong to specified app")
        try:
            pod = await client.get(POD, wish.namespace, wish.pod)
        except KubeError as error:
            log.warning("no terminal: %s", error, extra={"pod": wish.pod, "namespace": wish.namespace})
            raise Refused(400, "Cannot find pod") from None
        if pod["metadata"].get("uid") not in uids:  # another one has its name since the tree was made
            raise Refused(400, "Pod doesn't belong to specified app")
        if not is_running(pod, wish.container):
            raise Refused(400, "container find running")
        return client

    def _app(self, wish: Wish) -> Application | None:
        app = self._state.apps.get(AppKey(wish.app_namespace, wish.app))
        return app if app is not None and app.spec.project_name == wish.project else None

    def _object(self, wish: Wish) -> str:
        return app_object(wish.project, wish.app_namespace, wish.app, self._state.namespace)


RIGHTS = (("applications", "get"), ("exec", "create"))


def is_running(pod: Manifest, container: str) -> bool:
    """Whether the Pod and the container of that name run."""
    status = pod.get("status") or {}
    if status.get("phase") != "Running":
        return False
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        found: Sequence[dict[str, Any]] = status.get(kind) or ()
        for each in found:
            if each.get("name") == container and (each.get("state") or {}).get("running") is not None:
                return True
    return False
