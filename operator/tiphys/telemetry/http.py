"""The endpoints of a role: ``/metrics``, ``/healthz`` and ``/readyz`` on one port.

``/healthz`` says whether the process works (``?full=true`` runs the deep checks, too),
``/readyz`` whether it may get work. A check returns ``""`` when all is well and else a sentence,
which the answer carries with status 503. ``serving`` is the context of the server's life.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web

from tiphys.telemetry.metrics import CONTENT_TYPE

Check: TypeAlias = Callable[[], str] | Callable[[], Awaitable[str]]
"""Returns ``""`` or what is wrong."""

CHECK_SECONDS = 5.0
"""Longest time a check may take before it counts as failed."""


def make_app(
    *,
    metrics: Callable[[], bytes],
    live: Mapping[str, Check] | None = None,
    ready: Mapping[str, Check] | None = None,
    deep: Mapping[str, Check] | None = None,
) -> web.Application:
    """The application. ``deep`` checks count for ``/healthz?full=true`` only."""

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(request: web.Request) -> web.Response:
        full = request.query.get("full", "").lower() in ("1", "t", "true")
        return await _answer({**(live or {}), **((deep or {}) if full else {})})

    async def readyz(_: web.Request) -> web.Response:
        return await _answer(ready or {})

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


async def _answer(checks: Mapping[str, Check]) -> web.Response:
    wrong = []
    for name, check in checks.items():
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                outcome = check()
                sentence = outcome if isinstance(outcome, str) else await outcome
        except TimeoutError:
            sentence = f"no answer within {CHECK_SECONDS:g} s"
        except Exception as error:
            sentence = f"the check failed with {type(error).__name__}"
        if sentence:
            wrong.append(f"{name}: {sentence}")
    if wrong:
        return web.Response(status=503, text="\n".join(wrong) + "\n")
    return web.Response(text="ok")


@asynccontextmanager
async def serving(app: web.Application, *, host: str = "0.0.0.0", port: int = 0) -> AsyncIterator[int]:
    """Serve inside the block; gives the port (0 asks for a free one).

    Raises:
        OSError: the address is taken.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
