"""A server to attack, in a process of its own so that its memory can be watched: the real port with gRPC and
gRPC-web, and the services of the tests; one plain, one with TLS, over the same calls. Prints the two ports
and its certificate as JSON; ends with its standard input.

    python -m tests.server.grpc.victim
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
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
from tiphys.server.port.certificates import generate
from tiphys.server.port.listener import ApiPort, NoTls, PortOptions
from tiphys.server.port.tls import KeyPair, TlsOptions, server_context

LIMITS = Limits(max_message=32 * MIB, stalled_after=2, unasked_after=4)


class Victim(msgspec.Struct, frozen=True):
    """The process, seen from the test through one of its ports.

    Attributes:
        certificate: PEM; None for the plain port.
    """

    port: int
    pid: int
    certificate: str | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Resident memory, bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no such process")


class Fixed:
    """One certificate."""

    def __init__(self, pair: KeyPair):
        self.context: ssl.SSLContext | None = server_context(pair, TlsOptions())


@asynccontextmanager
async def victim() -> AsyncIterator[tuple[Victim, Victim]]:
    """Start it; its plain side and the one with TLS."""
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
        plain, tls, certificate = json.loads(await process.stdout.readline())
        yield Victim(plain, process.pid), Victim(tls, process.pid, certificate)
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
    options = PortOptions(host="127.0.0.1", port=0, grace=0.2)
    pair = generate("argocd", datetime.now(UTC))
    plain, tls = (ApiPort(application, grpc, keys, options) for keys in (NoTls(), Fixed(pair)))
    async with plain.serve() as plain_number, tls.serve() as tls_number:
        print(json.dumps([plain_number, tls_number, pair.certificate]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
