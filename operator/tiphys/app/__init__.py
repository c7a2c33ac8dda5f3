"""The composition root: builds the rooms from options and runs the chosen roles.

Order of a start: connect, read the settings, read our own kinds once, so that work can begin with
everything known (``foundation``), build what the roles need (``controlling``, ``serving``), then start
the watches, the workers and the ports. All of it runs in one task group: what dies takes the process
with it, and Kubernetes starts it anew; nothing is lost, since the state is in Kubernetes.
"""

import asyncio
import signal
import threading
from contextlib import AsyncExitStack

from tiphys.app.controlling import control
from tiphys.app.foundation import Foundation, Parts, RunOptions, lay
from tiphys.app.inside import listen_inside
from tiphys.app.serving import serve
from tiphys.kube.connections import SERVICE_ACCOUNT
from tiphys.settings.rows import CONTROLLER, SERVER
from tiphys.telemetry.logs import get_logger

__all__ = ["RunOptions", "pod_namespace", "run"]

log = get_logger(__name__)


async def run(options: RunOptions) -> None:
    """Run until SIGTERM or SIGINT; raises what ended a part of the process."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            log.info("stopping")
            main.cancel()

    def catch_signals() -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # whoever runs us in a thread stops us by cancelling
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)

    catch_signals()
    try:
        async with AsyncExitStack() as closing:
            foundation = await lay(options, closing)
            parts = await build(foundation, closing)
            foundation.on_started = catch_signals  # Kopf takes them for itself; they are ours
            async with asyncio.TaskGroup() as tasks:
                for part, coroutine in parts.items():
                    tasks.create_task(coroutine, name=part)
    except asyncio.CancelledError:
        if not stopping:
            raise


async def build(foundation: Foundation, closing: AsyncExitStack) -> Parts:
    """The parts of the chosen roles, ready to run together."""
    roles = foundation.options.roles
    controllers = control(foundation) if CONTROLLER in roles else None
    await foundation.read()
    parts: Parts = {}
    if controllers is not None:
        parts |= await controllers.parts(closing)
    if SERVER in roles:
        parts |= await serve(foundation, controllers, closing)
    elif controllers is not None:
        await listen_inside(foundation, controllers, closing)
    log.info("ready: %d applications, %d projects", len(foundation.apps), len(foundation.projects))
    return foundation.parts() | parts


def pod_namespace() -> str:
    """The namespace of the pod we run in, or ``""``."""
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text().strip() if file.exists() else ""
