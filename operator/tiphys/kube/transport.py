"""Sending one request well: sessions, credentials, limits, retries, accounting.

Calls share a bounded pool of kept-alive connections (``wire``); watches and websockets have aiohttp
sessions without a limit (they hold their connections for minutes and must never starve the calls); calls
through a proxy or to where a server redirects are aiohttp's, too.

What is repeated: 429 always, since the server did not begin; no connection always, since nothing was
sent; a broken connection, 502, 503, 504 and 500 with Retry-After only for requests that may be repeated
(``repeatable``). Everything else is the caller's to judge. A 401 asks the credential source once more.
"""

import asyncio
import random
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from yarl import URL

from tiphys.kube.answers import Answer
from tiphys.kube.connections import Connection
from tiphys.kube.errors import ApiError, ClusterUnreachable, ConnectionSettingsError, api_error
from tiphys.kube.limits import Limits, TokenBucket
from tiphys.kube.shares import Shares
from tiphys.kube.tlsbuffers import shrink_tls_buffers
from tiphys.kube.wire import Broken, NotConnected, Wire, stay_alive

USER_AGENT = "tiphys"
CONNECT_SECONDS = 10.0
READ_SECONDS = 65.0  # the API server ends ordinary requests after 60 s
# The API server closes idle connections after 90 s or more: ours must go first, else a write may be sent
# into a closing connection.
IDLE_SECONDS = 45.0
REDIRECTS = (301, 302, 303, 307, 308)
MAX_RETRY_AFTER_SECONDS = 30.0
CLOSE_SECONDS = 0.5  # for the good-bye of a websocket; until then its data is thrown away
MAX_FRAME_BYTES = 1024 * 1024  # of a websocket; API servers send some 32 KiB at a time

OnRequest = Callable[[str, str, int, bool], None]
"""Called after each attempt: verb, resource (plural with group), HTTP code (0: none), dry run."""


class RequestSample(msgspec.Struct, frozen=True):
    """One attempt, for the client metrics (operations.md 2.2)."""

    host: str
    verb: str
    method: str
    resource: str
    code: int
    dry_run: bool
    namespace: str
    seconds: float
    waited_seconds: float
    sent_bytes: int
    received_bytes: int
    attempt: int


class Purpose(msgspec.Struct, frozen=True):
    """What a request is for: names it in metrics and decides about repeating it."""

    verb: str
    resource: str = ""
    dry_run: bool = False
    repeatable: bool = False
    namespace: str = ""


class Response(msgspec.Struct, frozen=True):
    """A 2xx answer; ``etag`` and ``content_type`` are looked up for a GET only."""

    status: int
    body: bytes
    warnings: tuple[str, ...] = ()
    etag: str = ""
    content_type: str = ""


@lru_cache(maxsize=64)
def _query(*params: tuple[str, str]) -> str:
    """The parameters as a query; most requests have one of a few sets."""
    return urlencode(params)


def _no_answer() -> tuple[type[Exception], ...]:
    """What is raised when there is no answer; errors of SOCKS proxies belong to no common family, and
    their library is loaded with the first such proxy only."""
    found: list[type[Exception]] = [NotConnected, Broken, aiohttp.ClientError, TimeoutError, OSError]
    socks = sys.modules.get("aiohttp_socks")
    if socks is not None:
        found += [socks.ProxyError, socks.ProxyConnectionError, socks.ProxyTimeoutError]
    return tuple(found)


class Transport:
    """Requests to one API server. ``close()`` when done."""

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        on_request: OnRequest | None = None,
        on_sample: Callable[[RequestSample], None] | None = None,
        on_begin: Callable[[Purpose], None] | None = None,
    ) -> None:
        self.connection = connection
        self.limits = limits
        self._host = URL(connection.server).authority
        self._bucket = TokenBucket(limits.qps, limits.burst)
        self._shares = Shares(limits.share)
        self._on_request = on_request
        self._on_sample = on_sample
        self._on_begin = on_begin
        self._wire: Wire | None = None
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._sockets: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        self._closed = True
        if self._wire is not None:
            self._wire.close()
        for session in (self._calls, self._streams, self._sockets):
            if session is not None:
                await session.close()
        self._calls = self._streams = self._sockets = None

    async def request(
        self,
        method: str,
        path: str,
        purpose: Purpose,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send, wait for a 2xx answer.

        Raises:
            ApiError: the server refused (typed by reason).
            ClusterUnreachable: no answer; ``sent`` tells whether a write may have been done.
        """
        target = f"{path}?{_query(*params.items())}" if params else path
        refused_credentials = False
        attempt = 0
        while True:
            attempt += 1
            waited = await self._bucket.take()
            started = time.monotonic()
            if self._on_begin is not None:
                self._on_begin(purpose)
            code, received = 0, 0
            failure: ApiError | ClusterUnreachable
            try:
                authorization, context = await self.connection.authorize()
                async with self._shares.share((purpose.resource, purpose.namespace)):
                    answer = await self._sent(
                        method, target, self._headers(headers, authorization), body, context
                    )
                code, received = answer.status, len(answer.body)
                if code < 300:
                    warnings = _warnings(answer.headers("warning"))
                    if method != "GET":
                        return Response(code, answer.body, warnings)
                    return Response(
                        code, answer.body, warnings, answer.header("etag"), answer.header("content-type")
                    )
                if code == 304:
                    return Response(code, b"")
                failure = api_error(code, answer.body, _retry_after(answer.header("retry-after")))
            except ClusterUnreachable:
                raise
            except ConnectionSettingsError as error:
                raise ClusterUnreachable(self.connection.server, error.why) from error
            except _no_answer() as error:
                failure = self._unreachable(error)
            finally:
                self._account(method, purpose, code, started, waited, len(body or b""), received, attempt)
            if code == 401 and not refused_credentials and self.connection.credentials.forget():
                refused_credentials = True
                continue
            wait = self._wait_before_retry(failure, purpose, attempt)
            if wait is None:
                raise failure
            await asyncio.sleep(wait)

    async def _sent(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        context: ssl.SSLContext | None,
    ) -> Answer:
        """The answer to one request, by the short way where that goes."""
        if (wire := self._pool()) is not None:
            answer = await wire.request(method, target, headers, body, context)
            if answer.status not in REDIRECTS:
                return answer
        url = URL(f"{self.connection.server}{target}", encoded=True)
        options = self._options(context)
        async with self._session(False).request(
            method, url, data=body, headers=headers, **options
        ) as response:
            fields = (name + b": " + value for name, value in response.raw_headers)
            answer = Answer(response.status, b"\r\n".join((b"", *fields)), keeps=True)
            answer.body = await response.read()
            return answer

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        purpose: Purpose,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a long answer (watch, log). One attempt; failures are raised when they happen.

        A stream that brings nothing for ``idle_seconds`` counts as broken.
        """
        started = time.monotonic()
        code = 0
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds)
        try:
            authorization, context = await self.connection.authorize()
            async with self._session(True).get(
                self._url(path, params),
                headers=self._headers(headers, authorization),
                timeout=timeout,
                **self._options(context),
            ) as answer:
                code = answer.status
                self._account("GET", purpose, code, started, 0.0, 0, 0, 1)
                if code >= 300:
                    if code == 401:
                        self.connection.credentials.forget()
                    raise api_error(
                        code, await answer.read(), _retry_after(answer.headers.get("Retry-After", ""))
                    )
                yield answer
        except ConnectionSettingsError as error:
            raise ClusterUnreachable(self.connection.server, error.why) from error
        except _no_answer() as error:
            if code == 0:
                self._account("GET", purpose, 0, started, 0.0, 0, 0, 1)
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        purpose: Purpose,
        *,
        protocols: Sequence[str],
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a websocket (exec); it is closed with the block. One attempt.

        Args:
            protocols: subprotocols, the best first; the answer's ``protocol`` is the server's choice.

        Raises:
            ApiError: the server refused, in its own words.
            ClusterUnreachable: no answer, or one that is no websocket.
        """
        started = time.monotonic()
        code = 0
        try:
            authorization, context = await self.connection.authorize()
            socket_ = await self._socket_session().ws_connect(
                self._url(path, params),
                protocols=protocols,
                headers=self._headers(headers, authorization),
                max_msg_size=MAX_FRAME_BYTES,
                **self._options(context),
            )
            code = 101
            self._account("GET", purpose, code, started, 0.0, 0, 0, 1)
            try:
                yield socket_
            finally:
                # aiohttp waits for the other side's good-bye as long as something else comes.
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await socket_.close()
        except ApiError as error:
            if code == 0:
                self._account("GET", purpose, error.status, started, 0.0, 0, 0, 1)
                if error.status == 401:
                    self.connection.credentials.forget()
            raise
        except ConnectionSettingsError as error:
            raise ClusterUnreachable(self.connection.server, error.why) from error
        except _no_answer() as error:
            if code != 0:
                raise  # of the block: its own affair
            self._account("GET", purpose, 0, started, 0.0, 0, 0, 1)
            raise self._unreachable(error) from error

    def _wait_before_retry(
        self, failure: ApiError | ClusterUnreachable, purpose: Purpose, attempt: int
    ) -> float | None:
        """Seconds to wait before the next attempt, or ``None``: give up."""
        if attempt >= self.limits.attempts or self._closed:
            return None
        backoff = min(0.1 * 2.0 ** (attempt - 1), 2.0) * random.uniform(0.75, 1.25)
        if isinstance(failure, ClusterUnreachable):
            return backoff if purpose.repeatable or not failure.sent else None
        if failure.status == 429:
            return min(failure.retry_after or backoff, MAX_RETRY_AFTER_SECONDS)
        transient = failure.status in (502, 503, 504) or (
            failure.status == 500 and failure.retry_after is not None
        )
        if transient and purpose.repeatable:
            return min(failure.retry_after or backoff, MAX_RETRY_AFTER_SECONDS)
        return None

    def _pool(self) -> Wire | None:
        """The connections of the short way; None where it does not lead."""
        if self._closed:
            raise ClusterUnreachable(self.connection.server, "the client is closed")
        server = self.connection.server
        if self._wire is None or self._wire.server != server:  # addresses of the settings may change
            if self.connection.proxy or not _is_plain(server):
                return None
            shrink_tls_buffers()
            if self._wire is not None:
                self._wire.close()
            self._wire = Wire(
                server,
                limit=self.limits.connections,
                connect_seconds=CONNECT_SECONDS,
                silence_seconds=READ_SECONDS,
                idle_seconds=IDLE_SECONDS,
                server_name=self.connection.server_name,
            )
        return self._wire

    def _session(self, streaming: bool) -> aiohttp.ClientSession:
        if streaming:
            self._streams = self._streams or self._new_session(0)
            return self._streams
        self._calls = self._calls or self._new_session(self.limits.connections)
        return self._calls

    def _socket_session(self) -> aiohttp.ClientSession:
        """A session of its own, since only a session can be told to read a refusal: aiohttp throws the
        body of a failed handshake away."""
        self._sockets = self._sockets or self._new_session(0, raise_for_status=_refused)
        return self._sockets

    def _new_session(self, limit: int, **more: Any) -> aiohttp.ClientSession:
        if self._closed:
            raise ClusterUnreachable(self.connection.server, "the client is closed")
        shrink_tls_buffers()
        return aiohttp.ClientSession(
            connector=self._connector(limit),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
            **more,
        )

    def _connector(self, limit: int) -> aiohttp.BaseConnector:
        if self.connection.proxy.startswith("socks5"):
            from aiohttp_socks import ProxyConnector

            return ProxyConnector.from_url(self.connection.proxy, limit=limit, keepalive_timeout=IDLE_SECONDS)
        return aiohttp.TCPConnector(limit=limit, keepalive_timeout=IDLE_SECONDS, socket_factory=_alive_socket)

    def _options(self, context: ssl.SSLContext | None) -> dict[str, Any]:
        options: dict[str, Any] = {"ssl": context if context is not None else True}
        if self.connection.server_name:
            options["server_hostname"] = self.connection.server_name
        if self.connection.proxy.startswith("http"):
            options["proxy"] = self.connection.proxy
        return options

    def _headers(self, headers: Mapping[str, str] | None, authorization: str) -> dict[str, str]:
        all_headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        if authorization:
            all_headers["Authorization"] = authorization
        if self.connection.compress:
            all_headers["Accept-Encoding"] = "gzip"
        return all_headers

    def _url(self, path: str, params: Mapping[str, str] | None) -> URL:
        query = f"?{urlencode(params)}" if params else ""
        return URL(f"{self.connection.server}{path}{query}", encoded=True)

    def _unreachable(self, error: BaseException) -> ClusterUnreachable:
        not_sent = NotConnected | aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
        sent = not isinstance(error, not_sent)
        if isinstance(error, TimeoutError):
            why = "no connection in time" if not sent else "no answer in time"
        elif isinstance(error, aiohttp.ClientConnectorError):
            why = str(error.os_error.strerror or error.os_error)
        else:
            why = str(error) or type(error).__name__
        return ClusterUnreachable(self.connection.server, why, sent=sent)

    def _account(
        self,
        method: str,
        purpose: Purpose,
        code: int,
        started: float,
        waited: float,
        sent: int,
        received: int,
        attempt: int,
    ) -> None:
        if self._on_request is not None:
            self._on_request(purpose.verb, purpose.resource, code, purpose.dry_run)
        if self._on_sample is not None:
            seconds = time.monotonic() - started
            self._on_sample(
                RequestSample(
                    host=self._host,
                    verb=purpose.verb,
                    method=method,
                    resource=purpose.resource,
                    code=code,
                    dry_run=purpose.dry_run,
                    namespace=purpose.namespace,
                    seconds=seconds,
                    waited_seconds=waited,
                    sent_bytes=sent,
                    received_bytes=received,
                    attempt=attempt,
                )
            )


def _is_plain(server: str) -> bool:
    """Whether the short way leads to a server: an ordinary address without credentials in it."""
    parts = urlsplit(server)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _alive_socket(address: Any) -> socket.socket:
    """A TCP socket of aiohttp's that notices a dead peer."""
    family, kind, protocol = address[0], address[1], address[2]
    made = socket.socket(family, kind, protocol)
    stay_alive(made)
    return made


async def _refused(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 300:
        retry_after = _retry_after(answer.headers.get("Retry-After", ""))
        raise api_error(answer.status, await answer.read(), retry_after)


def _retry_after(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def _warnings(fields: Iterable[str]) -> tuple[str, ...]:
    """Texts of the ``Warning`` headers: ``299 - "text"`` with ``\\"`` and ``\\\\`` escaped."""
    found = []
    for header in fields:
        _, quote, rest = header.partition('"')
        text = rest.rstrip().removesuffix('"')
        if quote:
            found.append(text.replace('\\"', '"').replace("\\\\", "\\"))
    return tuple(found)
