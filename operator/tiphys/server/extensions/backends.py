"""The configured extensions of this moment, and the connections to their services.

Follows the settings: what did not change keeps its connections, what is gone closes them when its last
request is done. Settings that cannot be used are told once, and the last good ones stay in force. Nothing
is read or opened while proxy extensions are switched off.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tiphys.server.extensions.config import Extension, Extensions, Service, Transport, read_extensions
from tiphys.settings.model import Settings
from tiphys.settings.problems import SettingError
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_FIELD_BYTES = 64 * 1024
"""Of a line in the head of a service's answer."""


class Way(msgspec.Struct, frozen=True):
    """What makes up the connections to a service; equal ways share them. ``authority``: PEM certificates
    to trust instead of the system's, ``""``: the system's."""

    origin: str
    transport: Transport
    authority: str = ""


class Backend:
    """The connections to one service."""

    def __init__(self, way: Way):
        self.way = way
        self._active = 0
        self._is_retired = False
        self._session: aiohttp.ClientSession | None = None
        self._unused = asyncio.Event()
        self._unused.set()

    @contextmanager
    def using(self) -> Iterator[tuple[aiohttp.ClientSession, bool]]:
        """The session for one request, and whether the connection is to be closed behind it. A new
        connection is only made when none is idle, so if each request above the limit closes its own, never
        more than the limit are left idle."""
        self._active += 1
        self._unused.clear()
        limit = self.way.transport.max_idle
        try:
            yield self._open(), 0 <= limit < self._active
        finally:
            self._active -= 1
            if not self._active:
                self._unused.set()

    async def close(self, *, at_once: bool = False) -> None:
        """Close the connections; unless ``at_once``, when the last request is done."""
        if not at_once:
            await self._unused.wait()
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            transport = self.way.transport
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=transport.idle_timeout,
                ssl=_trusting(self.way),
                socket_factory=_alive(max(1, round(transport.keep_alive))),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(total=None, connect=transport.connection_timeout),
                middlewares=(_staying,),
                max_line_size=MAX_FIELD_BYTES,
                max_field_size=MAX_FIELD_BYTES,
            )
        return self._session


class Backends:
    """See the module; ``close`` when the server ends."""

    def __init__(self, settings: SettingsStore):
        self._settings = settings
        self._extensions = Extensions()
        self._told = ""
        self._open: dict[Way, Backend] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._read(settings.snapshot)
        self._unsubscribe: Callable[[], None] = settings.subscribe(lambda change: self._read(change.new))

    @property
    def problem(self) -> str:
        """Why the settings are not in force; ``""`` when they are."""
        return self._told

    def find(self, name: str) -> Extension | None:
        """The extension of a name."""
        return self._extensions.by_name.get(name)

    def backend(self, extension: Extension, service: Service) -> Backend:
        """The connections to one of its services."""
        way = self._way(self._settings.snapshot, extension, service)
        found = self._open.get(way)
        if found is None:
            found = self._open[way] = Backend(way)
        return found

    async def close(self) -> None:
        """Close all connections."""
        self._unsubscribe()
        for task in tuple(self._leaving):
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        for backend in self._open.values():
            await backend.close(at_once=True)

    def _read(self, settings: Settings) -> None:
        if not settings.params.server_enable_proxy_extension:
            self._extensions, self._told = Extensions(), ""
        else:
            try:
                self._take(read_extensions(settings.raw, settings.references))
            except SettingError as error:
                if str(error) != self._told:
                    self._told = str(error)
                    log.error(
                        "proxy extensions: the last good settings stay in force: %s",
                        error,
                        extra={"key": error.key},
                    )
        self._let_go(settings)

    def _take(self, found: Extensions) -> None:
        if self._told:
            log.info("proxy extensions: the settings are in order again")
            self._told = ""
        if found == self._extensions:
            return
        for reference in found.unresolved:
            if reference not in self._extensions.unresolved:
                log.warning("proxy extensions: %s names no key of a Secret; it is used as it is", reference)
        self._extensions = found
        log.info("proxy extensions", extra={"extensions": sorted(found.by_name)})

    def _let_go(self, settings: Settings) -> None:
        """Close what no extension needs any more."""
        wanted = {
            self._way(settings, extension, service)
            for extension in self._extensions.by_name.values()
            for service in extension.services
        }
        for way in self._open.keys() - wanted:
            task = asyncio.get_running_loop().create_task(
                self._open.pop(way).close(), name=f"leave {way.origin}"
            )
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _way(self, settings: Settings, extension: Extension, service: Service) -> Way:
        host = urlsplit(service.origin).hostname or ""
        authority = settings.tls_certificates.get(host, "") if service.origin.startswith("https:") else ""
        return Way(service.origin, extension.transport, authority)


async def _staying(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A websocket is joined where it was asked for: the client library would follow a redirect, with the
    secrets of the settings."""
    answer = await handler(request)
    if 300 <= answer.status < 400 and "Upgrade" in request.headers:
        answer.close()
        raise aiohttp.WSServerHandshakeError(
            answer.request_info, answer.history, status=answer.status, message="leads elsewhere"
        )
    return answer


def _trusting(way: Way) -> ssl.SSLContext:
    """TLS for a service. Certificates that cannot be read leave nobody to trust."""
    if not way.authority:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=way.authority)
    except (ssl.SSLError, ValueError):
        log.warning("proxy extensions: the certificates for %s cannot be read", urlsplit(way.origin).hostname)
    return context


def _alive(seconds: int) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Makes sockets that ask the other end whether it is still there."""

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = info
        made = socket.socket(family=family, type=kind, proto=protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
        return made

    return make
