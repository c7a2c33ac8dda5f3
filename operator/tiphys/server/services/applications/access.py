"""Access pattern "A": reaching one Application on behalf of a caller who may not even know of it.

Whatever the reason, a caller without the right hears the same as for an Application that does not
exist: ``permission denied``, or ``not found`` where the request names a project that the caller may
act in (api.md 8.1). Only then does anybody learn that the Application's project is gone or does not
admit its namespace.

Methods that write, and those that show the Application itself, read it from Kubernetes (:meth:`live`);
the others take what the watches hold (:meth:`cached`).
"""

import re

import msgspec

from tiphys.kube.errors import KubeError, NotFound
from tiphys.projects.effective import effective_project
from tiphys.projects.permission import permits_app_namespace
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.reconcile.stores import is_newer
from tiphys.resources.application import Application, decode
from tiphys.resources.errors import InvalidObject
from tiphys.resources.identity import GVK, AppKey
from tiphys.resources.project import AppProject
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, invalid_argument, not_found, permission_denied
from tiphys.server.guard import Guard, app_object
from tiphys.server.state import State
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")


class Reached(msgspec.Struct, frozen=True, eq=False):
    """An Application that the caller may act on, and its project as it is stored."""

    app: Application
    stored_project: AppProject
    state: State

    @property
    def project(self) -> AppProject:
        """The project with what it inherits; worked out when asked for, since most methods do not."""
        return effective_project(self.stored_project, self.state.projects, self.state.settings)


class AppAccess:
    """See the module."""

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._guard = guard

    async def live(
        self, call: Call, action: str, name: str | None, namespace: str | None, project: str | None = None
    ) -> Reached:
        """The Application as Kubernetes has it now.

        Args:
            action: RBAC action on ``applications``: ``get``, ``sync``, ``update/apps/Deployment/…``.
            namespace: ``appNamespace`` of the request; empty: the control plane's.
            project: the project that the request names, if any.

        Raises:
            ApiFailure: as api.md 8.1 says.
        """
        key = self._begin(call, action, name, namespace, project)
        app = await self._read(key) if is_name(key.name) and is_name(key.namespace) else None
        return self._end(call, action, app, key, project)

    def cached(
        self, call: Call, action: str, name: str | None, namespace: str | None, project: str | None = None
    ) -> Reached:
        """The same out of the cache of the watches."""
        key = self._begin(call, action, name, namespace, project)
        return self._end(call, action, self._state.apps.get(key), key, project)

    def object_of(self, app: Application) -> str:
        """The RBAC object of an Application."""
        return app_object(app.spec.project, app.metadata.namespace, app.metadata.name, self._state.namespace)

    def key(self, name: str | None, namespace: str | None) -> AppKey:
        """The key that a request means."""
        return AppKey(namespace or self._state.namespace, name or "")

    def project_of(self, app: Application) -> AppProject:
        """The effective project that admits an Application.

        Raises:
            ApiFailure: InvalidArgument, it does not exist or does not admit the namespace (which of
                both is not told).
        """
        return effective_project(self._admitting(app), self._state.projects, self._state.settings)

    def _admitting(self, app: Application) -> AppProject:
        state, name = self._state, app.spec.project_name
        project = state.projects.get(AppKey(state.namespace, name))
        if project is None or not permits_app_namespace(project, app.metadata.namespace, state.namespace):
            raise invalid_argument(f'app is not allowed in project "{name}", or the project does not exist')
        return project

    async def reread(self, app: Application) -> Application | None:
        """A known Application as Kubernetes has it now; None: it is gone, or another has its name.

        Raises:
            ApiError, ClusterUnreachable, InvalidObject.
        """
        try:
            found = await self._get(app.key)
        except NotFound:
            return None
        return found if found.metadata.uid == app.metadata.uid else None

    async def find(self, key: AppKey) -> Application | None:
        """An Application as Kubernetes has it now, whoever asks; None: there is none.

        Raises:
            ApiError, ClusterUnreachable, InvalidObject.
        """
        try:
            return await self._get(key)
        except NotFound:
            return None

    def _begin(
        self, call: Call, action: str, name: str | None, namespace: str | None, project: str | None
    ) -> AppKey:
        """What must be so before anything is read; the key to read."""
        key = self.key(name, namespace)
        if project:
            named = app_object(project, key.namespace, key.name, self._state.namespace)
            self._guard.enforce_masked(call, "applications", action, named)
        if not is_namespace_enabled(key.namespace, self._state.settings):
            raise permission_denied()
        return key

    async def _read(self, key: AppKey) -> Application | None:
        try:
            return await self._get(key)
        except NotFound:
            return None
        except (KubeError, InvalidObject) as error:
            log.warning("an Application could not be read: %s", error, extra={"application": str(key)})
            raise permission_denied() from None

    async def _get(self, key: AppKey) -> Application:
        """What the API server has; the held object where it is that (its encodings are there already)."""
        manifest = await self._state.client.get(APPLICATION, key.namespace, key.name)
        held = self._state.apps.get(key)
        if held is None:
            return decode(manifest)
        if not is_newer(manifest["metadata"], held.metadata):
            return held
        self._state.take("applications", manifest)
        return self._state.apps.get(key) or decode(manifest)

    def _end(
        self, call: Call, action: str, app: Application | None, key: AppKey, project: str | None
    ) -> Reached:
        """The answer; the same refusal whether there is no such Application or no right to it."""
        if app is None:
            raise no_such(key.name) if project else permission_denied()
        if not self._guard.allows(call, "applications", action, self.object_of(app)):
            raise no_such(app.metadata.name) if project else permission_denied()
        if project and project != app.spec.project_name:
            raise no_such(app.metadata.name)
        return Reached(app, self._admitting(app), self._state)


def no_such(name: str) -> ApiFailure:
    """There is no such Application, as Kubernetes says it."""
    return not_found(f'applications.argoproj.io "{name}" not found')


def is_name(text: str) -> bool:
    """Whether the text can name an object at all; what cannot is not asked for (nor put into a URL)."""
    return len(text) <= 253 and _NAME.fullmatch(text) is not None


_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
