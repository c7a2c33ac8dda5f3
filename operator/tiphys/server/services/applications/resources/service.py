"""The methods of ``ApplicationService`` about what an Application manages, put together."""

from tiphys.server.guard import Guard
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.resources.actions import ApplicationActions
from tiphys.server.services.applications.resources.diffing import ApplicationDiffs
from tiphys.server.services.applications.resources.events import ApplicationResourceEvents
from tiphys.server.services.applications.resources.links import ApplicationLinks
from tiphys.server.services.applications.resources.logs import ApplicationLogs
from tiphys.server.services.applications.resources.manifests import ApplicationManifests
from tiphys.server.services.applications.resources.objects import ApplicationObjects
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.applications.resources.revisions import ApplicationRevisions
from tiphys.server.services.applications.resources.treefeed import TreeFeed
from tiphys.server.services.applications.resources.trees import ApplicationTrees
from tiphys.server.services.applications.writing import AppWriter
from tiphys.server.services.events import AuditLog
from tiphys.server.state import State


def resource_services(state: State, guard: Guard, audit: AuditLog) -> tuple[object, ...]:
    """ResourceTree, WatchResourceTree, ManagedResources, GetResource, PatchResource, DeleteResource,
    ListResourceActions, RunResourceAction(V2), ListResourceEvents, GetManifests, GetManifestsWithFiles,
    RevisionMetadata, RevisionChartDetails, GetOCIMetadata, ServerSideDiff, PodLogs, ListLinks
    and ListResourceLinks."""
    access = AppAccess(state, guard)
    reach = Reaching(state, guard, access, AppWriter(state, access))
    return (
        ApplicationTrees(reach, TreeFeed(state)),
        ApplicationObjects(state, reach, audit),
        ApplicationActions(state, reach, audit),
        ApplicationResourceEvents(state, reach),
        ApplicationManifests(state, reach),
        ApplicationRevisions(state, reach),
        ApplicationDiffs(state, reach),
        ApplicationLogs(state, reach),
        ApplicationLinks(state, reach),
    )
