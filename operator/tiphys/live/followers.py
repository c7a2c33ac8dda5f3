"""One follower for every kind that is served, wanted and permitted.

``run()`` reads discovery, starts the followers, and keeps their set equal to what the cluster
serves: when a CRD or APIService changes, discovery is read again until what they promise is
there. A changed definition also makes the kinds that cannot be read try again at once.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from tiphys.kube.client import ClusterClient
from tiphys.kube.discovery import ApiResource, Discovery
from tiphys.kube.errors import KubeError
from tiphys.live.depth import API_SERVICE, CRD
from tiphys.live.following import Follower, Times
from tiphys.live.objects import KindSink, Objects
from tiphys.live.outage import Backoff, Outage
from tiphys.live.reading import KindReader, Reading
from tiphys.live.scope import Scope
from tiphys.live.store import Store
from tiphys.resources.identity import GroupKind, ResourceKey
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

LISTS_AT_ONCE = 12
DISCOVERY_SECONDS = 600.0
DEBOUNCE_SECONDS = 0.3
EXPECT_ATTEMPTS = 9
"""Times discovery is asked again for kinds that a CRD or an APIService promises (growing pauses, about
25 s)."""

Place = tuple[GroupKind, str]
"""A kind and the namespace it is followed in (``""``: everywhere)."""


class ResourceFilter(Protocol):
    """``settings.model.ResourceFilter``."""

    def is_excluded(self, group: str, kind: str, server: str, /) -> bool: ...


class Followers:
    """See the module's story.

    Args:
        server: the cluster as filters and the log name it.
        respect_rbac: ``resource.respectRBAC``: ``""``, ``normal`` or ``strict``.
        on_state: told when a follower's state moved, and (with ``None``) when the set is complete or
            the cluster cannot be read.
        on_version: told when the API server has another version than before, or is met first.

    Attributes:
        discovery: what the cluster serves, as last read; ``None`` before the first time.
        error: why discovery could not be read at first, ``""`` if it could.
    """

    def __init__(
        self,
        client: ClusterClient,
        reading: Reading,
        objects: Objects,
        outage: Outage,
        *,
        server: str,
        scope: Scope,
        resource_filter: ResourceFilter,
        respect_rbac: str,
        times: Times,
        on_state: Callable[[Follower | None], None],
        on_version: Callable[[], None],
        on_batch: Callable[[GroupKind, int, float], None],
    ) -> None:
        self.discovery: Discovery | None = None
        self.error = ""
        self._client = client
        self._reading = reading
        self._objects = objects
        self._outage = outage
        self._server = server
        self._scope = scope
        self._filter = resource_filter
        self._respect_rbac = respect_rbac
        self._times = times
        self._on_state = on_state
        self._on_version = on_version
        self._on_batch = on_batch
        self._running: dict[Place, tuple[Follower, asyncio.Task[None]]] = {}
        self._readers: dict[GroupKind, KindReader] = {}
        self._denied: set[GroupKind] = set()
        self._list_slots = asyncio.Semaphore(LISTS_AT_ONCE)
        self._stir = asyncio.Event()
        self._restart = False
        self._hurry = False

    def __iter__(self) -> Iterator[Follower]:
        return (follower for follower, _ in self._running.values())

    def at(self, kind: GroupKind, namespace: str = "") -> Follower | None:
        """The follower of a kind in a namespace (``""``: the one of all namespaces)."""
        found = self._running.get((kind, namespace))
        return None if found is None else found[0]

    def of(self, key: ResourceKey) -> Follower | None:
        """The follower that sees an object."""
        return self.at(key.group_kind) or self.at(key.group_kind, key.namespace)

    def reader(self, kind: GroupKind) -> KindReader | None:
        """How objects of a kind are read."""
        return self._readers.get(kind)

    def relist(self) -> None:
        """List every kind again."""
        for follower in self:
            follower.version = ""
        self._restart = True
        self._stir.set()

    def definition_changed(self) -> None:
        """A CRD or APIService came, changed or went."""
        self._hurry = True
        self._stir.set()

    async def run(self) -> None:
        """Keep the set right until cancelled."""
        self._running.clear()  # of a run before this one
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

    async def _first_discovery(self) -> Discovery:
        backoff = Backoff(0.5, 10.0)
        while True:
            try:
                discovery = await self._client.refresh_discovery()
            except KubeError as error:
                self.error = getattr(error, "why", "") or str(error)
                self._on_state(None)
                log.warning("cannot read the cluster", extra={"server": self._server, "error": self.error})
                await asyncio.sleep(backoff.take())
                continue
            self.error = ""
            return discovery

    async def _rediscover(self, tasks: asyncio.TaskGroup) -> None:
        """Follow discovery until it agrees with what the CRDs promise, or attempts run out."""
        pause = DEBOUNCE_SECONDS
        for _ in range(EXPECT_ATTEMPTS):
            await asyncio.sleep(pause)
            self._stir.clear()
            if self._restart:
                self._restart = False
                for _follower, task in self._running.values():
                    task.cancel()
                self._running.clear()
            try:
                self._align(await self._client.refresh_discovery(), tasks)
                self._hurry_on()
            except KubeError as error:
                log.warning("cannot refresh discovery", extra={"server": self._server, "error": str(error)})
            else:
                if self.discovery is not None and _promises_kept(self.discovery, self._objects.store):
                    return
            if not self._stir.is_set():
                pause = min(pause * 1.5, 6.0)

    def _hurry_on(self) -> None:
        """A definition changed: that may cure the kinds that cannot be read."""
        if self._hurry:
            self._hurry = False
            for follower in self:
                if follower.problem:
                    follower.hurry()

    def _align(self, discovery: Discovery, tasks: asyncio.TaskGroup) -> None:
        """Make the followers equal to what is served, wanted and permitted."""
        before, self.discovery = self.discovery, discovery
        wanted: dict[Place, ApiResource] = {}
        for resource in discovery.watchable():
            kind = resource.group_kind
            if kind in self._denied or self._filter.is_excluded(kind.group, kind.kind, self._server):
                continue
            for namespace in self._scope.places(resource):
                wanted[kind, namespace] = resource
        for place, (follower, task) in list(self._running.items()):
            if wanted.get(place) == follower.resource:
                continue
            if place not in wanted and follower.resource.api_version in discovery.failed_groups:
                continue  # the backend is down, the kind is not gone
            task.cancel()
            del self._running[place]
            if place not in wanted:
                self._forget(follower)
        for place, resource in wanted.items():
            if place not in self._running:
                follower = self._follower(resource, place[1])
                task = tasks.create_task(follower.run(), name=f"{self._server} {resource.label} {place[1]}")
                self._running[place] = (follower, task)
        if before is None or before.version != discovery.version:
            self._on_version()

    def _follower(self, resource: ApiResource, namespace: str) -> Follower:
        reader = self._readers.get(resource.group_kind)
        if reader is None or reader.resource != resource:
            reader = self._readers[resource.group_kind] = KindReader(resource, self._reading)
        return Follower(
            self._client,
            resource,
            namespace,
            reader,
            KindSink(self._objects, resource),
            self._outage,
            self._list_slots,
            times=self._times,
            on_state=self._follower_moved,
            on_denied=self._on_denied,
            log_bug=self._log_bug,
            on_batch=self._on_batch,
        )

    def _forget(self, follower: Follower) -> None:
        kind = follower.resource.group_kind
        for record in self._objects.store.of_kind(kind, follower.namespace):
            self._objects.remove(record.key)

    def _follower_moved(self, follower: Follower) -> None:
        if follower.state == "missing":
            self._stir.set()
        self._on_state(follower)

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
            extra={"server": self._server, "resource": follower.resource.label},
            exc_info=error,
        )


def _promises_kept(discovery: Discovery, store: Store) -> bool:
    """Whether what is served agrees with the CRDs and with the APIServices that are available."""
    for service in store.of_kind(API_SERVICE):
        for gvk in service.details.serves:
            if service.details.established and not discovery.knows_version(gvk.api_version):
                return False  # another server answers now; its kinds come a moment later
    crds = store.of_kind(CRD)
    for crd in crds:
        details = crd.details
        if details.established and not crd.deletion_timestamp:
            for gvk in details.serves:
                if discovery.resource(gvk) is None:
                    return False
    promised = {gvk for crd in crds for gvk in crd.details.serves}
    groups = {gvk.group for gvk in promised}
    # A kind that is served though its CRD is gone: discovery is late. (Groups that no CRD knows
    # belong to other API servers.)
    served = (each.gvk for each in discovery.resources if each.group in groups)
    return all(gvk in promised for gvk in served)
