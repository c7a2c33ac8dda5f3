"""The door to live objects for the API server of the same process (``server.state.Live``).

Every answer is made when it is asked for, out of what the controllers hold. ``None`` means "not
known yet": the application was never compared, or its cluster cannot be read; a refresh helps.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from tiphys.projects.permission import permits_app_namespace
from tiphys.reconcile.clusters import ClusterHandle
from tiphys.reconcile.inspecting.answers import Answers
from tiphys.reconcile.inspecting.differences import differences
from tiphys.reconcile.inspecting.trees import tree_of
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, SpecProblems, situate
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey, ResourceKey
from tiphys.resources.messages.clusters import ClusterCacheInfo, ClusterInfo, ConnectionState
from tiphys.resources.messages.trees import ApplicationTree, ResourceDiff
from tiphys.resources.times import to_timestamp
from tiphys.settings.clusters import DestinationError, trim_server

SUCCESSFUL, FAILED, UNKNOWN = "Successful", "Failed", "Unknown"
NOT_MONITORED = "Cluster has no applications and is not being monitored."
COUNTS_HOLD = timedelta(seconds=10)
"""How long the numbers of applications are taken for true, as in the reference."""


class Inspector:
    """See the module."""

    def __init__(self, services: Services):
        self._s = services
        self._answers = Answers()
        self._counts: tuple[datetime, Counter[str]] | None = None
        services.apps.listen(self._application_changed)

    async def tree(self, app: Application) -> ApplicationTree | None:
        """The resource tree (health-and-resources.md 9). Empty where the spec or the project is wrong."""
        found = self._place(app)
        if not isinstance(found, tuple):
            return ApplicationTree() if found is not None else None
        situation, handle = found
        return tree_of(self._s, situation, handle.cache)

    async def managed_resources(
        self, app: Application, *, keys: Sequence[ResourceKey] | None = None
    ) -> tuple[ResourceDiff, ...] | None:
        """Targets and live objects (12.1), of all pairs or of ``keys``; Secrets masked, hooks included."""
        found = self._place(app)
        if not isinstance(found, tuple):
            return () if found is not None else None
        situation, handle = found
        wanted = None if keys is None else frozenset(keys)
        return await differences(self._s, situation, handle, wanted, self._answers)

    def changes(self, key: AppKey) -> AsyncIterator[None]:
        """One item after each change of an application, of its live objects or of its orphans."""
        return self._s.notices.of(key)

    async def cluster_info(self, server: str) -> ClusterInfo:
        """Connection, version and counts of a cluster (11)."""
        now = self._s.clock()
        server = trim_server(server)
        count = self._applications(now)[server]
        handle = self._s.pool.known(server)
        attempted = to_timestamp(now)
        if handle is None:
            message = "" if count else NOT_MONITORED
            state = ConnectionState(status=UNKNOWN, message=message, attempted_at=attempted)
            return ClusterInfo(connection_state=state, applications_count=count)
        cache, discovery = handle.cache.state, handle.cache.discovery
        if cache.error:
            state = ConnectionState(status=FAILED, message=cache.error, attempted_at=attempted)
            return ClusterInfo(connection_state=state, server_version=cache.version, applications_count=count)
        if cache.synced_at is None:
            state = ConnectionState(status=UNKNOWN, attempted_at=attempted)
            return ClusterInfo(connection_state=state, applications_count=count)
        synced = to_timestamp(datetime.fromtimestamp(cache.synced_at, now.tzinfo))
        return ClusterInfo(
            connection_state=ConnectionState(status=SUCCESSFUL, attempted_at=attempted),
            server_version=cache.version,
            cache_info=ClusterCacheInfo(
                resources_count=cache.resources, apis_count=cache.kinds, last_cache_sync_time=synced
            ),
            applications_count=count,
            api_versions=discovery.api_versions if discovery is not None else (),
        )

    def _place(self, app: Application) -> tuple[Situation, ClusterHandle] | SpecProblems | None:
        """Where to look; problems of the spec: nowhere; None: not known yet."""
        situation = situate(self._s, app)
        if isinstance(situation, SpecProblems):
            return situation
        handle = self._s.pool.known(situation.cluster.server)
        if handle is None or not handle.ready or not app.status.sync.status:
            return None
        return situation, handle

    def _application_changed(self, old: Application | None, new: Application | None) -> None:
        app = new or old
        if app is not None:
            self._s.notices.tell(app.key)

    def _applications(self, now: datetime) -> Counter[str]:
        """Applications of each cluster whose project lets them live in their namespace."""
        # A clock that was set back makes nothing hold for longer.
        if self._counts is not None and abs(now - self._counts[0]) < COUNTS_HOLD:
            return self._counts[1]
        settings = self._s.settings
        control = settings.control_namespace
        counts: Counter[str] = Counter()
        for app in self._s.apps:
            project = self._s.projects.get(AppKey(control, app.spec.project or "default"))
            if project is None or not permits_app_namespace(project, app.metadata.namespace, control):
                continue
            try:
                counts[settings.clusters.resolve(app.spec.destination).server] += 1
            except DestinationError:
                continue
        self._counts = (now, counts)
        return counts
