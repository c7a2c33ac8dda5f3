"""Clients of destination clusters for the API: those of the live caches where there are some, else own.

A client lives as long as the cluster is reached in the same way; one that is replaced is closed after
the requests in flight had their time.
"""

import asyncio
from collections.abc import Callable

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.settings.clusters import Cluster

GRACE = 30.0
"""Seconds that requests in flight have before a replaced client closes."""


class _Held(msgspec.Struct, frozen=True, eq=False):
    digest: str
    client: ClusterClient


class Destinations:
    """See the module.

    Args:
        known: the client that somebody else holds for this very cluster, or None.
        connect: opens a client.
    """

    def __init__(
        self, known: Callable[[Cluster], ClusterClient | None], connect: Callable[[Cluster], ClusterClient]
    ):
        self._known = known
        self._connect = connect
        self._held: dict[str, _Held] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def client(self, cluster: Cluster) -> ClusterClient:
        """A client of the cluster; not to be closed by the caller. Raises ConnectionSettingsError."""
        known = self._known(cluster)
        if known is not None:
            return known
        held = self._held.get(cluster.server)
        if held is not None and held.digest == cluster.config.digest:
            return held.client
        client = self._connect(cluster)
        self._held[cluster.server] = _Held(cluster.config.digest, client)
        if held is not None:
            task = asyncio.create_task(_close_later(held.client), name=f"leave {cluster.server}")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        return client

    async def close(self) -> None:
        """Close every client of our own."""
        for task in tuple(self._leaving):
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        held, self._held = list(self._held.values()), {}
        for each in held:
            await each.client.close()


async def _close_later(client: ClusterClient) -> None:
    try:
        await asyncio.sleep(GRACE)
    finally:
        await client.close()
