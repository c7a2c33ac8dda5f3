"""The composition root: builds the rooms from options and runs the chosen roles.

Order of a start: connect, read the settings, read projects and Applications once (so that work can
begin with everything known), then start the watches, the workers and the port for metrics and
health. All of it runs in one task group: what dies takes the process with it, and Kubernetes
starts it anew; nothing is lost, since the state is in Kubernetes.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tiphys.compare.tracking import Tracking
from tiphys.handlers.watching import Watching
from tiphys.health.assess import assess
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import SERVICE_ACCOUNT, Connection, from_cluster, from_kubeconfig, in_cluster
from tiphys.kube.errors import AlreadyExists, ConnectionSettingsError, Forbidden
from tiphys.live.cluster import ClusterCache
from tiphys.reconcile.autosync import SelfHealBackoff
from tiphys.reconcile.clusters import ClusterPool
from tiphys.reconcile.comparison import Comparer
from tiphys.reconcile.controller import Controller
from tiphys.reconcile.desired import DesiredStates
from tiphys.reconcile.events import EventSender
from tiphys.reconcile.queue import WorkQueue
from tiphys.reconcile.refresh import Timeouts
from tiphys.reconcile.services import ControllerOptions, Memory, Services
from tiphys.reconcile.stores import Store
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.resources.project import AppProject, decode_project
from tiphys.settings.clusters import Cluster
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore
from tiphys.sources.git.access import Trust
from tiphys.sources.git.options import GitOptions
from tiphys.sources.git.store import GitStore
from tiphys.sources.rendering import Renderer
from tiphys.telemetry.http import serve
from tiphys.telemetry.logs import get_logger
from tiphys.telemetry.metrics import ControllerMetrics

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
        flags: parameters given as flags (``--name`` without dashes → text).
        environ: the process's environment.
    """

    namespace: str
    kubeconfig: Path | None
    cache: Path
    flags: Mapping[str, str]
    environ: Mapping[str, str]


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
        async with _started(options) as parts:
            async with asyncio.TaskGroup() as tasks:
                for part, coroutine in parts.items():
                    tasks.create_task(coroutine, name=part)
                # Kopf takes the signals for itself when it starts; they are ours.
                await asyncio.sleep(0.2)
                catch_signals()
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
async def _started(options: RunOptions) -> AsyncIterator[dict[str, "asyncio._CoroutineLike[None]"]]:
    """Everything built and filled; gives the parts to run, closes what must be closed."""
    connection = connect(options)
    metrics = ControllerMetrics()
    client = ClusterClient(connection, on_request=metrics.kubernetes_request)
    namespace = options.namespace
    params, problems = Params.load(options.environ, {}, options.flags)
    settings = SettingsStore(namespace, params)
    await _read_settings(client, settings, namespace)
    params, problems = Params.load(options.environ, settings.command_parameters, options.flags)
    for problem in problems:
        log.warning("parameter ignored: %s", problem)
    settings.use_params(params)

    apps: Store[Application] = Store(decode)
    projects: Store[AppProject] = Store(decode_project)
    git = GitStore(options.cache / "git", GitOptions(revision_cache_seconds=settings.snapshot.reconciliation_timeout or 180.0))
    git.set_trust(_trust(settings))
    renderer = Renderer(git)
    pool = ClusterPool(
        lambda cluster: ClusterClient(from_cluster(cluster, connection), on_request=metrics.kubernetes_request),
        lambda cluster, cluster_client: _live_cache(settings, metrics, controller, cluster, cluster_client),
    )
    queue: WorkQueue[AppKey] = WorkQueue(
        lambda key: app.spec.project if (app := apps.get(key)) is not None else "",
        metrics.queue_observer("app_reconciliation_queue"),
    )
    services = Services(
        apps=apps,
        projects=projects,
        settings_store=settings,
        pool=pool,
        desired=DesiredStates(git, renderer),
        comparer=Comparer(),
        writer=ApplicationWriter(client, apps),
        events=EventSender(client.create, _event_filter(params), time.time_ns),
        queue=queue,
        memory=Memory(),
        metrics=metrics,
        options=_controller_options(settings),
        clock=lambda: datetime.now(UTC),
    )
    controller = Controller(services)
    everywhere = bool(params.application_namespaces)
    await _ensure_default_project(client, namespace)
    async for manifest in _list(client, PROJECT, namespace):
        controller.project_seen(manifest)
    async for manifest in _list(client, APPLICATION, "" if everywhere else namespace):
        controller.application_seen(manifest)
    watching = Watching(
        connection, namespace, everywhere=everywhere, triggers=controller, settings=settings
    )
    settings.subscribe(lambda change: git.set_trust(_trust(settings)))
    log.info("ready: %d applications, %d projects", len(apps), len(projects))
    try:
        yield {
            "clusters": pool.run(),
            "events": services.events.run(),
            "controller": controller.run(),
            "watches": watching.run(),
            "metrics": serve(metrics.registry, params.metrics_port),
            "maintenance": _maintain(git),
        }
    finally:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await renderer.close()
                await git.close()
                await client.close()
        except TimeoutError:
            log.warning("not everything could be closed within %.0f s", STOP_SECONDS)


def _controller_options(settings: SettingsStore) -> ControllerOptions:
    snapshot = settings.snapshot
    params = snapshot.params
    return ControllerOptions(
        timeouts=Timeouts(snapshot.reconciliation_timeout, snapshot.hard_reconciliation_timeout),
        jitter=snapshot.reconciliation_jitter,
        backoff=SelfHealBackoff(
            params.self_heal_backoff_timeout_seconds,
            params.self_heal_backoff_factor,
            params.self_heal_backoff_cap_seconds,
            params.self_heal_timeout_seconds,
        ),
        repo_error_grace=params.repo_error_grace_period_seconds,
        sync_timeout=params.sync_timeout,
        workers=params.status_processors,
        server_side_diff=params.server_side_diff_enabled,
        persist_health=params.persist_resource_health,
    )


def _live_cache(
    settings: SettingsStore,
    metrics: ControllerMetrics,
    controller: Controller,
    cluster: Cluster,
    client: ClusterClient,
) -> ClusterCache:
    snapshot = settings.snapshot
    return ClusterCache(
        client,
        resource_filter=snapshot.resource_filter,
        tracking=Tracking(snapshot.tracking_method, snapshot.instance_label_key, snapshot.installation_id),
        on_change=controller.live_changed,
        assess=lambda manifest: assess(manifest, settings.snapshot.overrides),
        namespaces=cluster.namespaces,
    )


def _trust(settings: SettingsStore) -> Trust:
    snapshot = settings.snapshot
    return Trust(snapshot.ssh_known_hosts, snapshot.tls_certificates)


async def _read_settings(client: ClusterClient, settings: SettingsStore, namespace: str) -> None:
    for kind in ("ConfigMap", "Secret"):
        async for manifest in _list(client, GVK("", "v1", kind), namespace):
            if settings.is_relevant(manifest):
                settings.put(manifest)


async def _list(client: ClusterClient, gvk: GVK, namespace: str) -> AsyncIterator[Manifest]:
    resource = await client.resource_of(gvk)
    async for page in client.list_pages(resource, namespace):
        for manifest in msgspec.json.decode(page)["items"]:
            manifest["apiVersion"] = gvk.api_version
            manifest["kind"] = gvk.kind
            yield manifest


async def _ensure_default_project(client: ClusterClient, namespace: str) -> None:
    """The project ``default`` exists from the first start on (applications.md 20)."""
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }
    try:
        await client.create(project)
    except AlreadyExists:
        pass
    except Forbidden as error:
        log.warning("the project 'default' cannot be made if it is missing: %s", error)


async def _maintain(git: GitStore) -> None:
    while True:
        await asyncio.sleep(MAINTENANCE_SECONDS)
        await git.maintain()


def pod_namespace() -> str:
    """The namespace of the pod we run in, or ``""``."""
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text().strip() if file.exists() else ""
