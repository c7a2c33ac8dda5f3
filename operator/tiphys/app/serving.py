"""The server role: the API on one port, and its metrics on another."""

import time
from contextlib import AsyncExitStack
from functools import partial

import msgspec

from tiphys.access.access import Access
from tiphys.app.controlling import Controllers, post_event
from tiphys.app.destinations import Destinations
from tiphys.app.foundation import Foundation, Parts
from tiphys.app.health import ApiHealth
from tiphys.app.inside import ask_inside
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_cluster
from tiphys.reconcile.events import EventQueue
from tiphys.reconcile.inspecting.inspector import Inspector
from tiphys.resources.identity import AppKey
from tiphys.server.api.failures import Code
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import methods_of
from tiphys.server.extensions.routes import ExtensionRoutes
from tiphys.server.grpc.limits import MIB, Limits
from tiphys.server.grpc.protocol import GrpcProtocol
from tiphys.server.grpc.standard import standard_services
from tiphys.server.grpc.web import GrpcWeb
from tiphys.server.guard import Guard
from tiphys.server.http.app import build_app
from tiphys.server.http.badge import StateBadges
from tiphys.server.http.options import ExtraRoute, options_of
from tiphys.server.openapi.document import render
from tiphys.server.port.certificates import Certificates
from tiphys.server.port.listener import ApiPort, port_options
from tiphys.server.port.metrics import metrics_app
from tiphys.server.services import Parts as ServiceParts
from tiphys.server.services import all_services
from tiphys.server.services.events import AuditLog
from tiphys.server.services.projects.starting import normalize_all_tokens
from tiphys.server.services.version import product_version
from tiphys.server.sso.routes import SsoOptions, SsoRoutes
from tiphys.server.state import State
from tiphys.server.terminal.routes import TerminalRoutes
from tiphys.server.webhooks.events import Push
from tiphys.server.webhooks.receiver import Webhooks
from tiphys.settings.clusters import Cluster
from tiphys.telemetry.http import serving
from tiphys.telemetry.server_metrics import ServerMetrics


async def serve(base: Foundation, controllers: Controllers | None, closing: AsyncExitStack) -> Parts:
    """Build the API over the foundation; its ports stand when this returns."""
    settings, params = base.settings, base.params
    destinations = Destinations(
        lambda cluster: _of_live_cache(controllers, cluster),
        lambda cluster: ClusterClient(from_cluster(cluster, base.connection)),
    )
    closing.push_async_callback(destinations.close)
    state = State(
        namespace=base.options.namespace,
        client=base.client,
        settings_store=settings,
        apps=base.apps,
        projects=base.projects,
        appsets=base.appsets,
        connect=destinations.client,
        live=Inspector(controllers.services) if controllers is not None else ask_inside(base, closing),
        git=base.git,
        renderer=base.renderer,
        clock=base.options.clock,
        takers=base.takers,
    )
    access = Access(
        settings,
        lambda name: base.projects.get(AppKey(base.options.namespace, name)),
        base.projects.listen,
        base.client,
        base.options.namespace,
        state.clock,
    )
    closing.callback(access.close)
    await access.start()
    await normalize_all_tokens(state)
    metrics = ServerMetrics(
        version=product_version(),
        codes=Code,
        histogram=params.server_grpc_time_histogram,
    )
    events = EventQueue(
        partial(post_event, base.client),
        lambda reason: settings.snapshot.params.k8s_event_enabled(reason),
        time.time_ns,
    )
    parts = ServiceParts(
        state=state,
        guard=Guard(access.enforcer),
        access=access,
        audit=AuditLog(state, events),
        count_login=metrics.login,
    )
    methods = [method for service in all_services(parts) for method in methods_of(service)]
    metrics.register(methods)
    invoker = Invoker(access.authenticator, metrics)
    limits = Limits(
        max_message=params.server_grpc_max_size_mb * MIB, ping_interval=params.server_grpc_keep_alive_min
    )
    standard = standard_services(methods)
    grpc = GrpcProtocol(methods, invoker, limits, standard)
    webhooks = Webhooks(state, count=metrics.webhook, unaffected=partial(_is_unaffected, controllers))
    http = options_of(params)
    sso = SsoRoutes(
        access,
        settings,
        SsoOptions(
            href=http.href,
            root_path=http.root_path,
            secure=http.secure_cookies,
            max_cookies=http.max_cookies,
        ),
    )
    closing.push_async_callback(sso.close)
    extensions = ExtensionRoutes(state, parts.guard, access.authenticator, http, metrics.extension)
    closing.push_async_callback(extensions.close)
    terminal = TerminalRoutes(state, parts.guard, access.authenticator, http)
    health = ApiHealth(base.watching.liveness.missing, lambda: settings.snapshot, base.apps)
    options = msgspec.structs.replace(
        http,
        swagger=None if params.server_disable_swagger_ui else lambda: render(methods),
        badge=StateBadges(state),
        health=health,
        grpc_web=GrpcWeb(methods, invoker, limits, grpc.ledger, standard).handle,
        extra_routes=(
            ExtraRoute("/api/webhook", webhooks.handle),
            *sso.routes(),
            *terminal.routes(),
            *extensions.routes(),
        ),
    )
    certificates = Certificates(
        settings, base.client, base.options.namespace, state.clock, insecure=params.server_insecure
    )
    closing.callback(certificates.close)
    await certificates.start()
    port = ApiPort(build_app(methods, invoker, options), grpc, certificates, port_options(params))
    inside = metrics_app(
        metrics.exposition,
        lambda: settings.snapshot.params.server_profile_enabled,
        ready={"watches": base.watching.liveness.missing},
    )
    number = await closing.enter_async_context(
        serving(inside, host=params.server_address, port=params.server_metrics_port)
    )
    base.options.on_listening("api-metrics", number)
    number = await closing.enter_async_context(port.serve())
    closing.callback(health.leave)  # before the port ends
    base.options.on_listening("api", number)
    return {"audit events": events.run(), "sessions": access.run(), "webhooks": webhooks.run()}


def _is_unaffected(controllers: Controllers | None, key: AppKey, push: Push) -> bool:
    if controllers is None or push.files is None:
        return False
    return controllers.services.desired.is_unaffected(key, push.before, push.files)


def _of_live_cache(controllers: Controllers | None, cluster: Cluster) -> ClusterClient | None:
    handle = controllers.services.pool.known(cluster.server) if controllers is not None else None
    if handle is None or handle.cluster.config.digest != cluster.config.digest:
        return None
    return handle.client
