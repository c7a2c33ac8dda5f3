"""Metrics of the API server (operations.md 2.3)."""

from __future__ import annotations

import re

import msgspec
import pytest

from tiphys.telemetry.server_metrics import ServerMetrics, type_of


class Named(msgspec.Struct, frozen=True):
    package: str = "version"
    service: str = "VersionService"
    name: str = "Version"
    client_streaming: bool = False
    server_streaming: bool = False


class Titled(msgspec.Struct, frozen=True):
    title: str


OK, NOT_FOUND = Titled("OK"), Titled("NotFound")
LABELS = 'grpc_method="Version",grpc_service="version.VersionService",grpc_type="unary"'


def metrics(**options: bool) -> ServerMetrics:
    made = ServerMetrics(version="v3.6.0", codes=(OK, NOT_FOUND), process=False, **options)
    made.register([Named()])
    return made


def samples(made: ServerMetrics) -> dict[str, float]:
    """Series (labels sorted) → value."""
    found = {}
    for line in made.exposition().decode().splitlines():
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name, brace, labels = series.partition("{")
            inside = ",".join(sorted(re.findall(r'\w+="[^"]*"', labels)))
            found[f"{name}{{{inside}}}" if brace else name] = float(value)
    return found


def test_every_method_begins_with_zero() -> None:
    found = samples(metrics())
    for name in ("started_total", "msg_received_total", "msg_sent_total"):
        assert found[f"grpc_server_{name}{{{LABELS}}}"] == 0
    for code in ("OK", "NotFound"):
        assert found[f'grpc_server_handled_total{{grpc_code="{code}",{LABELS}}}'] == 0


def test_calls_are_counted() -> None:
    made = metrics()
    made.started(Named())
    made.received(Named())
    made.sent(Named())
    made.handled(Named(), NOT_FOUND, 0.2)
    found = samples(made)
    assert found[f"grpc_server_started_total{{{LABELS}}}"] == 1
    assert found[f'grpc_server_handled_total{{grpc_code="NotFound",{LABELS}}}'] == 1
    assert found[f'grpc_server_handled_total{{grpc_code="OK",{LABELS}}}'] == 0
    assert not any(name.startswith("grpc_server_handling_seconds") for name in found)


def test_the_histogram_only_when_asked_for() -> None:
    made = metrics(histogram=True)
    made.handled(Named(), OK, 0.02)
    found = samples(made)
    assert found[f"grpc_server_handling_seconds_count{{{LABELS}}}"] == 1
    assert found[f'grpc_server_handling_seconds_bucket{{{LABELS},le="0.025"}}'] == 1


@pytest.mark.parametrize(
    ("client", "server", "kind"),
    [
        (False, False, "unary"),
        (False, True, "server_stream"),
        (True, False, "client_stream"),
        (True, True, "bidi_stream"),
    ],
)
def test_types(client: bool, server: bool, kind: str) -> None:
    assert type_of(Named(client_streaming=client, server_streaming=server)) == kind


def test_the_rest() -> None:
    made = metrics()
    made.login(True)
    made.login(False)
    made.login(False)
    made.webhook("https://git.example.com/a")
    made.webhook_carried_over("https://git.example.com/a", success=True)
    made.webhook_handlers(2)
    made.extension("metrics", 200, 0.2)
    found = samples(made)
    assert found['argocd_info{version="v3.6.0"}'] == 1
    assert found['argocd_login_request_total{status="success"}'] == 1
    assert found['argocd_login_request_total{status="failure"}'] == 2
    assert found['argocd_webhook_requests_total{repo="https://git.example.com/a"}'] == 1
    assert (
        found['argocd_webhook_store_cache_attempts_total{repo="https://git.example.com/a",successful="true"}']
        == 1
    )
    assert found["argocd_webhook_handlers_in_flight"] == 2
    assert found['argocd_proxy_extension_request_total{extension="metrics",status="200"}'] == 1
    assert found['argocd_proxy_extension_request_duration_seconds_bucket{extension="metrics",le="0.25"}'] == 1


def test_names_that_dashboards_ask_for() -> None:
    text = ServerMetrics(version="v", codes=(OK,)).exposition().decode()
    for name in ("go_goroutines", "go_memstats_heap_alloc_bytes", "process_resident_memory_bytes"):
        assert f"\n{name} " in text
    for name in ("argocd_redis_request_total", "argocd_redis_request_duration", "argocd_kubectl_requests"):
        assert f"# TYPE {name}" in text
