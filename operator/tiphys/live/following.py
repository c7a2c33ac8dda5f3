"""One kind of one cluster: list, then watch, for ever.

The state is one resourceVersion. Empty: list by pages and compare with what is known. Set: watch
from there; every event and bookmark moves it on. A stream that ends, breaks or falls silent is
opened again from the last version, which costs one request and loses nothing. 410 (or a server whose
history is younger than ours) empties it. Failures wait with a back-off of this kind alone; what the
server says is the kind's ``problem`` until a list succeeds again. Nothing that happens here reaches
another kind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.kube.discovery import ApiResource
from tiphys.kube.errors import ApiError, ClusterUnreachable, Forbidden, Gone, NotFound
from tiphys.live.outage import Backoff, Outage
from tiphys.live.reading import KindReader
from tiphys.live.records import LiveObject
from tiphys.live.views import MetaView
from tiphys.resources.identity import GroupKind, ResourceKey

SLICE = 50
"""Objects handled between two turns of the event loop."""

SHORT_WATCH_SECONDS = 2.0
"""A watch that ends sooner, without an event, is a failure: the server is not well."""

PATIENCE = 3
"""Refusals of a watch in a row before a kind that was listed counts as unreadable."""

State = Literal["new", "listing", "watching", "waiting", "missing", "denied"]


class Sink(Protocol):
    """Where a follower puts what it learns."""

    def seen(self, record: LiveObject) -> None:
        """The object is like this."""
        ...

    def gone(self, key: ResourceKey, version: str, uid: str) -> None:
        """The object was deleted at ``version`` (``uid`` empty: whichever it was)."""
        ...

    def has(self, namespace: str, name: str, version: str) -> bool:
        """Whether an object of this kind is stored as of ``version`` or later."""
        ...

    def known(self, namespace: str) -> dict[ResourceKey, str]:
        """What is stored of this kind in the follower's scope: key → resourceVersion."""
        ...


class Times(msgspec.Struct, frozen=True):
    """Seconds that tests make short."""

    watch: float = 290.0
    idle: float = 100.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    missing: float = 5.0


class Follower:
    """See the module's story. ``run()`` until cancelled.

    Attributes:
        settled: the first list succeeded or failed; nobody needs to wait for it any more.
        problem: why the kind cannot be read, ``""`` if it can.
    """

    def __init__(
        self,
        client: ClusterClient,
        resource: ApiResource,
        namespace: str,
        reader: KindReader,
        sink: Sink,
        outage: Outage,
        lists: asyncio.Semaphore,
        *,
        times: Times = Times(),  # noqa: B008 (frozen)
        on_state: Callable[["Follower"], None],
        on_denied: Callable[["Follower"], Awaitable[bool]],
        log_bug: Callable[["Follower", Exception], None],
        on_batch: Callable[[GroupKind, int, float], None] = lambda kind, count, seconds: None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.version = ""
        self.state: State = "new"
        self.problem = ""
        self.settled = False
        self.listed = False
        self.lists = 0
        self.events = 0
        self._refusals = 0
        self._client = client
        self._reader = reader
        self._sink = sink
        self._outage = outage
        self._list_slots = lists
        self._times = times
        self._backoff = Backoff(times.first_pause, times.longest_pause)
        self._on_state = on_state
        self._on_denied = on_denied
        self._log_bug = log_bug
        self._on_batch = on_batch
        self._hurry = asyncio.Event()
        self._objects = 0  # told by events so far (bookmarks tell none)

    async def run(self) -> None:
        """Follow until cancelled, or until ``on_denied`` says to leave it."""
        while True:
            try:
                if not self.version:
                    await self._list()
                await self._watch()
            except Gone:
                self.version = ""
                await self._pause("waiting")
            except NotFound as error:
                # The kind went away (its CRD was deleted). Discovery will end this follower.
                self.version = ""
                self._fail(error, "missing")
                await self._pause("missing", self._times.missing)
            except Forbidden as error:
                if await self._on_denied(self):
                    self._move("denied", settled=True)
                    return
                self._fail(error, "waiting")
                await self._pause("waiting")
            except ApiError as error:
                if _is_too_new(error):  # the server's history began anew (restored from a backup)
                    self.version = ""
                self._fail(error, "waiting")
                await self._pause("waiting", error.retry_after or 0.0)
            except ClusterUnreachable as error:
                # The cluster is away: wait with the others. But if it answers and only this list
                # breaks, again and again, nobody shall wait for this kind.
                self._refusals += 1
                if not self.listed and self._refusals >= PATIENCE:
                    self.problem = error.why
                    self.settled = True
                self._move("waiting")
                await self._outage.wait(str(error))
            except Exception as error:  # a bug, or an answer beyond understanding: this kind only
                self.version = ""
                self.problem = f"{type(error).__name__}: {error}"
                self._log_bug(self, error)
                self._move("waiting", settled=True)
                await self._pause("waiting")

    async def _list(self) -> None:
        async with self._list_slots:
            self._move("listing")
            self.lists += 1
            before = self._sink.known(self.namespace)
            listed: set[ResourceKey] = set()
            version = ""

            def is_known(meta: MetaView) -> bool:
                key = ResourceKey(self.resource.group, self.resource.kind, meta.namespace, meta.name)
                listed.add(key)
                return before.get(key) == meta.resource_version

            pages = self._client.list_pages(
                self.resource, self.namespace, metadata_only=self._reader.metadata_only
            )
            async for body in pages:
                page = self._reader.page(body)
                version = version or page.metadata.resource_version
                records = self._reader.page_records(page, is_known)
                for start in range(0, len(records), SLICE):
                    for record in records.slice(start, SLICE):
                        self._sink.seen(record)
                    await asyncio.sleep(0)
            # Known, but not in the list; also what we wrote while it was on its way, unless that is newer.
            for key in self._sink.known(self.namespace).keys() - listed:
                self._sink.gone(key, version, "")
        self.version = version
        self.listed = True
        self.problem = ""
        self._refusals = 0
        self._move("watching", settled=True)

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        started, events = clock(), self.events
        self._move("watching")
        stream = self._client.watch(
            self.resource,
            self.namespace,
            self.version,
            metadata_only=self._reader.metadata_only,
            seconds=self._times.watch,
            idle_seconds=self._times.idle,
        )
        async with stream as batches:
            with self._well_if_it_lasts():
                async for lines in batches:
                    begin, before = clock(), self._objects
                    for index, line in enumerate(lines):
                        self._take(line)
                        if index % SLICE == SLICE - 1:
                            await asyncio.sleep(0)
                    self._well()
                    if self._objects > before:
                        count = self._objects - before
                        self._on_batch(self.resource.group_kind, count, clock() - begin)
                    await asyncio.sleep(0)
        if events == self.events and clock() - started < SHORT_WATCH_SECONDS:
            await self._pause("waiting")
        else:
            self._well()

    def _take(self, line: bytes) -> None:
        event = self._reader.event(line)
        meta = event.object.metadata
        self.events += 1
        if event.type == "DELETED":
            key = ResourceKey(self.resource.group, self.resource.kind, meta.namespace, meta.name)
            self._sink.gone(key, meta.resource_version, meta.uid)
            self._objects += 1
        elif event.type in ("ADDED", "MODIFIED"):
            # The event of a write of ours, mostly: its answer was taken in before.
            if not self._sink.has(meta.namespace, meta.name, meta.resource_version):
                self._sink.seen(self._reader.event_record(event, line))
            self._objects += 1
        if meta.resource_version:
            self.version = meta.resource_version

    def _fail(self, error: ApiError, state: State) -> None:
        self._refusals += 1
        # With a list in hand and a version to go on from, one refused watch is no trouble yet.
        if not self.version or self._refusals >= PATIENCE:
            self.problem = error.message
            if isinstance(error, Forbidden):
                self.problem += f"; {_cure(self.namespace)}"
        self._move(state, settled=True)

    def _well(self) -> None:
        """The stream works: forget its troubles."""
        self._backoff.reset()
        self._refusals = 0
        if self.problem:
            self.problem = ""
            self._move("watching")

    @contextmanager
    def _well_if_it_lasts(self) -> Iterator[None]:
        """A stream may be silent for a minute and yet be well."""
        timer = asyncio.get_running_loop().call_later(SHORT_WATCH_SECONDS, self._well)
        try:
            yield
        finally:
            timer.cancel()

    async def _pause(self, state: State, at_least: float = 0.0) -> None:
        if self.state != state:
            self._move(state)
        self._hurry.clear()
        try:
            async with asyncio.timeout(self._backoff.take(at_least)):
                await self._hurry.wait()
        except TimeoutError:
            pass

    def hurry(self) -> None:
        """Something changed that may cure the kind (its CRD, say): try again now."""
        self._backoff.reset()
        self._hurry.set()

    def _move(self, state: State, *, settled: bool = False) -> None:
        self.state = state
        self.settled = self.settled or settled
        self._on_state(self)


def _cure(namespace: str) -> str:
    """What to do about a kind that may not be listed."""
    grant = (
        f"grant get, list and watch by a RoleBinding in namespace {namespace}"
        if namespace
        else "grant get, list and watch by a ClusterRoleBinding, restrict the cluster's Secret to namespaces"
    )
    return f"{grant}, or leave the kind out (resource.exclusions, resource.respectRBAC in argocd-cm)"


def _is_too_new(error: ApiError) -> bool:
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "ResourceVersionTooLarge" for cause in causes)
