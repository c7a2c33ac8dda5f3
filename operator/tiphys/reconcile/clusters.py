"""Connections and live caches of destination clusters, one per cluster in use.

A cluster is connected when the first application needs it and kept; when its Secret or a setting
that shapes its cache changes, it is stopped and started anew. A cluster that cannot be reached
holds only the applications that use it: they are told why and tried again.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ClusterUnreachable, ConnectionSettingsError
from tiphys.live.cluster import ClusterCache
from tiphys.settings.clusters import Cluster
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

READY_TIMEOUT = 30.0


class ClusterNotReady(Exception):
    """The live state of a cluster could not be read; ``why`` is for people."""

    def __init__(self, server: str, why: str):
        super().__init__(f"cluster {server}: {why}")
        self.server = server
        self.why = why


class ClusterHandle(msgspec.Struct, eq=False):
    """A cluster in use."""

    cluster: Cluster
    client: ClusterClient
    cache: ClusterCache
    task: asyncio.Task[None]


class ClusterPool:
    """See the module's story.

    Args:
        connect: opens the client of a cluster.
        make_cache: builds (does not start) the live cache over a client.
    """

    def __init__(
        self,
        connect: Callable[[Cluster], ClusterClient],
        make_cache: Callable[[Cluster, ClusterClient], ClusterCache],
    ):
        self._connect = connect
        self._make_cache = make_cache
        self._handles: dict[str, ClusterHandle] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[ClusterHandle]:
        return iter(list(self._handles.values()))

    async def run(self) -> None:
        """Own the tasks of all caches until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await asyncio.Event().wait()
        finally:
            self._tasks = None
            handles, self._handles = list(self._handles.values()), {}
            for handle in handles:
                await handle.client.close()

    async def get(self, cluster: Cluster) -> ClusterHandle:
        """The handle of ``cluster``, connected and with its initial lists done.

        Raises:
            ClusterNotReady: not within the time limit; the message says why.
        """
        handle = self._handles.get(cluster.server)
        if handle is not None and handle.cluster != cluster:
            await self.drop(cluster.server)
            handle = None
        if handle is None:
            handle = self._start(cluster)
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await handle.cache.wait_synced()
        except TimeoutError:
            raise ClusterNotReady(cluster.server, f"not ready within {READY_TIMEOUT:.0f} s") from None
        except ClusterUnreachable as error:
            raise ClusterNotReady(cluster.server, error.why) from None
        return handle

    def known(self, server: str) -> ClusterHandle | None:
        """The handle of a cluster that is in use already."""
        return self._handles.get(server)

    async def drop(self, server: str) -> None:
        """Stop using a cluster (its Secret changed or is gone)."""
        handle = self._handles.pop(server, None)
        if handle is None:
            return
        handle.task.cancel()
        await asyncio.wait([handle.task])
        await handle.client.close()

    async def drop_all(self) -> None:
        """Start every cache anew (a setting that shapes them changed)."""
        for server in list(self._handles):
            await self.drop(server)

    def _start(self, cluster: Cluster) -> ClusterHandle:
        if self._tasks is None:
            raise ClusterNotReady(cluster.server, "the controller is stopping")
        try:
            client = self._connect(cluster)
        except ConnectionSettingsError as error:
            raise ClusterNotReady(cluster.server, str(error)) from None
        cache = self._make_cache(cluster, client)
        task = self._tasks.create_task(self._supervise(cluster, cache), name=f"live {cluster.server}")
        handle = ClusterHandle(cluster, client, cache, task)
        self._handles[cluster.server] = handle
        return handle

    async def _supervise(self, cluster: Cluster, cache: ClusterCache) -> None:
        delay = 1.0
        while True:
            try:
                await cache.run()
                return
            except Exception:
                log.exception("live cache failed; starting it again", extra={"server": cluster.server})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 60.0)
