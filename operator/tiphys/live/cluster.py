"""The live cache of one cluster: a follower for each kind, and the questions reconciling asks.

``run()`` reads discovery, starts a follower for every kind that can be watched and is not excluded,
and keeps the set of followers equal to what the cluster serves: when a CRD or APIService changes,
discovery is read again until what the CRDs promise is there. Changes of objects go to ``on_change``
(a function that must not block) once the first lists are done; what a change means is not decided
here. Answers to own writes come in through ``note_write``, so that a reconcile right after a sync
sees what it wrote; whichever of the write's answer and the watch event is newer stays.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
import orjson

from tiphys.health.model import Health
from tiphys.kube.client import ClusterClient
from tiphys.kube.discovery import ApiResource, Discovery
from tiphys.kube.errors import ApiError, ClusterUnreachable, KubeError, NotFound
from tiphys.live.conversions import Conversions
from tiphys.live.depth import API_SERVICE, CRD, ENDPOINTS
from tiphys.live.following import Follower, Times
from tiphys.live.outage import Backoff, Outage
from tiphys.live.reading import KindReader, Reading, Tracking
from tiphys.live.records import Change, LiveObject, is_later, is_stale
from tiphys.live.store import Store
from tiphys.live.tree import ResourceNode, Summary, resource_tree, summarize
from tiphys.resources.identity import GVK, GroupKind, Manifest, ResourceKey, gvk_of, key_of
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

LISTS_AT_ONCE = 12
DISCOVERY_SECONDS = 600.0
DEBOUNCE_SECONDS = 0.3
EXPECT_ATTEMPTS = 9
"""Times discovery is asked again for kinds that a CRD promises (growing pauses, about 25 s)."""


class ResourceFilter(Protocol):
    """``settings.model.ResourceFilter``."""

    def is_excluded(self, group: str, kind: str, server: str, /) -> bool: ...


class KindUnavailable(ApiError):
    """The live objects of a kind cannot be read now; ``kind`` and the server's reason."""

    def __init__(self, kind: GroupKind, why: str) -> None:
        super().__init__(500, "KindUnavailable", f"failed to load initial state of resource {kind}: {why}")
        self.kind = kind


class OutOfScope(ApiError):
    """The key is outside the namespaces that this cluster is restricted to."""

    def __init__(self, why: str) -> None:
        super().__init__(403, "OutOfScope", why)


class CacheState(msgspec.Struct, frozen=True):
    """For cluster info (health-and-resources.md 11).

    Attributes:
        error: why the cluster cannot be read at all, ``""`` if it can.
        synced_at: Unix time of the end of the first lists, ``None`` before.
    """

    server: str
    version: str
    resources: int
    kinds: int
    synced_at: float | None
    error: str


class ClusterCache:
    """See the module's story.

    Args:
        server: the cluster as the settings name it (default: the client's URL); goes into changes
            and filters.
        namespaces, cluster_resources: the restriction of the cluster's Secret.
        respect_rbac: ``resource.respectRBAC``: ``""``, ``normal`` or ``strict``.
        on_batch: told of each batch of watch events: kind, number, seconds it took (metrics).
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        resource_filter: ResourceFilter,
        tracking: Tracking,
        on_change: Callable[[Change], None],
        assess: Callable[[Manifest], Health | None],
        server: str = "",
        namespaces: tuple[str, ...] = (),
        cluster_resources: bool = False,
        update_digest: Callable[[GroupKind, Manifest, bool], bytes] | None = None,
        custom_labels: tuple[str, ...] = (),
        respect_rbac: str = "",
        times: Times = Times(),  # noqa: B008 (frozen)
        clock: Callable[[], float] = time.time,
        on_batch: Callable[[GroupKind, int, float], None] = lambda kind, count, seconds: None,
    ) -> None:
        self.server = server or client.server
        self._client = client
        self._filter = resource_filter
        self._on_change = on_change
        self._namespaces = namespaces
        self._cluster_resources = cluster_resources
        self._respect_rbac = respect_rbac
        self._times = times
        self._clock = clock
        self._on_batch = on_batch
        self._reading = Reading(tracking, assess, custom_labels=custom_labels)
        if update_digest is not None:
            self._reading = msgspec.structs.replace(self._reading, update_digest=update_digest)
        self._store = Store()
        self._outage = Outage(client)
        self._conversions = Conversions()
        self._followers: dict[tuple[GroupKind, str], tuple[Follower, asyncio.Task[None]]] = {}
        self._readers: dict[GroupKind, KindReader] = {}
        self._denied: set[GroupKind] = set()
        self._discovery: Discovery | None = None
        self._list_slots = asyncio.Semaphore(LISTS_AT_ONCE)
        self._synced_at: float | None = None
        self._error = ""
        self._news = asyncio.Event()
        self._stir = asyncio.Event()
        self._restart = False
        self._hurry = False

    # Running

    async def run(self) -> None:
        """Keep the cache current until cancelled. Reports trouble in ``state`` and ``problems``."""
        try:
            await self._run()
        finally:
            if self._synced_at is None:  # whoever waits for the first lists waits in vain
                self._error = self._error or "the cache was closed"
                self._news.set()

    async def _run(self) -> None:
        discovery = await self._first_discovery()
        async with asyncio.TaskGroup() as tasks:
            self._align(discovery, tasks)
            self._on_state(None)
            while True:
                try:
                    async with asyncio.timeout(DISCOVERY_SECONDS):
                        await self._stir.wait()
                except TimeoutError:
                    pass
                await self._rediscover(tasks)

    async def wait_synced(self) -> None:
        """Return when the first list of every kind succeeded or failed.

        Raises:
            ClusterUnreachable: the last attempt to reach the cluster failed; it goes on trying.
        """
        while self._synced_at is None:
            why = self._error or self._outage.why
            if why:
                raise ClusterUnreachable(self.server, why)
            self._news.clear()
            await self._news.wait()

    def relist(self) -> None:
        """List every kind again (a user asked for it); what changed is reported as changes."""
        for follower, _ in self._followers.values():
            follower.version = ""
        self._restart = True
        self._stir.set()

    async def _first_discovery(self) -> Discovery:
        backoff = Backoff(0.5, 10.0)
        while True:
            try:
                discovery = await self._client.refresh_discovery()
            except KubeError as error:
                self._error = getattr(error, "why", "") or str(error)
                self._news.set()
                log.warning("cannot read the cluster", extra={"server": self.server, "error": self._error})
                await asyncio.sleep(backoff.take())
                continue
            self._error = ""
            return discovery

    async def _rediscover(self, tasks: asyncio.TaskGroup) -> None:
        """Follow discovery until it agrees with what the CRDs promise, or attempts run out."""
        pause = DEBOUNCE_SECONDS
        for _ in range(EXPECT_ATTEMPTS):
            await asyncio.sleep(pause)
            self._stir.clear()
            if self._restart:
                self._restart = False
                for _follower, task in self._followers.values():
                    task.cancel()
                self._followers.clear()
            try:
                self._align(await self._client.refresh_discovery(), tasks)
                self._hurry_on()
            except KubeError as error:
                log.warning("cannot refresh discovery", extra={"server": self.server, "error": str(error)})
            else:
                if self._promises_kept():
                    return
            if not self._stir.is_set():
                pause = min(pause * 1.5, 6.0)

    def _hurry_on(self) -> None:
        """A definition changed: that may cure the kinds that cannot be read."""
        if self._hurry:
            self._hurry = False
            for follower, _ in self._followers.values():
                if follower.problem:
                    follower.hurry()

    def _promises_kept(self) -> bool:
        discovery = self._discovery
        if discovery is None:
            return False
        for crd in self._store.of_kind(CRD):
            details = crd.details
            if details.established and not crd.deletion_timestamp:
                for gvk in details.serves:
                    if discovery.resource(gvk) is None:
                        return False
        promised = {gvk for crd in self._store.of_kind(CRD) for gvk in crd.details.serves}
        groups = {gvk.group for gvk in promised}
        # A kind that is served though its CRD is gone: discovery is late. (Groups that no CRD knows
        # belong to other API servers.)
        served = (each.gvk for each in discovery.resources if each.group in groups)
        return all(gvk in promised for gvk in served)

    def _align(self, discovery: Discovery, tasks: asyncio.TaskGroup) -> None:
        """Make the followers equal to what is served, wanted and permitted."""
        self._discovery = discovery
        wanted: dict[tuple[GroupKind, str], ApiResource] = {}
        for resource in discovery.watchable():
            kind = resource.group_kind
            if kind in self._denied or self._filter.is_excluded(kind.group, kind.kind, self.server):
                continue
            for namespace in self._scopes(resource):
                wanted[kind, namespace] = resource
        for place, (follower, task) in list(self._followers.items()):
            if wanted.get(place) == follower.resource:
                continue
            if place not in wanted and follower.resource.api_version in discovery.failed_groups:
                continue  # the backend is down, the kind is not gone
            task.cancel()
            del self._followers[place]
            if place not in wanted:
                self._forget(follower)
        for place, resource in wanted.items():
            if place not in self._followers:
                follower = self._follower(resource, place[1])
                task = tasks.create_task(follower.run(), name=f"{self.server} {resource.label} {place[1]}")
                self._followers[place] = (follower, task)

    def _scopes(self, resource: ApiResource) -> tuple[str, ...]:
        """Namespaces to follow a kind in (health-and-resources.md 6.4); ``""``: everywhere."""
        if not self._namespaces:
            return ("",)
        if resource.namespaced:
            return self._namespaces
        return ("",) if self._cluster_resources else ()

    def _follower(self, resource: ApiResource, namespace: str) -> Follower:
        reader = self._readers.get(resource.group_kind)
        if reader is None or reader.resource != resource:
            reader = self._readers[resource.group_kind] = KindReader(resource, self._reading)
        return Follower(
            self._client,
            resource,
            namespace,
            reader,
            _KindSink(self, resource),
            self._outage,
            self._list_slots,
            times=self._times,
            on_state=self._on_state,
            on_denied=self._on_denied,
            log_bug=self._log_bug,
            on_batch=self._on_batch,
        )

    def _forget(self, follower: Follower) -> None:
        kind = follower.resource.group_kind
        for record in self._store.of_kind(kind, follower.namespace):
            self._remove(record.key)

    def _on_state(self, follower: Follower | None) -> None:
        self._news.set()  # waiters run after this function
        if follower is not None and follower.state == "missing":
            self._stir.set()
        if self._synced_at is None and self._followers:
            everything = [each for each, _ in self._followers.values()]
            if not all(each.settled for each in everything):
                return
            if not any(each.listed for each in everything):
                first = next((each for each in everything if each.problem), everything[0])
                self._error = self._outage.why or (
                    f"failed to load initial state of resource {first.resource.group_kind}: {first.problem}"
                )
            else:
                self._error = ""
                self._synced_at = self._clock()
                problems = {str(kind): why for kind, why in self.problems.items()}
                log.info(
                    "live cache is synced",
                    extra={"server": self.server, "objects": len(self._store), "problems": problems},
                )

    async def _on_denied(self, follower: Follower) -> bool:
        """Whether to leave a kind that we may not list (health-and-resources.md 7.2).

        A 401 is never taken for this: credentials come back, and a kind left is left for good.
        """
        if self._respect_rbac == "strict" and await self._may_list(follower):
            return False
        if self._respect_rbac in ("normal", "strict"):
            self._denied.add(follower.resource.group_kind)
            return True
        return False

    async def _may_list(self, follower: Follower) -> bool:
        """What the server itself says about listing: as the reference asks, by resource name only."""
        attributes = {
            "namespace": follower.namespace or "*",
            "verb": "list",
            "resource": follower.resource.plural,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = await self._client.create(review)
        except KubeError:
            return True  # unknown: the kind stays, with its problem
        return bool((answer.get("status") or {}).get("allowed"))

    def _log_bug(self, follower: Follower, error: Exception) -> None:
        log.error(
            "following a kind failed",
            extra={"server": self.server, "resource": follower.resource.label},
            exc_info=error,
        )

    # What followers report

    def _seen(self, record: LiveObject) -> None:
        old = self._store.get(record.key)
        same_version = old is not None and old.version == record.version
        if old is not None and same_version and is_stale(record.resource_version, old.resource_version):
            return  # known already, or an old event after the answer to our own write
        self._take(old, record)

    def _gone(self, key: ResourceKey, version: str, uid: str) -> None:
        old = self._store.get(key)
        if old is None or (uid and old.uid != uid):
            return
        if is_later(old.resource_version, version):
            return  # created again, or written by us, after that
        self._remove(key)

    def _take(self, old: LiveObject | None, record: LiveObject) -> None:
        instances = self._instances(old)
        new = self._store.put(record)
        self._emit(old, new, instances | self._instances(new))

    def _remove(self, key: ResourceKey) -> None:
        old = self._store.get(key)
        if old is not None:
            instances = self._instances(old)
            self._store.remove(key)
            self._conversions.forget(key)
            self._emit(old, None, instances)

    def _instances(self, record: LiveObject | None) -> set[str]:
        if record is None or self._synced_at is None:
            return set()
        return {self._store.instance_of(record)}

    def _emit(self, old: LiveObject | None, new: LiveObject | None, instances: set[str]) -> None:
        key = (new or old or _NOBODY).key
        kind = key.group_kind
        if kind in (CRD, API_SERVICE):
            self._hurry = True
            self._stir.set()
        if self._synced_at is None or kind == ENDPOINTS:
            return
        if old is not None and new is not None and _is_irrelevant(old, new):
            return
        if len(instances) > 1:
            instances.discard("")
        for instance in sorted(instances):
            is_root = any(each is not None and each.app_instance == instance != "" for each in (old, new))
            try:
                self._on_change(Change(self.server, key, old, new, instance, is_root))
            except Exception:
                log.exception("a listener of live changes failed", extra={"server": self.server})

    # Questions

    @property
    def problems(self) -> Mapping[GroupKind, str]:
        """Kinds whose objects cannot be read now, and why."""
        return {
            follower.resource.group_kind: follower.problem
            for follower, _ in self._followers.values()
            if follower.problem
        }

    @property
    def state(self) -> CacheState:
        """Version, counts, last sync."""
        return CacheState(
            server=self.server,
            version=self._discovery.version if self._discovery is not None else "",
            resources=len(self._store),
            kinds=len({kind for kind, _ in self._followers}),
            synced_at=self._synced_at,
            error=self._error or self._outage.why,
        )

    @property
    def discovery(self) -> Discovery | None:
        """What the cluster serves, as last read; ``None`` before the first time."""
        return self._discovery

    def get(self, key: ResourceKey) -> LiveObject | None:
        """The record of an object."""
        return self._store.get(key)

    def managed(self, instance: str) -> Mapping[ResourceKey, LiveObject]:
        """Root objects that carry ``instance``. A view: copy it to keep it over an ``await``."""
        return self._store.managed(instance)

    def instances(self) -> frozenset[str]:
        """Every instance that some object carries."""
        return self._store.instances()

    def instance_of(self, record: LiveObject) -> str:
        """The instance an object belongs to, itself or through its owners; ``""``: none."""
        return self._store.instance_of(record)

    def of_kind(self, kind: GroupKind, namespace: str = "") -> list[LiveObject]:
        """Records of a kind."""
        return self._store.of_kind(kind, namespace)

    def in_namespace(self, namespace: str) -> list[LiveObject]:
        """Namespaced root objects of a namespace (``""``: of all namespaces): candidates for
        orphans."""
        return [each for each in self._store.in_namespace(namespace) if each.is_root]

    def children(self, key: ResourceKey) -> list[LiveObject]:
        """Objects directly owned by ``key``."""
        parent = self._store.get(key)
        return [] if parent is None else self._store.children(parent)

    def tree(
        self,
        roots: Iterable[ResourceKey],
        permitted: Callable[[LiveObject], bool] = lambda record: True,
    ) -> list[ResourceNode]:
        """The roots that exist with all their descendants, as nodes of the API, sorted by key
        (health-and-resources.md 9.2). What is not permitted is left out with its subtree."""
        return resource_tree(self._store, roots, permitted)

    def summary(self, instance: str) -> Summary:
        """Images and URLs of the objects of an application and all their descendants."""
        return summarize(self._store, list(self.managed(instance)))

    def is_watched(self, kind: GroupKind) -> bool:
        """Whether objects of the kind are followed (not excluded, not denied)."""
        return any(followed == kind for followed, _ in self._followers)

    def check_scope(self, key: ResourceKey, namespaced: bool) -> str:
        """Why ``key`` is outside of a namespaced cluster, ``""`` if it is inside
        (health-and-resources.md 6.4)."""
        if not self._namespaces:
            return ""
        if not namespaced:
            if self._cluster_resources:
                return ""
            return f'cluster level {key.kind} "{key.name}" can not be managed when in namespaced mode'
        if key.namespace in self._namespaces:
            return ""
        return f'namespace "{key.namespace}" for {key.kind} "{key.name}" is not managed'

    async def manifest(self, key: ResourceKey, gvk: GVK | None = None) -> Manifest | None:
        """The object in the version ``gvk`` (default: as watched), ``None`` if it does not exist.

        From the cache where the body is kept in that version, else one GET, remembered until the
        object changes.

        Raises:
            KindUnavailable: its kind cannot be read now.
            OutOfScope: the cluster is restricted to other namespaces.
            ApiError, ClusterUnreachable: the GET failed.
        """
        record = self._store.get(key)
        if record is not None:
            wanted = gvk or record.gvk
            if wanted.version == record.version:
                manifest = record.manifest()
                if manifest is not None:
                    return manifest
        else:
            namespaced = bool(key.namespace)
            why = self.check_scope(key, namespaced)
            if why:
                raise OutOfScope(why)
            follower = self._follower_of(key)
            if follower is not None and follower.problem:
                raise KindUnavailable(key.group_kind, follower.problem)
            if follower is not None and follower.listed:
                return None
            wanted = gvk or GVK(key.group, "", key.kind)
            if not wanted.version:
                resource = (await self._client.discovery()).preferred(key.group, key.kind)
                if resource is None:
                    return None
                wanted = resource.gvk
        version = record.resource_version if record is not None else ""
        kept = self._conversions.get(key, wanted, version)
        if kept is not None:
            manifest = orjson.loads(kept)
            return manifest if isinstance(manifest, dict) else None
        try:
            manifest = await self._client.get(wanted, key.namespace, key.name)
        except NotFound:
            return None
        self._conversions.keep(key, wanted, manifest)
        return manifest

    def _follower_of(self, key: ResourceKey) -> Follower | None:
        for namespace in ("", key.namespace):
            found = self._followers.get((key.group_kind, namespace))
            if found is not None:
                return found[0]
        return None

    def note_write(self, manifest: Manifest) -> None:
        """Take the answer to a write of ours. Whoever wrote looks at the result himself, so there is
        no change for his application; one is reported if the object left another's."""
        key = key_of(manifest)
        follower, reader = self._follower_of(key), self._readers.get(key.group_kind)
        if follower is None or reader is None or gvk_of(manifest) != reader.resource.gvk:
            return  # not followed, or written in another version: the watch will tell
        if not (manifest.get("metadata") or {}).get("resourceVersion"):
            return
        record = reader.manifest_record(manifest)
        old = self._store.get(key)
        if old is None and follower.version and is_stale(record.resource_version, follower.version):
            return  # deleted since, and the watch has told so
        if old is not None and is_stale(record.resource_version, old.resource_version):
            return
        new = self._store.put(record)
        if old is not None and old.app_instance and old.app_instance != new.app_instance:
            self._emit(old, new, {old.app_instance})


_NOBODY = LiveObject(ResourceKey("", "", "", ""), "", "", "")


def _is_irrelevant(old: LiveObject, new: LiveObject) -> bool:
    """An update that is nobody's business: the same hash and health status
    (health-and-resources.md 7.3)."""
    before, after = old.details, new.details
    if not before.update_digest or before.update_digest != after.update_digest:
        return False
    if old.uid != new.uid or old.app_instance != new.app_instance:
        return False
    return (before.health and before.health.status) == (after.health and after.health.status)


class _KindSink:
    """The follower's view of the cache."""

    def __init__(self, cache: ClusterCache, resource: ApiResource) -> None:
        self._cache = cache
        self._kind = resource.group_kind
        self._version = resource.version

    def seen(self, record: LiveObject) -> None:
        self._cache._seen(record)

    def gone(self, key: ResourceKey, version: str, uid: str) -> None:
        self._cache._gone(key, version, uid)

    def known(self, namespace: str) -> dict[ResourceKey, str]:
        records = self._cache._store.of_kind(self._kind, namespace)
        # Records of another API version (the preferred one changed) must be read again.
        return {
            record.key: record.resource_version if record.version == self._version else ""
            for record in records
        }
