"""The watches over our own kinds and over the settings, run by Kopf.

Two registries, since their reach differs: the settings live in the control-plane namespace only,
Applications may live in others. An exception in a Kopf event handler would silently end the flow of
events for its object, so nothing gets out of :func:`_guarded`; a watch whose task dies ends
:meth:`Watching.run` with the error, and the whole process with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import aiohttp
import kopf
import msgspec

from tiphys.handlers.echoes import Known, listening
from tiphys.handlers.forgetting import NothingRemembered
from tiphys.handlers.liveness import Liveness
from tiphys.kube.connections import Connection
from tiphys.resources.identity import AppKey, Manifest, ResourceKey
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

GROUP, VERSION = "argoproj.io", "v1alpha1"
WORKER_LIMIT = 16
PAGE = 500
SILENCE = 150.0
"""Bookmarks come every minute; a stream silent for so many seconds is taken for half-open."""
KINDS = ("applications", "applicationsets", "appprojects", "configmaps", "secrets")
SPREAD = ("applications", "applicationsets")
"""Kinds that may live in other namespaces than the control plane's."""


class Taker(msgspec.Struct, frozen=True):
    """What is done with the objects of one of our kinds.

    Attributes:
        seen: told of an object that is there, in its newest state.
        gone: told the key and uid of an object that is not.
    """

    seen: Callable[[Manifest], Any]
    gone: Callable[[AppKey, str], Any]


class SettingsSink(Protocol):
    """What takes in the objects of the settings."""

    def put(self, manifest: Manifest) -> None: ...
    def delete(self, key: ResourceKey, uid: str = "") -> None: ...


class Watching:
    """Runs the watches until cancelled.

    Args:
        connection: to the control cluster.
        control_namespace: where projects and settings live.
        everywhere: watch Applications and ApplicationSets in all namespaces.
        takers: what takes each of our kinds, by plural name.
        known: by plural name, whether an object is held already (:mod:`tiphys.handlers.echoes`).
        on_gap: told the plural name of a kind whose deletions may have been missed.
        on_started: called when Kopf is up (it has taken the signals of the process then).
    """

    def __init__(
        self,
        connection: Connection,
        control_namespace: str,
        *,
        everywhere: bool,
        takers: Mapping[str, Taker],
        settings: SettingsSink,
        known: Mapping[str, Known],
        on_gap: Callable[[str], None],
        on_started: Callable[[], None] = lambda: None,
    ):
        self._connection = connection
        self._namespace = control_namespace
        self._everywhere = everywhere
        self._takers = takers
        self._settings = settings
        self._known = known
        self.on_started = on_started
        self.liveness = Liveness(KINDS, on_gap)

    async def run(self) -> None:
        """Watch until cancelled; raises what ended a watch."""
        home = kopf.OperatorRegistry()
        apps = kopf.OperatorRegistry() if self._everywhere else home
        self._register_settings(home)
        self._register_kind(home, "appprojects")
        for plural in SPREAD:
            self._register_kind(apps, plural)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._operate(home, namespaces=[self._namespace]))
            if apps is not home:
                tasks.create_task(self._operate(apps, clusterwide=True))

    async def _operate(self, registry: kopf.OperatorRegistry, **reach: Any) -> None:
        connection = self._connection

        @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
        async def login(**_: Any) -> kopf.AiohttpSession:
            # Called again when the server says 401: a rotated token is read anew.
            authorization, context = await connection.authorize()
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=context if context is not None else False),
                headers={"Authorization": authorization} if authorization else {},
                proxy=connection.proxy or None,
                trace_configs=[self.liveness.tracing()],
                response_class=listening(self._known),
            )
            return kopf.AiohttpSession(
                server=connection.server,
                aiohttp_session=session,
                default_namespace=self._namespace,
            )

        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=operator_settings(),
            standalone=True,
            stop_flag=asyncio.Event(),
            **reach,
        )
        self.on_started()
        await kopf.run_tasks(tasks, ignored=EverybodyElse())
        raise RuntimeError("the watch of our own kinds ended")

    def _register_kind(self, registry: kopf.OperatorRegistry, plural: str) -> None:
        @kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)
        @_guarded
        def on_event(event: Any, **_: Any) -> None:
            manifest, taker = event["object"], self._takers[plural]
            if event["type"] == "DELETED":
                taker.gone(_key(manifest), manifest["metadata"].get("uid", ""))
            else:
                taker.seen(manifest)

    def _register_settings(self, registry: kopf.OperatorRegistry) -> None:
        for kind, plural in (("ConfigMap", "configmaps"), ("Secret", "secrets")):

            @kopf.on.event("", "v1", plural, registry=registry, id=f"settings-{plural}")
            @_guarded
            def on_settings(event: Any, kind: str = kind, **_: Any) -> None:
                manifest = {**event["object"], "apiVersion": "v1", "kind": kind}
                if event["type"] == "DELETED":
                    namespace, name = _key(manifest)
                    uid = manifest["metadata"].get("uid", "")
                    self._settings.delete(ResourceKey("", kind, namespace, name), uid)
                else:
                    self._settings.put(manifest)


def operator_settings() -> kopf.OperatorSettings:
    """How Kopf watches for us: without a trace in users' objects, and without power over the process."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = NothingRemembered()
    settings.scanning.disabled = True
    settings.queueing.worker_limit = WORKER_LIMIT
    settings.queueing.idle_timeout = 0.5
    settings.watching.chunk_size = PAGE
    settings.watching.inactivity_timeout = SILENCE
    settings.execution.max_workers = 1
    # Otherwise Kopf kills the process ten minutes after a watch ended, whatever else runs in it by then.
    settings.process.ultimate_exiting_timeout = None
    return settings


class EverybodyElse(frozenset[Any]):
    """Tasks that are not Kopf's to end: all that it did not begin with.

    When it stops, Kopf takes every task that is younger than itself for one of its own, cancels it and
    waits for it: calls of the API, live caches, whoever ends the process. Its own sub-tasks end with
    the tasks that began them.
    """

    def __contains__(self, task: object) -> bool:
        return True


def _key(manifest: Manifest) -> AppKey:
    metadata = manifest["metadata"]
    return AppKey(metadata.get("namespace") or "", metadata["name"])


def _guarded(handler: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    """The handler, with whatever it raises logged and kept from Kopf."""

    # Without functools.wraps: Kopf looks through it, sees a plain function, and never awaits.
    async def safe(**kwargs: Any) -> None:
        try:
            handler(**kwargs)
        except Exception:
            name = kwargs["event"]["object"].get("metadata", {}).get("name", "")
            log.exception("an event was not taken in", extra={"name_of_object": name})

    return safe
