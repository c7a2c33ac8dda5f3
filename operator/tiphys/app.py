"""The composition root: builds the rooms from options and runs the chosen roles.

Order of a start: connect, read the settings, read projects and Applications once (so that work can
begin with everything known), then start the watches, the workers and the port for metrics and
health. All of it runs in one task group: what dies takes the process with it, and Kubernetes
starts it anew; nothing is lost, since the state is in Kubernetes.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

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
from tiphys.handlers.watching import Watching
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import SERVICE_ACCOUNT, Connection, from_kubeconfig, in_cluster
from tiphys.kube.errors import ConnectionSettingsError
from tiphys.reconcile.clusters import ClusterPool
from tiphys.reconcile.comparison import Comparer
from tiphys.reconcile.connecting import Connecting
from tiphys.reconcile.controller import Controller
from tiphys.reconcile.desired import DesiredStates
from tiphys.reconcile.events import EventSender
from tiphys.reconcile.measuring import RequestMeter
from tiphys.reconcile.options import live_options
from tiphys.reconcile.picture import app_samples, cluster_samples, event_labels
from tiphys.reconcile.queue import WorkQueue
from tiphys.reconcile.services import Memory, Services
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unknown import unknown_of
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources import project as projects_kind
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import GVK, AppKey
from tiphys.resources.project import AppProject
from tiphys.settings.model import Settings
from tiphys.settings.params import ParamProblem, Params
from tiphys.settings.store import PARAMS, SettingsChange, SettingsStore
from tiphys.sources.git.access import Trust
from tiphys.sources.git.store import GitStore
from tiphys.sources.options import git_options, render_options
from tiphys.sources.rendering import Renderer
from tiphys.sync.engine import EngineOptions, SyncEngine
from tiphys.telemetry.http import make_app, serving
from tiphys.telemetry.logs import configure, get_logger
from tiphys.telemetry.metrics import ControllerMetrics
from tiphys.telemetry.redaction import Redactor

log = get_logger(__name__)

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")
PROJECT = GVK("argoproj.io", "v1alpha1", "AppProject")
STOP_SECONDS = 4.0
MAINTENANCE_SECONDS = 600.0


class RunOptions(msgspec.Struct, frozen=True):
    """What the command line decides.

    Attributes:
        kubeconfig: file of the control cluster; None: in-cluster configuration.
        cache: folder for mirrors and checkouts; may be deleted at any time.
        flags: parameters given as flags (``--name`` → text).
        redact: keeps secrets out of the log; it is told those of the settings.
        environ: the process's environment.
    """

    namespace: str
    kubeconfig: Path | None
    cache: Path
    flags: Mapping[str, str]
    environ: Mapping[str, str]
    roles: tuple[str, ...] = ("controller",)
    redact: Redactor = msgspec.field(default_factory=Redactor)


async def run(options: RunOptions) -> None:
    """Run until SIGTERM or SIGINT; raises what ended a part of the process."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            log.info("stopping")
            main.cancel()

    def catch_signals() -> None:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)

    catch_signals()
    try:
        async with (
            AsyncExitStack() as closing,
            _started(options, catch_signals, closing) as parts,
            asyncio.TaskGroup() as tasks,
        ):
            for part, coroutine in parts.items():
                tasks.create_task(coroutine, name=part)
    except asyncio.CancelledError:
        if not stopping:
            raise


def connect(options: RunOptions) -> Connection:
    """The connection of the control cluster."""
    if options.kubeconfig is not None:
        return from_kubeconfig(options.kubeconfig)
    try:
        return in_cluster()
    except ConnectionSettingsError:
        return from_kubeconfig()


@asynccontextmanager
async def _started(
    options: RunOptions, catch_signals: Callable[[], None], closing: AsyncExitStack
) -> AsyncIterator[dict[str, "asyncio._CoroutineLike[None]"]]:
    """Everything built and filled; gives the parts to run, closes what must be closed."""
    connection = connect(options)
    namespace = options.namespace
    metrics = ControllerMetrics(
        apps=lambda: app_samples(services), clusters=lambda: cluster_samples(services)
    )
    meter = RequestMeter(metrics)
    client = ClusterClient(connection, on_sample=meter, on_begin=meter.begin)
    closing.push_async_callback(client.close)
    params, problems = Params.load(
        options.environ, await command_parameters(client, namespace), options.flags, options.roles
    )
    for problem in problems:
        if not problem.place.startswith(PARAMS):  # the store tells of those
            log.warning("parameter ignored: %s", problem)
    _show(params, metrics, options.redact)

    def reload_params(data: Mapping[str, str]) -> tuple[Params, list[ParamProblem]]:
        now, problems = Params.load(options.environ, data, options.flags, options.roles)
        return now, [problem for problem in problems if problem.place.startswith(PARAMS)]

    settings = SettingsStore(namespace, params, reload_params=reload_params)
    _keep_secrets_out_of_logs(settings, options.redact)
    await read_settings(client, settings, namespace)

    apps: Store[Application] = Store(decode, unknown_of)
    projects: Store[AppProject] = Store(projects_kind.decode)
    git = GitStore(
        options.cache / "git", git_options(params, revision_cache_seconds=_revision_cache(settings))
    )
    renderer = Renderer(git, render_options(params, options.cache / "renders"))
    _trust(settings, git, renderer)
    comparer = Comparer()
    connecting = Connecting(
        connection,
        settings,
        metrics,
        on_change=lambda change: controller.live_changed(change),
        on_rules=comparer.forget_answers,
    )
    pool = ClusterPool(connecting.client, connecting.cache)
    queue: WorkQueue[AppKey] = WorkQueue(
        lambda key: app.spec.project if (app := apps.get(key)) is not None else "",
        metrics.queue("app_reconciliation_queue"),
    )
    services = Services(
        apps=apps,
        projects=projects,
        settings_store=settings,
        pool=pool,
        desired=DesiredStates(git, renderer),
        comparer=comparer,
        writer=ApplicationWriter(client, apps),
        events=EventSender(
            partial(_post_event, client),
            lambda reason: settings.snapshot.params.k8s_event_enabled(reason),
            time.time_ns,
            lambda app: event_labels(services, app),
        ),
        queue=queue,
        memory=Memory(),
        metrics=metrics,
        live_options=live_options(settings),
        engine=lambda cluster: SyncEngine(
            cluster,
            EngineOptions(
                wave_delay=settings.snapshot.params.sync_wave_delay,
                parallelism=max(1, settings.snapshot.params.kubectl_parallelism_limit),
            ),
        ),
        clock=lambda: datetime.now(UTC),
    )
    controller = Controller(services)
    everywhere = bool(params.application_namespaces)
    await ensure_default_project(client, namespace)
    reach = "" if everywhere else namespace
    await take_in(client, PROJECT, namespace, controller.project_seen)
    await take_in(client, APPLICATION, reach, controller.application_seen)
    resync = Resync(
        client,
        {
            "applications": Held(APPLICATION, reach, lambda: held_keys(apps), controller.application_gone),
            "appprojects": Held(PROJECT, namespace, lambda: held_keys(projects), controller.project_gone),
            "configmaps": held_settings("ConfigMap", settings),
            "secrets": held_settings("Secret", settings),
        },
    )
    watching = Watching(
        connection,
        namespace,
        everywhere=everywhere,
        triggers=controller,
        settings=settings,
        on_gap=resync.gaps.put_nowait,
        on_started=catch_signals,  # Kopf takes them for itself; they are ours
    )

    def settings_changed(change: SettingsChange) -> None:
        _trust(settings, git, renderer)
        git.set_revision_cache(_revision_cache(settings))
        if "parameters" in change.areas:
            _show(change.new.params, metrics, options.redact)
            if change.new.params.application_namespaces and not everywhere:
                log.warning("other namespaces (application.namespaces) are watched after a restart")

    settings.subscribe(settings_changed)
    log.info("ready: %d applications, %d projects", len(apps), len(projects))
    endpoints = make_app(
        metrics=metrics.exposition,
        ready={"watches": watching.liveness.missing, "clusters": pool.pending},
    )
    try:
        async with serving(endpoints, host="0.0.0.0", port=params.controller_metrics_port):
            yield {
                "clusters": pool.run(),
                "events": services.events.run(),
                "controller": controller.run(),
                "watches": watching.run(),
                "resync": resync.run(),
                "maintenance": _maintain(git),
                "counters": _restart_counters(metrics, params.metrics_cache_expiration),
            }
    finally:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await renderer.close()
                await git.close()
        except TimeoutError:
            log.warning("not everything could be closed within %.0f s", STOP_SECONDS)


def _show(params: Params, metrics: ControllerMetrics, redact: Redactor) -> None:
    """What parameters say about logs and metrics."""
    configure(
        level=params.controller_log_level,
        style=params.controller_log_format,
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
    return settings.snapshot.reconciliation_timeout or 180.0


def _trust(settings: SettingsStore, git: GitStore, renderer: Renderer) -> None:
    """Whom repositories are believed to be, from now on."""
    snapshot = settings.snapshot
    git.set_trust(Trust(snapshot.ssh_known_hosts, snapshot.tls_certificates))
    renderer.charts.certificates = snapshot.tls_certificates


async def _post_event(client: ClusterClient, namespace: str, body: bytes) -> None:
    path = f"/api/v1/namespaces/{namespace}/events"
    await client.raw("POST", path, body=body, resource="events")


async def _maintain(git: GitStore) -> None:
    while True:
        await asyncio.sleep(MAINTENANCE_SECONDS)
        await git.maintain()


async def _restart_counters(metrics: ControllerMetrics, seconds: float) -> None:
    """``--metrics-cache-expiration``; 0: never."""
    while seconds > 0:
        await asyncio.sleep(seconds)
        metrics.restart_counters()


def pod_namespace() -> str:
    """The namespace of the pod we run in, or ``""``."""
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text().strip() if file.exists() else ""
