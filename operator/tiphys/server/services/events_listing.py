"""Kubernetes Events about one object, as the API lists them (health-and-resources.md 13.2)."""

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.resources.decoding import decode_as
from tiphys.resources.identity import GVK
from tiphys.resources.messages.events import Event, EventList
from tiphys.resources.meta import ObjectMeta

EVENT = GVK("", "v1", "Event")


async def events_about(
    client: ClusterClient, *, namespace: str, name: str, uid: str, involved_namespace: str
) -> EventList:
    """Events of ``namespace`` about an object, as the API server orders them.

    Raises:
        ApiError, ClusterUnreachable: they cannot be read.
    """
    chosen = {
        "involvedObject.name": name,
        "involvedObject.namespace": involved_namespace,
        "involvedObject.uid": uid,
    }
    selector = ",".join(f"{field}={_escaped(value)}" for field, value in chosen.items())
    resource = await client.resource_of(EVENT)
    items: list[Event] = []
    answer = EventList()
    async for page in client.list_pages(resource, namespace, field_selector=selector):
        answer = decode_as(EventList, page)
        items.extend(answer.items)
    metadata = msgspec.structs.replace(answer.metadata, continue_="", remaining_item_count=None)
    return EventList(metadata=metadata, items=tuple(items))


async def events_of(client: ClusterClient, metadata: ObjectMeta) -> EventList:
    """Events about one of our own kinds, which stand in its namespace."""
    return await events_about(
        client,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        involved_namespace=metadata.namespace,
    )


def _escaped(value: str) -> str:
    for character in "\\,=":
        value = value.replace(character, f"\\{character}")
    return value
