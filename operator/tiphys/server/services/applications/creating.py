"""Creating an Application (api.md 8.2 "Create").

Creating what is there already, unchanged, succeeds; changing it this way needs ``upsert`` and the right
to update. An operation in the request is dropped: whoever wants a sync asks for one.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.kube.errors import AlreadyExists
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.application import NO_TIME, Application, ApplicationStatus, to_json
from tiphys.resources.messages.application import ApplicationCreateRequest
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services import events
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.validation import AppValidator
from tiphys.server.services.applications.writing import AppWriter, edit
from tiphys.server.services.events import AuditLog
from tiphys.server.state import State


class ApplicationCreation:
    """``Create``."""

    package, service = "application", "ApplicationService"

    def __init__(
        self,
        state: State,
        guard: Guard,
        access: AppAccess,
        validator: AppValidator,
        writer: AppWriter,
        audit: AuditLog,
    ):
        self._state = state
        self._guard = guard
        self._access = access
        self._validator = validator
        self._writer = writer
        self._audit = audit

    @rpc("Create", Route("POST", "/api/v1/applications", body="application"))
    async def create(self, call: Call, request: ApplicationCreateRequest) -> Application:
        """Needs ``create``, and ``update`` where ``upsert`` changes something."""
        if request.application is None:
            raise unknown("error creating application: application is nil in request")
        asked = msgspec.structs.replace(request.application, operation=None)
        self._guard.enforce(call, "applications", "create", self._access.object_of(asked))
        project = self._access.project_of(asked)
        known = self._state.apps.get(self._access.key(asked.metadata.name, asked.metadata.namespace))
        app = await self._validator.accepted(
            call, asked, project, current=known, check_sources=request.validate is not False
        )
        namespace = app.metadata.namespace or self._state.namespace
        if not is_namespace_enabled(namespace, self._state.settings):
            raise unknown(f"namespace '{namespace}' is not permitted")
        metadata = msgspec.structs.replace(app.metadata, namespace=namespace)
        app = msgspec.structs.replace(app, metadata=metadata)
        try:
            answer = await self._state.client.create(manifest_of(app))
        except AlreadyExists:
            return await self._existing(call, app, upsert=bool(request.upsert))
        self._state.take("applications", answer)
        created = self._state.apps.get(app.key) or app
        self._audit.application(call, created, events.CREATED, "created application")
        return created

    async def _existing(self, call: Call, app: Application, *, upsert: bool) -> Application:
        existing = await self._access.find(app.key)
        if existing is None:
            text = f"unable to check existing application details ({app.key}): it vanished meanwhile"
            raise ApiFailure(Code.INTERNAL, text)
        self._validator.check_move(call, app, existing)  # the cache may not have known of it
        if is_equal(existing, app):
            return existing
        if not upsert:
            raise invalid_argument("existing application spec is different, use upsert flag to force update")
        self._guard.enforce(call, "applications", "update", self._access.object_of(app))
        updated = await self._writer.change(
            existing,
            lambda current: edit(
                current,
                spec=app.spec,
                labels=_joined(current.metadata.labels, app.metadata.labels),
                annotations=_joined(current.metadata.annotations, app.metadata.annotations),
                finalizers=tuple(app.metadata.finalizers or ()),
            ),
        )
        self._audit.application(call, updated, events.UPDATED, "updated application spec")
        return updated


def is_equal(existing: Application, app: Application) -> bool:
    """Whether creating ``app`` would make what is there already."""
    one, two = existing.metadata, app.metadata
    return (
        existing.spec == app.spec
        and (one.labels or {}) == (two.labels or {})
        and (one.annotations or {}) == (two.annotations or {})
        and tuple(one.finalizers or ()) == tuple(two.finalizers or ())
    )


def manifest_of(app: Application) -> dict[str, Any]:
    """The object to create: what was given, but for what only Kubernetes says of an object."""
    metadata = msgspec.structs.replace(
        app.metadata,
        uid="",
        resource_version="",
        generation=0,
        self_link="",
        creation_timestamp=NO_TIME,
        deletion_timestamp=NO_TIME,
        deletion_grace_period_seconds=None,
    )
    manifest: dict[str, Any] = to_json(msgspec.structs.replace(app, metadata=metadata))
    if app.status == _NOTHING_YET:
        del manifest["status"]
    return manifest


_NOTHING_YET = ApplicationStatus()


def _joined(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> Mapping[str, str]:
    return {**(old or {}), **(new or {})}
