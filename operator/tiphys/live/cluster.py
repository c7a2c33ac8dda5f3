"""The live cache of one cluster: what runs, and the questions reconciling asks.

Three parts make it: a follower for each kind (``followers``), which lists and watches; the records
(``objects``), which tell changes to ``on_change`` (a function that must not block) once the first
lists are done; and, here, the answers. What a change means is not decided here. Answers to own
writes come in through ``note_write``, so that a reconcile right after a sync sees what it wrote;
whichever of the write's answer and the watch event is newer stays.

``on_rules`` is told when the API server may make something else of a write than before: what was
learnt by dry runs does not hold any more.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
import orjson

from tiphys.health.model import Health
from tiphys.kube.client import ClusterClient
from tiphys.kube.discovery import Discovery
from tiphys.kube.errors import ApiError, ClusterUnreachable, NotFound
from tiphys.live.depth import API_SERVICE, CRD, MUTATING_KINDS
from tiphys.live.followers import Followers, ResourceFilter
from tiphys.live.following import Follower, Times
from tiphys.live.notes import Notes
from tiphys.live.objects import Objects
from tiphys.live.outage import Outage
from tiphys.live.reading import KindReader, Reading, Tracking
from tiphys.live.records import Change, LiveObject, is_stale
from tiphys.live.scope import OutOfScope, Scope
from tiphys.live.tree import hosts, resource_tree, summarize, walk
from tiphys.resources.identity import GVK, GroupKind, Manifest, ResourceKey, gvk_of, key_of
from tiphys.resources.messages.trees import HostInfo, ResourceNode
from tiphys.resources.status import ApplicationSummary
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)


class KindUnavailable(ApiError):
    """The live objects of a kind cannot be read now; ``kind`` and the server's reason."""

    def __init__(self, kind: GroupKind, why: str) -> None:
        super().__init__(500, "KindUnavailable", f"failed to load initial state of resource {kind}: {why}")
        self.kind = kind


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
        on_rules: told the API group whose writes may come out differently; ``None``: all.
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
        update_digest: Callable[[GroupKind, Manifest, bool], int] | None = None,
        custom_labels: tuple[str, ...] = (),
        respect_rbac: str = "",
        times: Times = Times(),  # noqa: B008 (frozen)
        clock: Callable[[], float] = time.time,
        on_batch: Callable[[GroupKind, int, float], None] = lambda kind, count, seconds: None,
        on_rules: Callable[[str | None], None] = lambda group: None,
    ) -> None:
        self.server = server or client.server
        self._client = client
        self._clock = clock
        self._on_rules = on_rules
        self._scope = Scope(namespaces, cluster_resources)
        self._objects = Objects(self.server, on_change, self._record_changed)
        self._store = self._objects.store
        self._notes = Notes(self.note_write)
        self._objects.settle = self._notes.settle
        self._outage = Outage(client)
        reading = Reading(tracking, assess, custom_labels=custom_labels)
        if update_digest is not None:
            reading = msgspec.structs.replace(reading, update_digest=update_digest)
        self._reading = reading
        self._followers = Followers(
            client,
            reading,
            self._objects,
            self._outage,
            server=self.server,
            scope=self._scope,
            resource_filter=resource_filter,
            respect_rbac=respect_rbac,
            times=times,
            on_state=self._state_moved,
            on_version=lambda: self._on_rules(None),
            on_batch=on_batch,
        )
        self._synced_at: float | None = None
        self._error = ""
        self._news = asyncio.Event()

    # Running

    async def run(self) -> None:
        """Keep the cache current until cancelled. Reports trouble in ``state`` and ``problems``."""
        self._error = ""
        try:
            await self._followers.run()
        finally:
            if self._synced_at is None:  # whoever waits for the first lists waits in vain
                self._error = self._trouble() or "the cache was closed"
                self._news.set()

    async def wait_synced(self) -> None:
        """Return when the first list of every kind succeeded or failed.

        Raises:
            ClusterUnreachable: the last attempt to reach the cluster failed; it goes on trying.
        """
        while self._synced_at is None:
            why = self._trouble()
            if why:
                raise ClusterUnreachable(self.server, why)
            self._news.clear()
            await self._news.wait()

    def relist(self) -> None:
        """List every kind again (a user asked for it); what changed is reported as changes."""
        self._followers.relist()

    def _trouble(self) -> str:
        return self._followers.error or self._error or self._outage.why

    def _state_moved(self, _: Follower | None) -> None:
        """A follower's state moved: the first lists may be done by it."""
        self._news.set()  # waiters run after this function
        everything = list(self._followers)
        if self._synced_at is not None or not everything or not all(each.settled for each in everything):
            return
        if not any(each.listed for each in everything):
            first = next((each for each in everything if each.problem), everything[0])
            self._error = self._outage.why or (
                f"failed to load initial state of resource {first.resource.group_kind}: {first.problem}"
            )
            return
        self._error = ""
        self._synced_at = self._clock()
        self._objects.telling = True
        problems = {str(kind): why for kind, why in self.problems.items()}
        log.info(
            "live cache is synced",
            extra={"server": self.server, "objects": len(self._store), "problems": problems},
        )

    def _record_changed(self, key: ResourceKey) -> None:
        """Some objects change what the cluster serves, or what becomes of writes."""
        kind = key.group_kind
        if kind in (CRD, API_SERVICE):
            self._followers.definition_changed()
        if self._synced_at is None:
            return
        if kind == CRD:
            self._on_rules(key.name.partition(".")[2])  # CRDs are named <plural>.<group>
        elif kind in MUTATING_KINDS:
            self._on_rules(None)

    # Questions

    @property
    def problems(self) -> Mapping[GroupKind, str]:
        """Kinds whose objects cannot be read now, and why."""
        return {
            follower.resource.group_kind: follower.problem for follower in self._followers if follower.problem
        }

    def problem_of(self, key: ResourceKey) -> str:
        """Why objects of this kind in this namespace cannot be read now, ``""`` if they can."""
        follower = self._followers.of(key)
        return "" if follower is None else follower.problem

    @property
    def state(self) -> CacheState:
        """Version, counts, last sync."""
        return CacheState(
            server=self.server,
            version=self.discovery.version if self.discovery is not None else "",
            resources=len(self._store),
            kinds=len({follower.resource.group_kind for follower in self._followers}),
            synced_at=self._synced_at,
            error=self._trouble(),
        )

    @property
    def discovery(self) -> Discovery | None:
        """What the cluster serves, as last read; ``None`` before the first time."""
        return self._followers.discovery

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

    def families(
        self, roots: Iterable[ResourceKey], permitted: Callable[[LiveObject], bool]
    ) -> list[LiveObject]:
        """Records of the roots that exist and of all their descendants, each once; what is not
        permitted is left out with all below it."""
        return walk(self._store, roots, permitted)

    def tree(
        self,
        roots: Iterable[ResourceKey],
        permitted: Callable[[LiveObject], bool] = lambda record: True,
    ) -> list[ResourceNode]:
        """The roots that exist with all their descendants, as nodes of the API, sorted by key
        (health-and-resources.md 9.2). What is not permitted is left out with its subtree."""
        return resource_tree(self._store, roots, permitted)

    def summary(
        self, roots: Iterable[ResourceKey], permitted: Callable[[LiveObject], bool]
    ) -> ApplicationSummary:
        """Images and URLs of the roots that exist and of all their descendants; what is not permitted is
        left out with its subtree, as in the tree."""
        return summarize(self._store, roots, permitted)

    def hosts(self, nodes: Iterable[ResourceNode], allowed_labels: frozenset[str]) -> list[HostInfo]:
        """The Kubernetes nodes that run Pods of a tree (health-and-resources.md 9.4)."""
        return hosts(self._store, nodes, allowed_labels)

    def is_watched(self, kind: GroupKind) -> bool:
        """Whether objects of the kind are followed (not excluded, not denied)."""
        return any(
            follower.resource.group_kind == kind and follower.state != "denied"
            for follower in self._followers
        )

    def check_scope(self, key: ResourceKey, namespaced: bool) -> str:
        """Why ``key`` is outside of a namespaced cluster, ``""`` if it is inside
        (health-and-resources.md 6.4)."""
        return self._scope.why_outside(key, namespaced)

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
            follower = self._followers.of(key)
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
        kept = self._objects.conversions.get(key, wanted, version)
        if kept is not None:
            manifest = orjson.loads(kept)
            return manifest if isinstance(manifest, dict) else None
        try:
            manifest = await self._client.get(wanted, key.namespace, key.name)
        except NotFound:
            return None
        self._objects.conversions.keep(key, wanted, manifest)
        return manifest

    def would_know(self, key: ResourceKey) -> bool:
        """Whether the object is surely not there when there is no record of it: its kind is followed,
        or is not served at all."""
        follower = self._followers.of(key)
        if follower is not None and follower.state != "denied":
            return not follower.problem
        return self.discovery is not None and self.discovery.preferred(key.group, key.kind) is None

    async def look_up(self, key: ResourceKey, gvk: GVK) -> LiveObject | None:
        """An object of a kind that is not followed, asked for now (health-and-resources.md 6.5): it can
        be compared and is in no tree. ``None``: it is not there, or its kind is followed or not served.

        Raises:
            ApiError, ClusterUnreachable: the GET failed.
        """
        resource = self.discovery.resource(gvk) if self.discovery is not None else None
        if resource is None or "get" not in resource.verbs or self.is_watched(key.group_kind):
            return None
        if self.check_scope(key, resource.namespaced):
            return None
        try:
            manifest = await self._client.get(gvk, key.namespace, key.name)
        except NotFound:
            return None
        return KindReader(resource, self._reading).manifest_record(manifest)

    def note_soon(self, manifest: Manifest) -> None:
        """:meth:`note_write`, within a fraction of a second or at the next :meth:`settle` (``notes``)."""
        self._notes.add(manifest)

    def settle(self) -> None:
        """Take in what :meth:`note_soon` was given; whoever wrote calls it before looking."""
        self._notes.settle()

    def note_gone(self, manifest: Manifest) -> None:
        """An object that we deleted went at once: whoever deleted it looks before the watch tells so."""
        self.settle()
        known = self._store.get(key_of(manifest))
        uid = (manifest.get("metadata") or {}).get("uid")
        if known is not None and uid and known.uid == uid:
            self._objects.remove(known.key)

    def note_write(self, manifest: Manifest) -> None:
        """Take the answer to a write of ours. Whoever wrote looks at the result himself, so there is
        no change for his application; one is reported if the object left another's."""
        key = key_of(manifest)
        follower, reader = self._followers.of(key), self._followers.reader(key.group_kind)
        if follower is None or reader is None or gvk_of(manifest) != reader.resource.gvk:
            return  # not followed, or written in another version: the watch will tell
        if follower.state == "denied":
            return  # nobody would keep it current
        version = (manifest.get("metadata") or {}).get("resourceVersion")
        if not version:
            return
        known = self._store.get(key)
        if known is not None and is_stale(version, known.resource_version):
            return  # the watch was faster
        if known is None and follower.version and is_stale(version, follower.version):
            return  # deleted since, and the watch has told so
        self._objects.take_write(reader.manifest_record(manifest))
