"""Messages of the API package ``events``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.meta import ListMeta, ObjectMeta, no_time
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class ObjectReference(ApiObject, frozen=True):
    """Part of ``Event``."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class EventSource(ApiObject, frozen=True):
    """Part of ``Event``."""

    component: str = ""
    host: str = ""


class EventSeries(ApiObject, frozen=True):
    """Part of ``Event``."""

    count: int = 0
    last_observed_time: Timestamp = always(no_time)


class Event(ApiObject, frozen=True):
    """Part of ``EventList``."""

    metadata: ObjectMeta = always(ObjectMeta)
    involved_object: ObjectReference = always(ObjectReference)
    reason: str = ""
    message: str = ""
    source: EventSource = always(EventSource)
    first_timestamp: Timestamp = always(no_time)
    last_timestamp: Timestamp = always(no_time)
    count: int = 0
    type: str = ""
    event_time: Timestamp = always(no_time)
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


class EventList(ApiObject, frozen=True):
    """Answer of ``ApplicationService.ListResourceEvents``, ``ApplicationSetService.ListResourceEvents``,
    ``ProjectService.ListEvents``.
    """

    metadata: ListMeta = always(ListMeta)
    items: tuple[Event, ...] = always(no_items)
