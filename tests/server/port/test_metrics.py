"""The metrics listener (api.md 1, 15)."""

import aiohttp
import pytest

from tiphys.server.port.metrics import DISABLED, metrics_app
from tiphys.telemetry.http import serving


@pytest.mark.parametrize("enabled", [True, False])
async def test_profiles_are_for_those_who_allow_them(enabled: bool) -> None:
    app = metrics_app(lambda: b"a 1\n", lambda: enabled)
    async with serving(app, host="127.0.0.1") as port, aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{port}"
        for path in ("/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2"):
            async with session.get(base + path) as answer:
                text = await answer.text()
                if not enabled:
                    assert (answer.status, text) == (401, f"{DISABLED}\n")
                else:
                    assert answer.status == (404 if "heap" in path else 200)
        async with session.get(base + "/metrics") as answer:
            assert await answer.text() == "a 1\n"
        async with session.get(base + "/healthz") as answer:
            assert answer.status == 200
