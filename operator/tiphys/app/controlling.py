"""The controller role: live caches, the work queue and what looks at Applications."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial

import msgspec

from tiphys.app.foundation import Foundation, Parts
from tiphys.handlers.watching import Taker
from tiphys.kube.client import ClusterClient
from tiphys.reconcile.clusters import ClusterPool
from tiphys.reconcile.comparison import Comparer
from tiphys.reconcile.connecting import Connecting
from tiphys.reconcile.controller import Controller
from tiphys.reconcile.desired import DesiredStates
from tiphys.reconcile.events import EventSender
from tiphys.reconcile.hydrating import Hydrating
from tiphys.reconcile.inspecting.labelling import VersionLabels
from tiphys.reconcile.lanes import lanes_of
from tiphys.reconcile.options import live_options
from tiphys.reconcile.picture import app_samples, cluster_samples, event_labels
from tiphys.reconcile.queue import WorkQueue
from tiphys.reconcile.services import Memory, Services
from tiphys.reconcile.waiting import Waits
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources.identity import AppKey
from tiphys.sync.engine import EngineOptions, SyncEngine
from tiphys.telemetry.http import make_app, serving
from tiphys.telemetry.metrics import ControllerMetrics


class Controllers(msgspec.Struct, frozen=True, eq=False):
    """The controllers of a process."""

    foundation: Foundation
    services: Services
    controller: Controller
    hydrating: Hydrating

    async def parts(self, closing: AsyncExitStack) -> Parts:
        """What runs; the port for metrics and health stands when this returns."""
        base, services = self.foundation, self.services
        endpoints = make_app(
            metrics=services.metrics.exposition,
            ready={"watches": base.watching.liveness.missing, "clusters": services.pool.pending},
        )
        params = base.params
        port = await closing.enter_async_context(
            serving(endpoints, host="0.0.0.0", port=params.controller_metrics_port)
        )
        base.options.on_listening("controller-metrics", port)
        labels = VersionLabels(
            services.pool,
            base.client,
            base.settings,
            base.options.namespace,
            lambda: base.settings.snapshot.params.update_cluster_info_timeout,
        )
        return {
            "clusters": services.pool.run(),
            "events": services.events.run(),
            "controller": self.controller.run(),
            "hydrator": self.hydrating.run(),
            "labels": labels.run(),
            "counters": _restart_counters(services.metrics, params.metrics_cache_expiration),
        }


def control(base: Foundation) -> Controllers:
    """Build the controllers over the foundation and let them take our own kinds."""
    settings, apps, metrics = base.settings, base.apps, base.metrics
    comparer = Comparer()
    connecting = Connecting(
        base.connection,
        settings,
        metrics,
        on_change=lambda change: controller.live_changed(change),
        on_rules=lambda server, group: controller.rules_changed(server, group),
    )
    queue: WorkQueue[AppKey] = WorkQueue(
        lambda key: app.spec.project if (app := apps.get(key)) is not None else "",
        metrics.queue("app_reconciliation_queue"),
        Waits(settings.snapshot.params.status_processors),
        lambda key: lanes_of(app, settings.snapshot) if (app := apps.get(key)) is not None else (),
    )
    services = Services(
        apps=apps,
        projects=base.projects,
        settings_store=settings,
        pool=ClusterPool(connecting.client, connecting.cache),
        desired=DesiredStates(base.git, base.renderer),
        comparer=comparer,
        writer=ApplicationWriter(base.client, apps),
        events=EventSender(
            partial(post_event, base.client),
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
                parallelism=settings.snapshot.params.kubectl_parallelism_limit,
            ),
        ),
        clock=base.options.clock,
        steady=base.options.steady,
    )
    controller = Controller(services)
    base.samples.apps = lambda: app_samples(services)
    base.samples.clusters = lambda: cluster_samples(services)
    base.takers["applications"] = Taker(controller.application_seen, controller.application_gone)
    base.takers["appprojects"] = Taker(controller.project_seen, controller.project_gone)
    return Controllers(base, services, controller, Hydrating(services, base.git))


async def post_event(client: ClusterClient, namespace: str, body: bytes) -> None:
    path = f"/api/v1/namespaces/{namespace}/events"
    await client.raw("POST", path, body=body, resource="events")


async def _restart_counters(metrics: ControllerMetrics, seconds: float) -> None:
    """``--metrics-cache-expiration``; 0: never."""
    while seconds > 0:
        await asyncio.sleep(seconds)
        metrics.restart_counters()
