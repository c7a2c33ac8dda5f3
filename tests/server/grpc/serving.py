"""A gRPC server for tests: small services of the test on real connections, with no cluster behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from tiphys.access.identity import Authentication, Identity
from tiphys.server.api.failures import Code
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Method, methods_of
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.protocol import GrpcProtocol
from tiphys.server.grpc.standard import standard_services
from tiphys.server.grpc.web import GrpcWeb
from tiphys.server.port.tls import KeyPair, TlsOptions, server_context

ADMIN = Identity(user_id="admin", username="admin", issuer="argocd", is_authenticated=True)


class Tokens:
    """The token ``secret`` is admin's; ``old`` too, and is renewed."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Authentication:
        token = next(iter(metadata.get("token", ())), "")
        if token == "old":
            return Authentication(ADMIN, renewed_token="secret")
        if token == "secret":
            return Authentication(ADMIN)
        return Authentication(problem="no session information")


class Seen:
    """Keeps what an observer is told."""

    def __init__(self) -> None:
        self.codes: list[tuple[str, Code]] = []

    def started(self, method: Method) -> None: ...
    def received(self, method: Method) -> None: ...
    def sent(self, method: Method) -> None: ...

    def handled(self, method: Method, code: Code, seconds: float) -> None:
        self.codes.append((method.name, code))


class Serving(msgspec.Struct, eq=False):
    """A server that runs; ``certificate`` when it speaks TLS."""

    port: int
    protocol: GrpcProtocol
    seen: Seen
    certificate: str | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def serving_web(services: Iterable[Any], limits: Limits | None = None) -> AsyncIterator[str]:
    """Serve the services over gRPC-web; gives ``host:port``."""
    methods = [method for service in services for method in methods_of(service)]
    application = web.Application()
    handler = GrpcWeb(methods, Invoker(Tokens(), Seen()), limits).handle
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(
    services: Iterable[Any], limits: Limits | None = None, tls: KeyPair | None = None
) -> AsyncIterator[Serving]:
    """Serve the services on a free port."""
    seen = Seen()
    context = server_context(tls, TlsOptions()) if tls is not None else None
    methods = [method for service in services for method in methods_of(service)]
    protocol = GrpcProtocol(methods, Invoker(Tokens(), seen), limits, standard_services(methods))
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)
    try:
        yield Serving(server.sockets[0].getsockname()[1], protocol, seen, tls.certificate if tls else None)
    finally:
        server.close()
        await protocol.drain(0.1)
