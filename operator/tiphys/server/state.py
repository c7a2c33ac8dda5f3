"""What the API's methods work with, put together once by the composition root.

Everything a method may reach is a field here: caches of our own kinds, settings, the control cluster,
access decisions, and :class:`Live`, the only way to what the controllers know of destination clusters
(in the same process, or over the network when the server is a Deployment of its own).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from tiphys.handlers.watching import Taker
from tiphys.kube.client import ClusterClient
from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.identity import AppKey, Manifest, ResourceKey
from tiphys.resources.messages.clusters import ClusterInfo
from tiphys.resources.messages.trees import ApplicationTree, ResourceDiff
from tiphys.resources.project import AppProject
from tiphys.settings.clusters import Cluster
from tiphys.settings.model import Settings
from tiphys.settings.store import SettingsStore
from tiphys.sources.git.store import GitStore
from tiphys.sources.rendering import Renderer


class Live(Protocol):
    """What the controllers know of live objects."""

    async def tree(self, app: Application) -> ApplicationTree | None:
        """The resource tree (health-and-resources.md 9); None: not known (yet)."""

    async def managed_resources(
        self, app: Application, *, keys: Sequence[ResourceKey] | None = None
    ) -> tuple[ResourceDiff, ...] | None:
        """Targets and live objects with their differences, Secrets masked, hooks included
        (health-and-resources.md 10); ``keys`` limits the work to some of them. None: not known (yet)."""

    def changes(self, key: AppKey) -> AsyncIterator[None]:
        """One item after each change of an application's tree or managed resources; items may be
        joined when the consumer is slow."""

    async def cluster_info(self, server: str) -> ClusterInfo:
        """Connection state, version and counts of a cluster (health-and-resources.md 13)."""


class State(msgspec.Struct, frozen=True, eq=False):
    """See the module.

    Attributes:
        client: the control cluster, as ourselves.
        git, renderer: the sources; shared with the controllers of this process.
        connect: a client for a destination cluster (kept and shared; never to be closed by a method).
        live: what the controllers know.
        clock: the present moment (aware, UTC).
        takers: who is told of objects of our own kinds, by plural name (the controllers of this process,
            else the stores).
    """

    namespace: str
    client: ClusterClient
    settings_store: SettingsStore
    apps: Store[Application]
    projects: Store[AppProject]
    appsets: Store[ApplicationSet]
    connect: Callable[[Cluster], Awaitable[ClusterClient]]
    live: Live
    git: GitStore
    renderer: Renderer
    clock: Callable[[], datetime]
    takers: Mapping[str, Taker] = {}

    def take(self, plural: str, answer: Manifest) -> None:
        """Take in the answer of a write of ours, so that reads see it at once.

        Never put it into a store yourself: the watch event of the write is then no news any more, and
        the controllers would not learn of it.

        Args:
            plural: ``applications``, ``appprojects`` or ``applicationsets``.
        """
        taker = self.takers.get(plural)
        if taker is not None:
            taker.seen(answer)
        else:
            self._store(plural).put(answer)

    def forget(self, plural: str, key: AppKey, uid: str) -> None:
        """An object that is gone after a deletion of ours; as :meth:`take`."""
        taker = self.takers.get(plural)
        if taker is not None:
            taker.gone(key, uid)
        else:
            self._store(plural).delete(key, uid)

    def _store(self, plural: str) -> Store[Any]:
        stores: Mapping[str, Store[Any]] = {
            "applications": self.apps,
            "appprojects": self.projects,
            "applicationsets": self.appsets,
        }
        return stores[plural]

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self.settings_store.snapshot
