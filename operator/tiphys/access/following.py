"""Following one Secret: its newest content, as fast as a watch event travels.

Not through the settings: they are read again as a whole when a Secret of theirs changes, and whoever
guesses passwords would make the whole program do that.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from tiphys.access.accounts import SECRET
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import Gone, KubeError
from tiphys.resources.identity import Manifest
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


class _List(msgspec.Struct):
    metadata: dict[str, Any]
    items: list[dict[str, Any]]


_events = msgspec.json.Decoder(_Event)
_lists = msgspec.json.Decoder(_List)

Take = Callable[[Manifest | None], None]
"""Told the newest state of the Secret; None: there is none."""


async def follow(client: ClusterClient, namespace: str, name: str, take: Take) -> None:
    """Tell every change, until cancelled; what keeps from hearing them is logged and tried again."""
    pause = _FIRST_PAUSE
    while True:
        try:
            version = await read(client, namespace, name, take)
            pause = _FIRST_PAUSE
            await _watch(client, namespace, name, version, take)
        except Gone:
            continue
        except KubeError as error:
            log.warning("Secret %s cannot be followed, trying again: %s", name, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def read(client: ClusterClient, namespace: str, name: str, take: Take) -> str:
    """Tell the state of the moment; returns the version to watch from.

    Raises:
        KubeError: it cannot be read.
    """
    resource = await client.resource_of(SECRET)
    async for page in client.list_pages(resource, namespace, field_selector=f"metadata.name={name}"):
        found = _lists.decode(page)
        take(found.items[0] if found.items else None)
        return str(found.metadata.get("resourceVersion") or "")
    return ""


async def _watch(client: ClusterClient, namespace: str, name: str, version: str, take: Take) -> None:
    resource = await client.resource_of(SECRET)
    selector = f"metadata.name={name}"
    async with client.watch(resource, namespace, version, field_selector=selector) as batches:
        async for lines in batches:
            for line in lines:
                event = _events.decode(line)
                if event.type in ("ADDED", "MODIFIED"):
                    take(event.object)
                elif event.type == "DELETED":
                    take(None)
