"""The listener of the API: one port for everything (api.md 1, 15).

A connection's way: accepted and looked at (``arriving``); TLS where the client begins it and we have a
certificate; HTTP/1 or HTTP/2 (``choosing``); aiohttp's application or gRPC. With TLS on, a plain HTTP/1
request is sent to its ``https`` address, and plain HTTP/2 has no place here. Without TLS (``--insecure``)
plain connections are served and TLS ones are let go.

    port = ApiPort(app, grpc, certificates, options)
    async with port.serve() as number:
        ...

Everything begun here ends with the block. For a while what is on the way goes on, and whoever comes anew
hears 503, health checks too; then nobody listens any more.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
from aiohttp import web

from tiphys.kube.tlsbuffers import shrink_tls_buffers
from tiphys.server.port.arriving import Arrivals
from tiphys.server.port.choosing import Chooser, Factory
from tiphys.server.port.http1 import Http1Options, HttpConnection, ShortAnswer
from tiphys.settings.params import Params
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

BACKLOG = 1024
LAST_WORDS = 0.1
"""Seconds for the 503s of those who came while the port was ending."""


class HasContext(Protocol):
    """Gives the TLS context for the next connection (``Certificates``)."""

    @property
    def context(self) -> ssl.SSLContext | None: ...


class Http2(Protocol):
    """Makes protocols for HTTP/2 connections (``server.grpc.protocol.GrpcProtocol``)."""

    def __call__(self) -> asyncio.Protocol: ...

    async def drain(self, grace: float) -> None:
        """No new calls; wait for those on the way, at most so long, and close."""


class NoTls:
    """For ``--insecure``."""

    context = None


class PortOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to listen; times in seconds.

    Attributes:
        root_path: in front of the path of redirects to TLS.
        silence: before the first byte, and between TLS and the first request.
        handshake: for TLS.
        undecided: connections in a handshake or without a first request. With more of them the oldest
            goes: who means it is through in a moment, and each takes about 80 KB.
        unread: after which a client that takes nothing is given up.
        grace: for requests on the way at the end.
    """

    host: str = "0.0.0.0"
    port: int = 8080
    root_path: str = ""
    silence: float = 60.0
    handshake: float = 10.0
    undecided: int = 2_000
    unread: float = 60.0
    grace: float = 2.0
    http1: Http1Options = Http1Options()


def port_options(params: Params) -> PortOptions:
    """The part of the options that parameters decide."""
    return PortOptions(
        host=params.server_address, port=params.server_port, root_path=params.server_root_path.strip("/")
    )


class ApiPort:
    """See the module; ``grpc`` None: HTTP/2 clients are let go."""

    def __init__(
        self, app: web.Application, grpc: Http2 | None, certificates: HasContext, options: PortOptions
    ):
        self._app = app
        self._grpc = grpc
        self._certificates = certificates
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._undecided: dict[Chooser, asyncio.Task[None]] = {}
        self._arrivals: Arrivals | None = None
        self._loop: asyncio.AbstractEventLoop
        self._http1: Factory
        self._http2: Factory | None = grpc
        self._redirects: Factory

    @property
    def silent_connections(self) -> int:
        """Connections that have said nothing yet."""
        return self._arrivals.silent if self._arrivals is not None else 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Listen inside the block; gives the port.

        Raises:
            OSError: the address is taken.
        """
        shrink_tls_buffers()
        self._loop = loop = asyncio.get_running_loop()
        options = self._options
        runner = web.AppRunner(
            self._app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=options.grace,
        )
        await runner.setup()
        assert runner.server is not None
        server, redirecting, leaving = runner.server, web.Server(self._redirect), web.Server(_leaving)
        self._http1 = lambda: HttpConnection(server, loop, options.http1)
        self._redirects = lambda: HttpConnection(redirecting, loop, options.http1)
        arrivals = self._arrivals = Arrivals(
            loop, self._arrived, seconds=options.silence, unread_seconds=options.unread
        )
        try:
            listeners = _bind(options.host, options.port)
            arrivals.listen(listeners)
            yield int(listeners[0].getsockname()[1])
        finally:
            self._http1, self._http2 = lambda: HttpConnection(leaving, loop, options.http1), None
            try:
                server.pre_shutdown()
                await asyncio.gather(
                    server.shutdown(options.grace), redirecting.shutdown(options.grace), self._drain_grpc()
                )
            finally:
                arrivals.close()
            await leaving.shutdown(LAST_WORDS)
            await runner.cleanup()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain_grpc(self) -> None:
        if self._grpc is not None:
            await self._grpc.drain(self._options.grace)

    def _arrived(self, connection: socket.socket, begins_tls: bool) -> None:
        context = self._certificates.context
        if begins_tls and context is None:
            connection.close()
            return
        if begins_tls or context is None:
            http1, http2 = self._http1, self._http2
        else:
            http1, http2 = self._redirects, None
        if len(self._undecided) >= self._options.undecided:
            self._drop_the_oldest()
        chooser = Chooser(self._loop, http1, http2, self._options.silence, self._decided)
        task = self._loop.create_task(self._connect(connection, chooser, context if begins_tls else None))
        self._undecided[chooser] = task
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                connection.close()
                self._decided(chooser)

        task.add_done_callback(ended)

    def _drop_the_oldest(self) -> None:
        chooser = next(iter(self._undecided))
        task = self._undecided.pop(chooser)
        if not chooser.abort():
            task.cancel()

    def _decided(self, chooser: Chooser) -> None:
        self._undecided.pop(chooser, None)

    async def _connect(
        self, connection: socket.socket, chooser: Chooser, context: ssl.SSLContext | None
    ) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: chooser,
                connection,
                ssl=context,
                ssl_handshake_timeout=self._options.handshake if context else None,
                ssl_shutdown_timeout=1.0 if context else None,
            )
        except (OSError, ssl.SSLError, TimeoutError):
            connection.close()
            self._decided(chooser)

    async def _redirect(self, request: web.BaseRequest) -> web.StreamResponse:
        """Plain HTTP on a port with TLS: the same address with ``https``."""
        host = request.headers.get("Host", "")
        if not host or any(character in host for character in "/\\@?#<>\"' "):
            return ShortAnswer(400)
        root = f"/{self._options.root_path}" if self._options.root_path else ""
        url = request.rel_url
        query = f"?{url.raw_query_string}" if url.raw_query_string else ""
        return ShortAnswer(307, {"Location": f"https://{host}{root}{url.raw_path}{query}"})


async def _leaving(request: web.BaseRequest) -> web.StreamResponse:
    """For whoever comes while the port is ending; a health check gets nothing to read (api.md 1)."""
    answer = ShortAnswer(503, {"Retry-After": "1"})
    if request.path.endswith("/healthz"):
        answer.body = b""
    return answer


def _bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets; ``0.0.0.0`` also takes IPv6 where the machine has it, as the reference does."""
    if host in ("0.0.0.0", "", "::"):
        try:
            return [_listener(socket.AF_INET6, "::", port)]
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            return [_listener(socket.AF_INET, "0.0.0.0", port)]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return [_listener(family, host, port)]


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
