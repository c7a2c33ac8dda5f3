"""Deleting an Application, with what it manages or without (api.md 8.2 "Delete", applications.md 13.2)."""

from tiphys.kube.errors import Conflict, NotFound
from tiphys.reconcile.finalizers import BACKGROUND, FOREGROUND, PROPAGATION, RESOURCES
from tiphys.resources.application import Application
from tiphys.resources.messages.application import ApplicationDeleteRequest, ApplicationResponse
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services import events
from tiphys.server.services.applications.access import APPLICATION, AppAccess, no_such
from tiphys.server.services.applications.writing import AppWriter, edit
from tiphys.server.services.events import AuditLog
from tiphys.server.state import State

_BY_POLICY = {"": RESOURCES, "foreground": FOREGROUND, "background": BACKGROUND}


def wanted_finalizers(app: Application, *, cascade: bool, policy: str) -> tuple[str, ...]:
    """The finalizers with which an Application is deleted.

    One that is being deleted already gets no further one; those of delete hooks stay.

    Raises:
        ApiFailure: InvalidArgument, no such policy, or one without cascading.
    """
    held = tuple(app.metadata.finalizers or ())
    if not cascade:
        if policy:
            raise invalid_argument("cannot set propagation policy when cascading is disabled")
        return tuple(each for each in held if each not in PROPAGATION)
    finalizer = _BY_POLICY.get(policy.lower())
    if finalizer is None:
        raise invalid_argument(f"invalid propagation policy: {policy}")
    if finalizer in held or app.metadata.deletion_timestamp:
        return held
    return (*held, finalizer)


class ApplicationDeletion:
    """``Delete``."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, guard: Guard, access: AppAccess, writer: AppWriter, audit: AuditLog):
        self._state = state
        self._guard = guard
        self._access = access
        self._writer = writer
        self._audit = audit

    @rpc("Delete", Route("DELETE", "/api/v1/applications/{name}"))
    async def delete(self, call: Call, request: ApplicationDeleteRequest) -> ApplicationResponse:
        """Needs ``get`` to learn of it, then ``delete``."""
        reached = await self._access.live(call, "get", request.name, request.app_namespace, request.project)
        app = reached.app
        self._guard.enforce(call, "applications", "delete", self._access.object_of(app))
        cascade, policy = request.cascade is not False, request.propagation_policy or ""
        app = await self._writer.change(
            app,
            lambda current: edit(
                current, finalizers=wanted_finalizers(current, cascade=cascade, policy=policy)
            ),
        )
        await self._remove(app)
        self._audit.application(call, app, events.DELETED, "deleted application")
        return ApplicationResponse()

    async def _remove(self, app: Application) -> None:
        key, uid = app.key, app.metadata.uid
        try:
            answer = await self._state.client.delete(
                APPLICATION, key.namespace, key.name, propagation_policy="", uid=uid
            )
        except (NotFound, Conflict):
            raise no_such(key.name) from None
        if answer.get("kind") == APPLICATION.kind:
            self._state.take("applications", answer)  # finalizers hold it
        else:
            self._state.forget("applications", key, uid)
