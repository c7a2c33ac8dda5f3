"""Metrics of requests to Kubernetes (operations.md 2.2).

``verb`` is what a request is for (``Get``, ``List``, ``Watch``, ``Create``, ``Delete``,
``Patch``, ``Update``, ``Unknown``), ``method`` the HTTP method, ``code`` the HTTP status or
``<error>`` when there was no answer.
"""

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tiphys.telemetry.tallies import Tally, TallyCounter, TallyHistogram

LATENCY_BUCKETS = (0.005, 0.1, 0.5, 2, 8, 30)
SIZE_BUCKETS = (64, 512, 4096, 65536, 1048576, 16777216)

VERBS = ("Get", "List", "Watch", "Create", "Delete", "Patch", "Update", "Unknown")
_VERBS = {verb.lower(): verb for verb in VERBS}
_METHODS = {
    "get": "Get",
    "post": "Create",
    "put": "Update",
    "patch": "Patch",
    "delete": "Delete",
    "apply": "Patch",
    "replace": "Update",
    "deletecollection": "Delete",
}


def verb_label(verb: str) -> str:
    """The label of a verb, however the caller spells it."""
    lowered = verb.lower()
    return _VERBS.get(lowered) or _METHODS.get(lowered, "Unknown")


class _Series(NamedTuple):
    """What one kind of request counts in; looking these up costs more than counting."""

    duration: Tally
    limiter: Tally
    sent: Tally
    received: Tally
    total: tuple[str, str, str]


class ClientMetrics:
    """The series of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._series: dict[tuple[str, str, str, int], _Series] = {}

        def histogram(name: str, text: str, labels: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"argocd_kubectl_{name}", text, labels.split(), buckets=buckets, registry=registry
            )

        def counter(name: str, text: str, labels: str) -> Counter:
            return Counter(f"argocd_kubectl_{name}", text, labels.split(), registry=registry)

        self._rotation = Gauge(
            "argocd_kubectl_client_cert_rotation_age_seconds",
            "Age of the client certificate at its last rotation.",
            registry=registry,
        )

        def tally(name: str, text: str, labels: str, buckets: tuple[float, ...]) -> TallyHistogram:
            return TallyHistogram(f"argocd_kubectl_{name}", text, labels, buckets, registry)

        self._duration = tally(
            "request_duration_seconds", "Seconds of a request.", "host verb", LATENCY_BUCKETS
        )
        self._dns = histogram(
            "dns_resolution_duration_seconds", "Seconds of a look-up.", "host", LATENCY_BUCKETS
        )
        self._limiter = tally(
            "rate_limiter_duration_seconds",
            "Seconds a request waited for its turn.",
            "host verb",
            LATENCY_BUCKETS,
        )
        self._sent = tally("request_size_bytes", "Bytes of a request.", "host method", SIZE_BUCKETS)
        self._received = tally("response_size_bytes", "Bytes of an answer.", "host method", SIZE_BUCKETS)
        self._total = TallyCounter("argocd_kubectl_requests", "Requests.", "host method code", registry)
        self._retries = counter("request_retries", "Requests made again.", "host method code")
        self._exec = counter("exec_plugin_call", "Calls of credential plugins.", "code call_status")
        self._transports = Gauge(
            "argocd_kubectl_transport_cache_entries", "Cached transports.", registry=registry
        )
        self._transport_calls = counter("transport_create_calls", "Look-ups of a transport.", "result")

    def request(
        self,
        *,
        host: str,
        verb: str,
        method: str,
        code: int,
        seconds: float,
        waited_seconds: float = 0.0,
        sent_bytes: int = 0,
        received_bytes: int = 0,
        retry: bool = False,
    ) -> None:
        """One attempt of a request ended; ``code`` 0 means that no answer came, ``retry`` that an
        earlier attempt had been made."""
        key = (host, verb, method, code)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._series_of(*key)
        series.duration.observe(seconds)
        series.limiter.observe(waited_seconds)
        series.sent.observe(sent_bytes)
        series.received.observe(received_bytes)
        self._total.inc(series.total)
        if retry:
            self._retries.labels(host, method.upper(), str(code) if code else "<error>").inc()

    def _series_of(self, host: str, verb: str, method: str, code: int) -> "_Series":
        purpose, method = verb_label(verb), method.upper()
        return _Series(
            self._duration.of((host, purpose)),
            self._limiter.of((host, purpose)),
            self._sent.of((host, method)),
            self._received.of((host, method)),
            (host, method, str(code) if code else "<error>"),
        )

    def dns_resolved(self, host: str, seconds: float) -> None:
        """A host name was looked up."""
        self._dns.labels(host).observe(seconds)

    def exec_plugin_called(self, code: int, call_status: str) -> None:
        """A credential plugin ran: its exit code and ``no_error``, ``plugin_execution_error``, …"""
        self._exec.labels(str(code), call_status).inc()

    def transports(self, entries: int, *, hit: bool) -> None:
        """A connection was asked for; ``entries`` are kept now."""
        self._transports.set(entries)
        self._transport_calls.labels("hit" if hit else "miss").inc()

    def certificate_rotated(self, age_seconds: float) -> None:
        """A client certificate of this age was replaced."""
        self._rotation.set(age_seconds)
