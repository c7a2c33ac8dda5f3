"""Comparing what we hold with what there is, after a gap in the history of a watch.

A watch that comes back after a long break starts with a list, which tells what is there but not what
was deleted meanwhile. So whatever was held before such a list and is in no fresh list is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import KubeError
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

PAUSE = 5.0


class Held(msgspec.Struct, frozen=True):
    """Objects of one kind that we hold.

    Attributes:
        keys: what is held now, with the uid where it is known.
        gone: told of each that does not exist any more.
    """

    gvk: GVK
    namespace: str
    keys: Callable[[], Iterable[tuple[AppKey, str]]]
    gone: Callable[[AppKey, str], None]


class Resync:
    """Runs until cancelled; plural names of kinds with a gap go into ``gaps``.

    Args:
        held: plural name → what we hold of it.
    """

    def __init__(self, client: ClusterClient, held: dict[str, Held]):
        self._client = client
        self._held = held
        self.gaps: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Compare after each gap, as long as it takes."""
        while True:
            kind = await self.gaps.get()
            if not await self._compare(kind):
                await asyncio.sleep(PAUSE)
                self.gaps.put_nowait(kind)

    async def _compare(self, kind: str) -> bool:
        held = self._held[kind]
        before = dict(held.keys())  # whatever comes later is not our business
        try:
            async for manifest in list_manifests(self._client, held.gvk, held.namespace):
                metadata = manifest["metadata"]
                key = AppKey(metadata.get("namespace") or "", metadata["name"])
                if before.get(key) in ("", metadata.get("uid")):
                    del before[key]
        except KubeError as error:
            log.warning("cannot compare %s after a gap: %s", kind, error)
            return False
        for key, uid in before.items():
            held.gone(key, uid)
        log.info("compared %s after a gap in their watch: %d are gone", kind, len(before))
        return True


async def list_manifests(client: ClusterClient, gvk: GVK, namespace: str) -> AsyncIterator[Manifest]:
    """All objects of a kind, whole; ``namespace`` empty: everywhere."""
    resource = await client.resource_of(gvk)
    async for page in client.list_pages(resource, namespace):
        for manifest in msgspec.json.decode(page)["items"]:
            manifest["apiVersion"] = gvk.api_version
            manifest["kind"] = gvk.kind
            yield manifest
