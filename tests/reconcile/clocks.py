"""The operator's controllers in a thread of this process, by clocks that a test sets."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.controlplane import ControlPlane
from tests.e2e.beside import install_beside
from tiphys import app
from tiphys.settings.rows import CONTROLLER

READY_SECONDS = 30.0


class Clocks:
    """The machine's clocks, and by how much each is ahead of them."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._passed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def steady(self) -> float:
        return time.monotonic() + self._passed

    def jump(self, step: timedelta) -> None:
        """Somebody sets the clock; no time passes."""
        self.ahead += step

    def passes(self, seconds: float) -> None:
        """Time passes, by both clocks."""
        self.ahead += timedelta(seconds=seconds)
        self._passed += seconds


@contextmanager
def controllers(plane: ControlPlane, folder: Path, namespace: str, clocks: Clocks) -> Iterator[None]:
    """Install in ``namespace`` and run the controllers; raises what ended them."""
    install_beside(plane, namespace)
    listening, loops, failures = threading.Event(), list[asyncio.AbstractEventLoop](), list[BaseException]()
    options = app.RunOptions(
        namespace=namespace,
        kubeconfig=plane.kubeconfig,
        cache=folder,
        flags={"--controller-metrics-port": "0", "--inside-port": "0"},
        environ={"PATH": os.environ["PATH"], "ARGOCD_SYNC_WAVE_DELAY": "0"},
        roles=(CONTROLLER,),
        on_listening=lambda name, port: listening.set(),
        clock=clocks.now,
        steady=clocks.steady,
    )

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        ending.append(asyncio.current_task())
        with suppress(asyncio.CancelledError):
            await app.run(options)

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)
            listening.set()

    ending: list[asyncio.Task[None] | None] = []
    thread = threading.Thread(target=work, name=f"controllers in {namespace}", daemon=True)
    thread.start()
    try:
        assert listening.wait(READY_SECONDS), "nothing listens"
        yield
    finally:
        if loops and ending[0] is not None and thread.is_alive():
            loops[0].call_soon_threadsafe(ending[0].cancel)
        thread.join(READY_SECONDS)
    if failures:
        raise failures[0]
