"""What every role stands on: the connection, parameters, settings, our own kinds, the sources.

:func:`lay` builds it, :meth:`Foundation.read` fills it once, :meth:`Foundation.parts` keeps it current.
A role that wants to decide what is done with our own kinds (the controller) puts its own takers in
place before :meth:`Foundation.read`; otherwise they only go into the stores.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tiphys.handlers.resync import Held, Resync
from tiphys.handlers.starting import (
    command_parameters,
    ensure_default_project,
    held_keys,
    held_settings,
    read_settings,
    take_in,
)
from tiphys.handlers.watching import Taker, Watching
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import Connection, from_kubeconfig, in_cluster
from tiphys.kube.errors import ConnectionSettingsError
from tiphys.reconcile.measuring import RequestMeter
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unknown import unknown_of
from tiphys.resources import applicationset as sets_kind
from tiphys.resources import project as projects_kind
from tiphys.resources.application import Application, decode
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.identity import GVK
from tiphys.resources.project import AppProject
from tiphys.settings.model import Settings
from tiphys.settings.params import ParamProblem, Params
from tiphys.settings.rows import CONTROLLER, SERVER
from tiphys.settings.store import PARAMS, SettingsChange, SettingsStore
from tiphys.sources.git.access import Trust
from tiphys.sources.git.store import GitStore
from tiphys.sources.options import git_options, render_options
from tiphys.sources.rendering import Renderer
from tiphys.telemetry.logs import configure, get_logger
from tiphys.telemetry.metrics import AppSample, ClusterSample, ControllerMetrics
from tiphys.telemetry.redaction import Redactor

log = get_logger(__name__)

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")
APPLICATION_SET = GVK("argoproj.io", "v1alpha1", "ApplicationSet")
PROJECT = GVK("argoproj.io", "v1alpha1", "AppProject")
STOP_SECONDS = 4.0
MAINTENANCE_SECONDS = 600.0

Parts = dict[str, "asyncio._CoroutineLike[None]"]
"""What runs until the process ends, by name."""


class RunOptions(msgspec.Struct, frozen=True):
    """What the command line decides.

    Attributes:
        kubeconfig: file of the control cluster; None: in-cluster configuration.
        cache: folder for mirrors and checkouts; may be deleted at any time.
        flags: parameters given as flags (``--name`` → text).
        redact: keeps secrets out of the log; it is told those of the settings.
        environ: the process's environment.
        on_listening: told the port that each listener got, by the listener's name (a port of 0
            asks for a free one).
        clock, steady: what time it is, and the seconds of a clock that is never set.
    """

    namespace: str
    kubeconfig: Path | None
    cache: Path
    flags: Mapping[str, str]
    environ: Mapping[str, str]
    roles: tuple[str, ...] = (CONTROLLER, SERVER)
    redact: Redactor = msgspec.field(default_factory=Redactor)
    on_listening: Callable[[str, int], None] = lambda name, port: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    steady: Callable[[], float] = time.monotonic


class Samples(msgspec.Struct):
    """What the metrics show of the present; a role puts its own in place."""

    apps: Callable[[], Iterable[AppSample]] = lambda: ()
    clusters: Callable[[], Iterable[ClusterSample]] = lambda: ()


class Foundation(msgspec.Struct, eq=False, kw_only=True):
    """See the module.

    Attributes:
        takers: what is done with each object of our own kinds, by plural name.
        on_started: called when the watches are up.
    """

    options: RunOptions
    connection: Connection
    client: ClusterClient
    settings: SettingsStore
    apps: Store[Application]
    projects: Store[AppProject]
    appsets: Store[ApplicationSet]
    git: GitStore
    renderer: Renderer
    metrics: ControllerMetrics
    samples: Samples
    watching: Watching
    resync: Resync
    takers: dict[str, Taker]
    reach: str
    """Where Applications are watched: a namespace, or ``""`` for everywhere."""

    @property
    def params(self) -> Params:
        """The parameters as they are now."""
        return self.settings.snapshot.params

    @property
    def on_started(self) -> Callable[[], None]:
        """Called when the watches are up."""
        return self.watching.on_started

    @on_started.setter
    def on_started(self, call: Callable[[], None]) -> None:
        self.watching.on_started = call

    async def read(self) -> None:
        """Our own kinds, once, projects first."""
        namespace = self.options.namespace
        await ensure_default_project(self.client, namespace)
        await take_in(self.client, PROJECT, namespace, self.takers["appprojects"].seen)
        await take_in(self.client, APPLICATION_SET, self.reach, self.takers["applicationsets"].seen)
        await take_in(self.client, APPLICATION, self.reach, self.takers["applications"].seen)

    def parts(self) -> Parts:
        """What keeps it current."""
        return {
            "watches": self.watching.run(),
            "resync": self.resync.run(),
            "maintenance": _maintain(self.git),
        }


async def lay(options: RunOptions, closing: AsyncExitStack) -> Foundation:
    """Build it; what must be closed goes on ``closing``."""
    connection = connect(options)
    namespace = options.namespace
    samples = Samples()
    metrics = ControllerMetrics(apps=lambda: samples.apps(), clusters=lambda: samples.clusters())
    meter = RequestMeter(metrics)
    client = ClusterClient(connection, on_sample=meter, on_begin=meter.begin)
    closing.push_async_callback(client.close)
    params, problems = Params.load(
        options.environ, await command_parameters(client, namespace), options.flags, options.roles
    )
    for problem in problems:
        if not problem.place.startswith(PARAMS):  # the store tells of those
            log.warning("parameter ignored: %s", problem)
    _show(params, metrics, options.redact, options.roles)

    def reload_params(data: Mapping[str, str]) -> tuple[Params, list[ParamProblem]]:
        now, problems = Params.load(options.environ, data, options.flags, options.roles)
        return now, [problem for problem in problems if problem.place.startswith(PARAMS)]

    settings = SettingsStore(namespace, params, reload_params=reload_params)
    _keep_secrets_out_of_logs(settings, options.redact)
    await read_settings(client, settings, namespace)

    apps: Store[Application] = Store(decode, unknown_of)
    projects: Store[AppProject] = Store(projects_kind.decode)
    appsets: Store[ApplicationSet] = Store(sets_kind.decode)
    git = GitStore(
        options.cache / "git", git_options(params, revision_cache_seconds=_revision_cache(settings))
    )
    renderer = Renderer(git, render_options(params, options.cache / "renders"))
    closing.push_async_callback(_close, renderer, git)
    _trust(settings, git, renderer)
    everywhere = bool(params.application_namespaces)
    reach = "" if everywhere else namespace
    takers = {
        "applications": _taker(apps),
        "applicationsets": _taker(appsets),
        "appprojects": _taker(projects),
    }
    resync = Resync(
        client,
        {
            "applications": Held(APPLICATION, reach, lambda: held_keys(apps), _gone(takers, "applications")),
            "applicationsets": Held(
                APPLICATION_SET, reach, lambda: held_keys(appsets), _gone(takers, "applicationsets")
            ),
            "appprojects": Held(
                PROJECT, namespace, lambda: held_keys(projects), _gone(takers, "appprojects")
            ),
            "configmaps": held_settings("ConfigMap", settings),
            "secrets": held_settings("Secret", settings),
        },
    )
    watching = Watching(
        connection,
        namespace,
        everywhere=everywhere,
        takers=takers,
        settings=settings,
        known={"applications": apps.holds, "applicationsets": appsets.holds, "appprojects": projects.holds},
        on_gap=resync.gaps.put_nowait,
    )

    def settings_changed(change: SettingsChange) -> None:
        _trust(settings, git, renderer)
        git.set_revision_cache(_revision_cache(settings))
        if "parameters" in change.areas:
            _show(change.new.params, metrics, options.redact, options.roles)
            if change.new.params.application_namespaces and not everywhere:
                log.warning("other namespaces (application.namespaces) are watched after a restart")

    settings.subscribe(settings_changed)
    return Foundation(
        options=options,
        connection=connection,
        client=client,
        settings=settings,
        apps=apps,
        projects=projects,
        appsets=appsets,
        git=git,
        renderer=renderer,
        metrics=metrics,
        samples=samples,
        watching=watching,
        resync=resync,
        takers=takers,
        reach=reach,
    )


def connect(options: RunOptions) -> Connection:
    """The connection of the control cluster."""
    if options.kubeconfig is not None:
        return from_kubeconfig(options.kubeconfig)
    try:
        return in_cluster()
    except ConnectionSettingsError:
        return from_kubeconfig()


def _taker(store: Store[Any]) -> Taker:
    def seen(manifest: Any) -> None:
        store.put(manifest)

    def gone(key: Any, uid: str) -> None:
        store.delete(key, uid)

    return Taker(seen, gone)


def _gone(takers: Mapping[str, Taker], plural: str) -> Callable[[Any, str], None]:
    return lambda key, uid: takers[plural].gone(key, uid)


async def _close(renderer: Renderer, git: GitStore) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await renderer.close()
            await git.close()
    except TimeoutError:
        log.warning("not everything could be closed within %.0f s", STOP_SECONDS)


def _show(params: Params, metrics: ControllerMetrics, redact: Redactor, roles: tuple[str, ...]) -> None:
    """What parameters say about logs and metrics; a process without controllers has the API server's
    levels (api.md 15)."""
    is_controller = CONTROLLER in roles
    configure(
        level=params.controller_log_level if is_controller else params.server_log_level,
        style=params.controller_log_format if is_controller else params.server_log_format,
        redact=redact,
        time_layout=params.log_format_timestamp,
    )
    metrics.show(
        app_labels=params.metrics_application_labels,
        app_conditions=params.metrics_application_conditions,
        cluster_labels=params.metrics_cluster_labels,
    )


def _keep_secrets_out_of_logs(settings: SettingsStore, redact: Redactor) -> None:
    def learn(snapshot: Settings) -> None:
        redact.learn("settings", snapshot.secret_values())

    settings.subscribe(lambda change: learn(change.new))
    learn(settings.snapshot)


def _revision_cache(settings: SettingsStore) -> float:
    """Seconds: the flag or variable, else the period of ``argocd-cm`` (sources.md 17.3)."""
    snapshot = settings.snapshot
    return snapshot.params.revision_cache_expiration or snapshot.reconciliation_timeout or 180.0


def _trust(settings: SettingsStore, git: GitStore, renderer: Renderer) -> None:
    """Whom repositories are believed to be, from now on."""
    snapshot = settings.snapshot
    git.set_trust(Trust(snapshot.ssh_known_hosts, snapshot.tls_certificates))
    renderer.charts.set_certificates(snapshot.tls_certificates)
    renderer.charts.set_revision_cache(_revision_cache(settings))


async def _maintain(git: GitStore) -> None:
    while True:
        await asyncio.sleep(MAINTENANCE_SECONDS)
        await git.maintain()
