"""Who may call an extension for an Application (api.md 14).

Two rights: ``applications, get`` on ``<project>/<app>``, always in this form, whatever the Application's
namespace (a quirk that policies are written for), and ``extensions, invoke`` on the extension's name. Then
the Application has to be there, in that project, with a destination that the project permits. Whatever
fails, the caller hears the same; the log knows.
"""

import msgspec

from tiphys.access.identity import Identity
from tiphys.projects.effective import effective_project
from tiphys.projects.permission import permits_app_namespace, permits_destination
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.server.api.calls import Call
from tiphys.server.extensions.asking import Wish
from tiphys.server.guard import Guard
from tiphys.server.state import State
from tiphys.settings.clusters import DestinationError


class Verdict(msgspec.Struct, frozen=True):
    """The Application, or why not (for the log)."""

    app: Application | None
    why: str = ""


class Admission:
    """See the module."""

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._guard = guard

    def permit(self, identity: Identity, wish: Wish) -> Verdict:
        """Whether the caller may, now."""
        state, call = self._state, Call(identity=identity)
        for resource, action, name in (
            ("applications", "get", f"{wish.project}/{wish.app}"),
            ("extensions", "invoke", wish.extension),
        ):
            if not self._guard.allows(call, resource, action, name):
                return Verdict(None, f"no right to {action} {resource} {name}")
        if not is_namespace_enabled(wish.namespace, state.settings):
            return Verdict(None, "the namespace of the Application is not managed")
        app = state.apps.get(AppKey(wish.namespace, wish.app))
        if app is None or app.spec.project_name != wish.project:
            return Verdict(None, "there is no such Application in the project")
        stored = state.projects.get(AppKey(state.namespace, wish.project))
        if stored is None or not permits_app_namespace(stored, wish.namespace, state.namespace):
            return Verdict(None, "there is no such project, or it does not admit the Application's namespace")
        try:
            cluster = state.settings.clusters.resolve(app.spec.destination)
        except DestinationError as error:
            return Verdict(None, f"the destination is not usable: {error.message}")
        project = effective_project(stored, state.projects, state.settings)
        if not permits_destination(
            project,
            server=cluster.server,
            name=cluster.name,
            namespace=app.spec.destination.namespace,
            scoped_clusters=state.settings.clusters.in_project(project.name),
        ):
            return Verdict(None, "the project does not permit the destination")
        return Verdict(app)
