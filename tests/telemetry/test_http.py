"""The endpoints of a role (operations.md 2 and 5.3)."""

import aiohttp
import pytest

from tiphys.telemetry import http
from tiphys.telemetry.http import make_app, serving
from tiphys.telemetry.metrics import ControllerMetrics


async def ask(port: int, path: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


async def never() -> str:
    import asyncio

    await asyncio.Event().wait()
    return ""


def broken() -> str:
    raise RuntimeError("https://user:secret@host")


async def test_metrics_are_prometheus_text() -> None:
    async with serving(make_app(metrics=ControllerMetrics().exposition), host="127.0.0.1") as port:
        status, text, kind = await ask(port, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    assert "process_cpu_seconds_total" in text


async def test_readiness_and_health_say_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CHECK_SECONDS", 0.05)
    state = {"cache": "not synced yet"}
    app = make_app(
        metrics=lambda: b"",
        ready={"cache": lambda: state["cache"]},
        deep={"slow": never, "broken": broken},
    )
    async with serving(app, host="127.0.0.1") as port:
        assert (await ask(port, "/healthz"))[:2] == (200, "ok")
        assert (await ask(port, "/readyz"))[:2] == (503, "cache: not synced yet\n")
        state["cache"] = ""
        assert (await ask(port, "/readyz"))[:2] == (200, "ok")
        status, text, _ = await ask(port, "/healthz?full=true")
        assert status == 503
        assert text == "slow: no answer within 0.05 s\nbroken: the check failed with RuntimeError\n"
        assert (await ask(port, "/nothing"))[0] == 404


async def test_the_port_is_free_after_the_block() -> None:
    async with serving(make_app(metrics=lambda: b""), host="127.0.0.1") as port:
        with pytest.raises(OSError):
            async with serving(make_app(metrics=lambda: b""), host="127.0.0.1", port=port):
                pass
    async with serving(make_app(metrics=lambda: b""), host="127.0.0.1", port=port) as again:
        assert again == port
