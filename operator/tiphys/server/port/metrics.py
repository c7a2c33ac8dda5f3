"""The second listener: metrics, health, and a look inside for those who allow it (api.md 1, 15).

``/debug/pprof`` answers 401 unless ``server.profile.enabled`` is true. Go's profiles do not exist here;
what can be had is where the tasks of the process stand, under the name that people look for.
"""

import asyncio
import io
from collections.abc import Callable, Mapping

from aiohttp import web

from tiphys.telemetry.http import Check, make_app

DISABLED = "Profiler endpoint is not enabled in 'argocd-cmd-params-cm' ConfigMap"


def metrics_app(
    exposition: Callable[[], bytes],
    is_profiling_enabled: Callable[[], bool],
    *,
    live: Mapping[str, Check] | None = None,
    ready: Mapping[str, Check] | None = None,
) -> web.Application:
    """The application; serve it with ``telemetry.http.serving``."""

    async def profile(request: web.Request) -> web.Response:
        if not is_profiling_enabled():
            return web.Response(status=401, text=f"{DISABLED}\n")
        name = request.match_info["name"]
        if name not in ("", "goroutine"):
            return web.Response(status=404, text="Unknown profile\n")
        return web.Response(text=stacks())

    app = make_app(metrics=exposition, live=live, ready=ready)
    app.router.add_route("*", "/debug/pprof/{name:.*}", profile)
    return app


def stacks() -> str:
    """Where each task of the loop waits."""
    out = io.StringIO()
    for task in sorted(asyncio.all_tasks(), key=lambda each: each.get_name()):
        out.write(f"{task.get_name()}\n")
        task.print_stack(limit=8, file=out)
        out.write("\n")
    return out.getvalue()
