"""A server to attack, in a process of its own so that its memory can be watched: the real port with gRPC and
gRPC-web, and the services of the tests. Prints its port; ends with its standard input.

    python -m tests.server.grpc.victim
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from tests.server.grpc.services import MIB, Applications, Sessions, Versions
from tests.server.grpc.serving import Seen, Tokens
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import methods_of
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.protocol import GrpcProtocol
from tiphys.server.grpc.web import GrpcWeb
from tiphys.server.port.listener import ApiPort, NoTls, PortOptions

LIMITS = Limits(max_message=32 * MIB, stalled_after=2, unasked_after=4)


class Victim(msgspec.Struct, frozen=True):
    """The process, seen from the test."""

    port: int
    pid: int

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Resident memory, bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no such process")


@asynccontextmanager
async def victim() -> AsyncIterator[Victim]:
    """Start it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.grpc.victim",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Victim(int(await process.stdout.readline()), process.pid)
    finally:
        process.stdin.close()
        await process.wait()


async def main() -> None:
    """The process."""
    logging.disable(logging.CRITICAL)
    methods = [
        method for service in (Versions(), Applications(), Sessions()) for method in methods_of(service)
    ]
    invoker = Invoker(Tokens(), Seen())
    grpc = GrpcProtocol(methods, invoker, LIMITS)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", GrpcWeb(methods, invoker, LIMITS, grpc.ledger).handle)
    port = ApiPort(application, grpc, NoTls(), PortOptions(host="127.0.0.1", port=0, grace=0.2))
    async with port.serve() as number:
        print(number, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
