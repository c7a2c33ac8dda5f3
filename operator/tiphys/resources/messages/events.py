"""Messages of the API package ``events``."""

from tiphys.resources.meta import ListMeta, ObjectMeta, no_time
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class ObjectReference(ApiObject, frozen=True):
    """Names the object of an event."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class EventSource(ApiObject, frozen=True):
    """Who reported it."""

    component: str = ""
    host: str = ""


class EventSeries(ApiObject, frozen=True):
    """How often it happened on end."""

    count: int = 0
    last_observed_time: Timestamp = always(no_time)


class Event(ApiObject, frozen=True):
    """An event of Kubernetes."""

    metadata: ObjectMeta = always(ObjectMeta)
    involved_object: ObjectReference = always(ObjectReference)
    reason: str = ""
    """A word for programs, such as ``OperationStarted``."""
    message: str = ""
    source: EventSource = always(EventSource)
    first_timestamp: Timestamp = always(no_time)
    last_timestamp: Timestamp = always(no_time)
    count: int = 0
    """How often it happened."""
    type: str = ""
    """``Normal`` or ``Warning``."""
    event_time: Timestamp = always(no_time)
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


class EventList(ApiObject, frozen=True):
    """Events of an object."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[Event, ...] = always(no_items)
