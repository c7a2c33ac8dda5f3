"""One HTTP/1.1 connection: aiohttp's protocol with what a public port needs beyond it.

- A request's head has a size and a time: it is complete within ``head_seconds`` of its first byte and
  within ``MAX_HEAD_BYTES``, or the connection is closed. Bodies are bounded where they are read.
- What is no HTTP gets a short text and a closed connection; it is not worth a line in the log, and the
  answer does not say what our parser thought of it.
- Bodies stay compressed: the API takes none that are, and nothing unpacks what a stranger sends.

aiohttp offers no hooks for this, so this class reads some of its internal state; the tests of the port
meet each of them over real sockets.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler

from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_HEAD_BYTES = 1024 * 1024
"""Of a request line and its headers; as much as the reference takes (queries can hold manifests)."""

MAX_HEADERS = 128


class Http1Options(msgspec.Struct, frozen=True):
    """Seconds: for a head to arrive, and for a connection to be idle between requests (longer than load
    balancers keep theirs, so that they close first)."""

    head_seconds: float = 30.0
    idle_seconds: float = 620.0


class ShortAnswer(web.Response):
    """A text that closes the connection, and does not name the software behind it."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None):
        super().__init__(status=status, text=f"{HTTPStatus(status).phrase}\n", headers=headers)
        self.force_close()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("Server", None)


class HttpConnection(RequestHandler):
    """See the module."""

    __slots__ = ("_api_options", "_head_bytes", "_head_timer", "_last_body")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, options: Http1Options):
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=options.idle_seconds,
            lingering_time=1.0,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_HEADERS,
            auto_decompress=False,
        )
        self._api_options = options
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._last_body: Any = None

    def data_received(self, data: bytes) -> None:
        """Bytes of heads and bodies; those of an unfinished head are counted."""
        between = self._is_between_requests()
        super().data_received(data)
        if self._messages:
            self._last_body = self._messages[-1][1]
        if not between or self._messages or self._force_close or self._close or self._upgraded:
            self._head_done()
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "Request Header Fields Too Large")
        elif self._head_timer is None and data:
            self._head_timer = self._loop.call_later(self._api_options.head_seconds, self._head_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        self._head_done()
        self._last_body = None
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return not self._messages and (self._last_body is None or self._last_body.is_eof())

    def _head_done(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        self._refuse(408, "Request Timeout")

    def _refuse(self, status: int, phrase: str) -> None:
        """Close; say why, unless an answer is being written at this moment."""
        self._head_done()
        if self.transport is not None and not self._request_in_progress:
            self.transport.write(
                f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Length: {len(phrase) + 1}\r\nConnection: close\r\n\r\n{phrase}\n".encode()
            )
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP, and what nobody foresaw: an answer that tells nothing of us.

        Raises:
            ConnectionError: an answer had begun; nothing can be said any more.
        """
        if isinstance(exc, LineTooLong):
            status = 431
        if status >= 500 or not isinstance(exc, BadHttpMessage):
            log.error("a request failed", exc_info=exc, extra={"peer": request.remote})
        else:
            log.debug("not understood as HTTP", extra={"peer": request.remote})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun")
        return ShortAnswer(status)
