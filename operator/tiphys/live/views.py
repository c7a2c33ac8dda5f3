"""What is decoded of every object in an answer of the API server: its metadata.

msgspec skips the rest at the speed of scanning. Of Secrets the type is needed, too; a ``Raw`` is where
the whole of an object stands, for whom metadata is not enough (``reading``).
"""

import msgspec


class OwnerView(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""


class MetaView(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    owner_references: tuple[OwnerView, ...] | None = None


class ObjectView(msgspec.Struct, frozen=True, gc=False):
    """Metadata of one object."""

    metadata: MetaView = MetaView()


class SecretView(ObjectView, frozen=True, gc=False):
    type: str = ""


class EventView(msgspec.Struct, frozen=True, gc=False):
    type: str
    object: ObjectView


class SecretEventView(msgspec.Struct, frozen=True, gc=False):
    type: str
    object: SecretView


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class PageView(msgspec.Struct, frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[ObjectView] | None = None


class SecretPageView(msgspec.Struct, frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[SecretView] | None = None


class RawPage(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


class RawEvent(msgspec.Struct, frozen=True):
    object: msgspec.Raw


SECRET_EVENTS = msgspec.json.Decoder(SecretEventView)
EVENTS = msgspec.json.Decoder(EventView)
SECRET_PAGES = msgspec.json.Decoder(SecretPageView)
PAGES = msgspec.json.Decoder(PageView)
RAW_PAGES = msgspec.json.Decoder(RawPage)
RAW_EVENTS = msgspec.json.Decoder(RawEvent)
