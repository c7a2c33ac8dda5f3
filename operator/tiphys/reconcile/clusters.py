"""Connections and live caches of destination clusters, one per cluster in use.

A cluster is connected when the first application needs it and kept; when its Secret changes it is
left (requests in flight may end) and connected anew by the next application; when a setting that
shapes the cache changes, the cache is read anew over the same connection. A cluster that is slow or
cannot be reached holds only the applications that use it, and no worker: whoever needs it is told
so at once and woken when its first lists are done, when it is known why not, or when that changes.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ClusterUnreachable, ConnectionSettingsError
from tiphys.live.cluster import ClusterCache
from tiphys.resources.identity import AppKey
from tiphys.settings.clusters import Cluster, Clusters
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

READY_TIMEOUT = 30.0
RETRY_READY = 1.0
"""Seconds between two looks at a cluster that is not ready and known not to be."""
GRACE = 30.0
"""Seconds that requests of a look or a sync in flight have before a left cluster's client closes."""


class ClusterNotReady(Exception):
    """The live state of a cluster could not be read; ``why`` is for people."""

    def __init__(self, server: str, why: str):
        super().__init__(f"cluster {server}: {why}")
        self.server = server
        self.why = why


class ClusterPending(Exception):
    """The first lists of a cluster are not done; who asked is woken by :attr:`ClusterPool.on_ready`."""


class ClusterHandle(msgspec.Struct, eq=False):
    """A cluster in use.

    Attributes:
        ready: its first lists are done.
        problem: why they cannot be had, as far as known.
        waiting: who is to be woken when it is ready, or when the problem changes.
    """

    cluster: Cluster
    client: ClusterClient
    cache: ClusterCache
    tasks: tuple[asyncio.Task[None], ...] = ()
    ready: bool = False
    problem: str = ""
    waiting: set[AppKey] = msgspec.field(default_factory=set)

    def cancel(self) -> None:
        """Stop following it."""
        for task in self.tasks:
            task.cancel()


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
        self.on_ready: Callable[[Iterable[AppKey]], None] = lambda keys: None

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

    def get(self, cluster: Cluster, waiting: AppKey) -> ClusterHandle:
        """The handle of ``cluster``, connected and with its initial lists done; never waits.

        Args:
            waiting: who asks, to be woken if this raises.

        Raises:
            ClusterPending: not yet.
            ClusterNotReady: not within the time limit or not at all; the message says why.
        """
        handle = self._handles.get(cluster.server)
        if handle is not None and not _same(handle.cluster, cluster):
            self._leave(handle)
            handle = None
        handle = handle or self._start(cluster)
        if handle.ready:
            return handle
        handle.waiting.add(waiting)
        if handle.problem:
            raise ClusterNotReady(cluster.server, handle.problem)
        raise ClusterPending(cluster.server)

    def known(self, server: str) -> ClusterHandle | None:
        """The handle of a cluster that is in use already."""
        return self._handles.get(server)

    def pending(self) -> str:
        """``""``, or which clusters' first lists are still being read."""
        names = [
            handle.cluster.server
            for handle in self
            if handle.cache.state.synced_at is None and not handle.cache.state.error
        ]
        return f"the first lists of {', '.join(sorted(names))} are not done" if names else ""

    def align(self, clusters: Clusters) -> None:
        """The Secrets of clusters changed: leave what is gone, reached in another way now, or not ours
        to manage any more."""
        for server, handle in list(self._handles.items()):
            now = clusters.by_server.get(server)
            if now is not None and not now.skips_reconcile and _same(now, handle.cluster):
                handle.cluster = now
            else:
                self._leave(handle)

    def rebuild(self) -> None:
        """Read every cluster anew over its connection (a setting that shapes the caches changed)."""
        for handle in list(self._handles.values()):
            handle.cancel()
            self._follow(handle.cluster, handle.client).waiting.update(handle.waiting)

    def _leave(self, handle: ClusterHandle) -> None:
        self._handles.pop(handle.cluster.server, None)
        handle.cancel()
        self._spawn(_close_later(handle.client), f"leave {handle.cluster.server}")
        self.on_ready(handle.waiting)  # its successor, if any, is for them to ask for

    def _start(self, cluster: Cluster) -> ClusterHandle:
        if self._tasks is None:
            raise ClusterNotReady(cluster.server, "the controller is stopping")
        try:
            client = self._connect(cluster)
        except ConnectionSettingsError as error:
            raise ClusterNotReady(cluster.server, str(error)) from None
        return self._follow(cluster, client)

    def _follow(self, cluster: Cluster, client: ClusterClient) -> ClusterHandle:
        cache = self._make_cache(cluster, client)
        handle = self._handles[cluster.server] = ClusterHandle(cluster, client, cache)
        handle.tasks = (
            self._spawn(self._supervise(cluster, cache), f"live {cluster.server}"),
            self._spawn(self._announce(handle), f"first lists of {cluster.server}"),
        )
        return handle

    async def _announce(self, handle: ClusterHandle) -> None:
        """Wake those who wait for the first lists, when they are done or it is known why not."""
        while True:
            try:
                async with asyncio.timeout(READY_TIMEOUT):
                    await handle.cache.wait_synced()
                problem = ""
            except ClusterUnreachable as error:
                problem = error.why
            except TimeoutError:
                problem = f"not ready within {READY_TIMEOUT:.0f} s"
            if not problem or problem != handle.problem:
                handle.ready, handle.problem = not problem, problem
                waiting, handle.waiting = handle.waiting, set()
                self.on_ready(waiting)
            if not problem:
                return
            await asyncio.sleep(RETRY_READY)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._tasks is not None, "the pool is not running"
        # An empty context: what a cache does is no part of the look that happened to start it.
        return self._tasks.create_task(work, name=name, context=contextvars.Context())

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


def _same(one: Cluster, other: Cluster) -> bool:
    """Whether both are reached alike and as much of them is read; names and labels do not matter."""
    if one is other:
        return True

    def shape(cluster: Cluster) -> tuple[object, ...]:
        return (cluster.config, cluster.namespaces, cluster.cluster_resources, cluster.refresh_requested)

    return shape(one) == shape(other)


async def _close_later(client: ClusterClient) -> None:
    try:
        await asyncio.sleep(GRACE)
    finally:
        await client.close()
