"""The API server's metrics, under the reference's names (operations.md 2.3).

``ServerMetrics`` owns one registry, as the controller's does. It counts calls (it is the ``Observer`` of
``server.api.invoke``, which knows more of a method than this room may: only the names are read here),
logins and webhooks. Series of methods exist from the start with 0, so that rates have a beginning.

``grpc_server_handling_seconds`` only with ``ARGOCD_ENABLE_GRPC_TIME_HISTOGRAM=true``, as in the reference.
What belongs to Redis is kept for the names only.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from tiphys.telemetry.client_metrics import ClientMetrics
from tiphys.telemetry.metrics import exposed
from tiphys.telemetry.runtime import RuntimeCollector
from tiphys.telemetry.tallies import TallyCounter

REDIS_BUCKETS = (0.1, 0.25, 0.5, 1, 2)
EXTENSION_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10)
HANDLING_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class MethodNames(Protocol):
    """What names a method in a series."""

    @property
    def package(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def client_streaming(self) -> bool: ...
    @property
    def server_streaming(self) -> bool: ...


class CodeName(Protocol):
    """A gRPC code; ``title`` is its name in series (``InvalidArgument``)."""

    @property
    def title(self) -> str: ...


class _Series(NamedTuple):
    """The labels of one method; naming it anew for each message costs more than counting."""

    labels: tuple[str, str, str]
    seconds: Histogram | None


class ServerMetrics:
    """See the module.

    Args:
        version: of the product, for ``argocd_info``.
        codes: the titles of all gRPC codes.
        histogram: count how long calls take.
        process: also serve ``process_*`` and ``python_info``.
    """

    def __init__(
        self,
        *,
        version: str,
        codes: Iterable[CodeName],
        histogram: bool = False,
        process: bool = True,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            self.registry.register(RuntimeCollector())
        self.client = ClientMetrics(self.registry)
        self._codes = tuple(code.title for code in codes)
        self._series: dict[tuple[str, str, str], _Series] = {}
        method = "grpc_type grpc_service grpc_method"
        self._started = self._tally("grpc_server_started_total", "Calls that began.", method)
        self._handled = self._tally(
            "grpc_server_handled_total", "Calls that ended, by their code.", f"{method} grpc_code"
        )
        self._received = self._tally("grpc_server_msg_received_total", "Messages received.", method)
        self._sent = self._tally("grpc_server_msg_sent_total", "Messages sent.", method)
        self._seconds = (
            self._histogram("grpc_server_handling_seconds", "Seconds of a call.", method, HANDLING_BUCKETS)
            if histogram
            else None
        )
        self._logins = self._counter("argocd_login_request_total", "Logins by password.", "status")
        for status in ("success", "failure"):
            self._logins.labels(status)
        self._webhooks = self._counter("argocd_webhook_requests_total", "Webhook events.", "repo")
        self._warmed = self._counter(
            "argocd_webhook_store_cache_attempts_total",
            "Attempts to carry rendered manifests over to a new revision.",
            "repo successful",
        )
        self._handlers = Gauge(
            "argocd_webhook_handlers_in_flight", "Webhook events being worked on.", registry=self.registry
        )
        self._extensions = self._counter(
            "argocd_proxy_extension_request_total", "Requests to proxy extensions.", "extension status"
        )
        self._extension_seconds = self._histogram(
            "argocd_proxy_extension_request_duration_seconds",
            "Seconds of a request to a proxy extension.",
            "extension",
            EXTENSION_BUCKETS,
        )
        self._counter("argocd_redis_request_total", "Redis requests.", "initiator command failed")
        self._histogram(
            "argocd_redis_request_duration", "Seconds of a Redis request.", "initiator", REDIS_BUCKETS
        )
        Gauge("argocd_info", "The version that runs.", ["version"], registry=self.registry).labels(
            version
        ).set(1)

    def _counter(self, name: str, text: str, labels: str) -> Counter:
        return Counter(name.removesuffix("_total"), text, labels.split(), registry=self.registry)

    def _tally(self, name: str, text: str, labels: str) -> TallyCounter:
        return TallyCounter(name.removesuffix("_total"), text, labels, self.registry)

    def _histogram(self, name: str, text: str, labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, labels.split(), buckets=buckets, registry=self.registry)

    def register(self, methods: Iterable[MethodNames]) -> None:
        """Have the series of these methods, with 0."""
        for method in methods:
            self._of(method)

    def _of(self, method: MethodNames) -> _Series:
        key = (method.package, method.service, method.name)
        found = self._series.get(key)
        if found is None:
            labels = (type_of(method), f"{method.package}.{method.service}", method.name)
            for counter in (self._started, self._received, self._sent):
                counter.inc(labels, 0)
            for code in self._codes:
                self._handled.inc((*labels, code), 0)
            seconds = self._seconds.labels(*labels) if self._seconds is not None else None
            found = self._series[key] = _Series(labels, seconds)
        return found

    # Calls

    def started(self, method: MethodNames) -> None:
        """A call began."""
        self._started.inc(self._of(method).labels)

    def received(self, method: MethodNames) -> None:
        """A message of the client was read."""
        self._received.inc(self._of(method).labels)

    def sent(self, method: MethodNames) -> None:
        """A message was answered."""
        self._sent.inc(self._of(method).labels)

    def handled(self, method: MethodNames, code: CodeName, seconds: float) -> None:
        """A call ended."""
        series = self._of(method)
        self._handled.inc((*series.labels, code.title))
        if series.seconds is not None:
            series.seconds.observe(seconds)

    # Everything else

    def login(self, success: bool) -> None:
        """Somebody tried a password."""
        self._logins.labels("success" if success else "failure").inc()

    def webhook(self, repository: str) -> None:
        """A webhook event named a repository."""
        self._webhooks.labels(repository).inc()

    def webhook_carried_over(self, repository: str, *, success: bool) -> None:
        """Rendered manifests were carried over to a new revision, or could not be."""
        self._warmed.labels(repository, "true" if success else "false").inc()

    def webhook_handlers(self, change: int) -> None:
        """So many more (fewer) events are being worked on."""
        self._handlers.inc(change)

    def extension(self, name: str, status: int, seconds: float) -> None:
        """A request to a proxy extension was answered."""
        self._extensions.labels(name, str(status)).inc()
        self._extension_seconds.labels(name).observe(max(0.0, seconds))

    def exposition(self) -> bytes:
        """What ``/metrics`` answers, in the Prometheus text format."""
        return exposed(self.registry)


def type_of(method: MethodNames) -> str:
    """The label ``grpc_type``."""
    if method.client_streaming:
        return "bidi_stream" if method.server_streaming else "client_stream"
    return "server_stream" if method.server_streaming else "unary"
