"""The audit trail: who did what through the API, as Kubernetes Events and log lines (api.md 9).

A method calls one line of :class:`AuditLog` after the thing is done; the Event is queued and sent in
the background by the same machinery as the controllers' (``reconcile.events``), so that telling can
neither delay nor fail a call. ``--enable-k8s-event`` decides which reasons are told; one that is
switched off is not in the log either (operations.md 7.2).
"""

from collections.abc import Mapping

from tiphys.reconcile.events import (
    EventMessage,
    EventQueue,
    Involved,
    destination_annotations,
    event_manifest,
)
from tiphys.resources.application import Application
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.identity import GVK, AppKey
from tiphys.resources.messages.trees import ResourceNode
from tiphys.resources.project import AppProject
from tiphys.server.api.calls import Call
from tiphys.server.state import State
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

COMPONENT = "argocd-server"

CREATED = "ResourceCreated"
UPDATED = "ResourceUpdated"
DELETED = "ResourceDeleted"
ACTION_RAN = "ResourceActionRan"
OPERATION_STARTED = "OperationStarted"


class AuditLog:
    """See the module.

    ``action`` is what follows the user's name: ``created application``. Every method returns at once.

    Args:
        queue: owned by the composition root, which runs it.
    """

    def __init__(self, state: State, queue: EventQueue):
        self._state = state
        self._queue = queue

    def application(self, call: Call, app: Application, reason: str, action: str) -> None:
        """An Application was changed, or an operation begun."""
        self._tell(
            call,
            Involved.of(app),
            reason,
            action,
            fields={"application": app.metadata.name},
            annotations=destination_annotations(app) | _user(call),
            labels=self._labels(app),
        )

    def applicationset(self, call: Call, appset: ApplicationSet, reason: str, action: str) -> None:
        """An ApplicationSet was changed."""
        fields = {"applicationset": appset.metadata.name}
        self._tell(call, Involved.of(appset), reason, action, fields=fields, annotations=_user(call))

    def project(self, call: Call, project: AppProject, reason: str, action: str) -> None:
        """An AppProject or a token of it was changed; its Events carry no annotations."""
        self._tell(call, Involved.of(project), reason, action, fields={"project": project.name})

    def resource(self, call: Call, node: ResourceNode, reason: str, action: str) -> None:
        """A live object was changed.

        It may be in another cluster, so the Event stands in the control plane's namespace and the
        object's own is kept in an annotation.
        """
        involved = Involved(
            GVK(node.group, node.version, node.kind).api_version,
            node.kind,
            self._state.namespace,
            node.name,
            node.uid,
            node.resource_version,
        )
        self._tell(
            call,
            involved,
            reason,
            action,
            fields={"object": node.name},
            annotations=_user(call) | {"resource-namespace": node.namespace},
        )

    def _labels(self, app: Application) -> Mapping[str, str]:
        settings = self._state.settings
        if not settings.event_label_include:
            return {}
        project = self._state.projects.get(AppKey(self._state.namespace, app.spec.project or "default"))
        inherited = project.metadata.labels if project is not None else {}
        return settings.copy_event_labels({**inherited, **app.metadata.labels}.items())

    def _tell(
        self,
        call: Call,
        involved: Involved,
        reason: str,
        action: str,
        *,
        fields: Mapping[str, str],
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        if not self._queue.wanted(reason):
            return
        event = EventMessage(reason, f"{call.identity.username or 'Unknown user'} {action}")
        log.info(
            "%s",
            event.message,
            extra={"type": event.type, "reason": reason, **fields, **(annotations or {})},
        )
        manifest = event_manifest(
            involved,
            event,
            self._state.clock(),
            component=COMPONENT,
            annotations=annotations,
            labels=labels,
        )
        self._queue.put(involved, manifest)


def _user(call: Call) -> dict[str, str]:
    return {"user": call.identity.username} if call.identity.username else {}
