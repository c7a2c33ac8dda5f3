"""The records of one cluster as they change, and who is told of it.

Followers put in what they see (``seen``, ``gone``), writers the answers to their own writes
(``take_write``); whichever is newer stays. A change is told to the applications that the object
belonged or belongs to, unless it is nobody's business: before the first lists are done, or when what
counts of the object is the same (health-and-resources.md 7.3).
"""

from collections.abc import Callable

from tiphys.kube.discovery import ApiResource
from tiphys.live.conversions import Conversions
from tiphys.live.depth import ENDPOINTS
from tiphys.live.records import Change, LiveObject, is_later, is_stale
from tiphys.live.store import Store
from tiphys.resources.identity import GroupKind, ResourceKey
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)


class Objects:
    """See the module's story.

    Args:
        on_change: told of changes once ``telling`` is set.
        on_record: told of the kind and name of every record that came, changed or went.

    Attributes:
        settle: takes in the answers to own writes that wait (``notes``).
    """

    def __init__(
        self, server: str, on_change: Callable[[Change], None], on_record: Callable[[ResourceKey], None]
    ) -> None:
        self.store = Store()
        self.conversions = Conversions()
        self.telling = False
        self.settle: Callable[[], None] = lambda: None
        self._server = server
        self._on_change = on_change
        self._on_record = on_record

    def seen(self, record: LiveObject) -> None:
        """The object is like this."""
        old = self.store.get(record.key)
        same_version = old is not None and old.version == record.version
        if old is not None and same_version and is_stale(record.resource_version, old.resource_version):
            return  # known already, or an old event after the answer to our own write
        instances = self._instances(old)
        new = self.store.put(record)
        self._emit(old, new, instances | self._instances(new))

    def gone(self, key: ResourceKey, version: str, uid: str) -> None:
        """The object was deleted at ``version`` (``uid`` empty: whichever it was)."""
        old = self.store.get(key)
        if old is None or (uid and old.uid != uid):
            return
        if is_later(old.resource_version, version):
            return  # created again, or written by us, after that
        self.remove(key)

    def remove(self, key: ResourceKey) -> None:
        """The object is no longer known."""
        old = self.store.get(key)
        if old is not None:
            instances = self._instances(old)
            self.store.remove(key)
            self.conversions.forget(key)
            self._emit(old, None, instances)

    def take_write(self, record: LiveObject) -> None:
        """The answer to a write of ours. Whoever wrote looks at the result himself, so there is no
        change for his application; one is told if the object left another's."""
        old = self.store.get(record.key)
        if old is not None and is_stale(record.resource_version, old.resource_version):
            return
        new = self.store.put(record)
        if old is not None and old.app_instance and old.app_instance != new.app_instance:
            self._emit(old, new, {old.app_instance})

    def _instances(self, record: LiveObject | None) -> set[str]:
        if record is None or not self.telling:
            return set()
        return {self.store.instance_of(record)}

    def _emit(self, old: LiveObject | None, new: LiveObject | None, instances: set[str]) -> None:
        key = (new or old or _NOBODY).key
        self._on_record(key)
        if not self.telling or key.group_kind == ENDPOINTS:
            return
        if old is not None and new is not None and _is_irrelevant(old, new):
            return
        if len(instances) > 1:
            instances.discard("")
        for instance in sorted(instances):
            is_root = any(each is not None and each.app_instance == instance != "" for each in (old, new))
            try:
                self._on_change(Change(self._server, key, old, new, instance, is_root))
            except Exception:
                log.exception("a listener of live changes failed", extra={"server": self._server})


class KindSink:
    """A follower's view of the objects: those of its kind."""

    def __init__(self, objects: Objects, resource: ApiResource) -> None:
        self.seen = objects.seen
        self.gone = objects.gone
        self._objects = objects
        self._store = objects.store
        self._kind: GroupKind = resource.group_kind
        self._version = resource.version

    def has(self, namespace: str, name: str, version: str) -> bool:
        """Whether an object is stored as of ``version`` (a resourceVersion) or later."""
        self._objects.settle()
        old = self._store.get(ResourceKey(self._kind.group, self._kind.kind, namespace, name))
        same_version = old is not None and old.version == self._version
        return old is not None and same_version and is_stale(version, old.resource_version)

    def known(self, namespace: str) -> dict[ResourceKey, str]:
        """What is stored of the kind: key → resourceVersion."""
        # Records of another API version (the preferred one changed) must be read again.
        return {
            record.key: record.resource_version if record.version == self._version else ""
            for record in self._store.of_kind(self._kind, namespace)
        }


_NOBODY = LiveObject(ResourceKey("", "", "", ""), "", "", "")


def _is_irrelevant(old: LiveObject, new: LiveObject) -> bool:
    """An update that is nobody's business: the same hash and health status."""
    before, after = old.details, new.details
    if not before.update_digest or before.update_digest != after.update_digest:
        return False
    if old.uid != new.uid or old.app_instance != new.app_instance:
        return False
    return (before.health and before.health.status) == (after.health and after.health.status)
