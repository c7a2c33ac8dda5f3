"""SIGTERM to the running product (api.md 1 "/healthz", operations.md 4.8): health checks say 503 at once,
what is on the way goes on for a while, and the process ends well."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.kubectl import clean_environment
from tests.controlplane.processes import Program, free_ports
from tests.server.conftest import unique_namespace
from tests.server.running import install_kinds

pytestmark = pytest.mark.controlplane


class Product(msgspec.Struct, eq=False):
    """``tiphys run`` as a process, and what is asked of it."""

    program: Program
    base: str
    session: aiohttp.ClientSession

    async def health(self) -> int:
        """The status of ``/healthz`` over a new connection; 0: nobody takes it."""
        try:
            async with self.session.get(f"{self.base}/healthz", headers={"Connection": "close"}) as answer:
                body = await answer.read()
                assert (answer.status, body) in ((200, b"ok\n"), (503, b"")), (answer.status, body)
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0


@pytest.fixture
async def product(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Product]:
    await asyncio.to_thread(install_kinds, control_plane)
    namespace, (port,) = unique_namespace("ending"), free_ports(1)
    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", namespace)
    command = [
        str(Path(sys.executable).with_name("tiphys")),
        "run",
        f"--kubeconfig={control_plane.kubeconfig}",
        f"--namespace={namespace}",
        "--controller-metrics-port=0",
        "--server-metrics-port=0",
        "--insecure",
        "--disable-auth",
        f"--port={port}",
    ]
    (tmp_path / "tmp").mkdir()
    environment = {**clean_environment(tmp_path), "TMPDIR": str(tmp_path / "tmp"), "PATH": os.environ["PATH"]}
    program = Program.start("tiphys", command, folder=tmp_path, env=environment)
    async with aiohttp.ClientSession() as session:
        made = Product(program, f"http://127.0.0.1:{port}", session)
        try:
            async with asyncio.timeout(60):
                while await made.health() != 200:
                    assert program.process.poll() is None, program.log_file.read_text()
                    await asyncio.sleep(0.1)
            yield made
        finally:
            program.kill()
            await asyncio.to_thread(control_plane.kubectl, "delete", "namespace", namespace, "--wait=false")


async def test_sigterm(product: Product) -> None:
    """A stream is on the way: it lives on while new health checks hear 503, then the process ends with 0."""
    stream = await product.session.get(f"{product.base}/api/v1/stream/applications")
    assert stream.status == 200
    product.program.process.terminate()
    heard: list[int] = []
    while (status := await product.health()) != 0:
        if status == 503 and 503 not in heard:
            assert not stream.content.at_eof()
        heard.append(status)
        await asyncio.sleep(0.02)
    # The signal may take a moment; from the first 503 on nobody hears anything else.
    first = heard.index(503)
    assert set(heard[:first]) <= {200}
    assert set(heard[first:]) == {503}
    stream.close()
    assert await asyncio.to_thread(product.program.process.wait, 30) == 0
