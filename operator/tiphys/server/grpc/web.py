"""gRPC-web: the same calls inside HTTP/1.1 requests, as the published command line reads them (api.md 5).

A request's body is one framed message; the answer is framed messages and a frame of trailers. A call that
fails before its first message is answered by headers alone, because that client looks for an error nowhere
else; so the head of an answer waits for the first message, as in the reference.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiohttp import web

from tiphys.access.certificates import metadata_of as certificate_metadata
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, unauthenticated
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Encoded, Method
from tiphys.server.grpc.ledger import Ledger
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.messages import PREFIX, TRAILERS, MessageReader, framed, too_large_to_send
from tiphys.server.grpc.metadata import binary_safe, metadata_of, seconds, status
from tiphys.server.grpc.table import Bound, find, table_of

CONTENT_TYPE = "application/grpc-web+proto"


class GrpcWeb:
    """See the module."""

    def __init__(
        self,
        methods: Iterable[Method],
        invoker: Invoker,
        limits: Limits | None = None,
        ledger: Ledger | None = None,
        others: Iterable[Bound] = (),
    ):
        """``ledger``, ``others``: as for ``protocol.GrpcProtocol``, and better the same one."""
        self._table = table_of(methods) | {bound.method.path: bound for bound in others}
        self._invoker = invoker
        self._limits = limits or Limits()
        self._ledger = ledger or Ledger(self._limits)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request whose content type is exactly ``application/grpc-web+proto``."""
        if request.method != "POST":
            return web.Response(
                status=405, text="gRPC-web calls are POST requests", headers={"Allow": "POST"}
            )
        exchange = _Exchange(request, self._limits)
        call = Call(transport="grpc-web", peer=request.remote or "")
        try:
            transport = request.transport
            tls = transport.get_extra_info("ssl_object") if transport is not None else None
            call.metadata = {**metadata_of(request.raw_headers), **certificate_metadata(tls)}
            timeout = seconds(request.headers.get("grpc-timeout", ""))
            if timeout is not None:
                call.deadline = asyncio.get_running_loop().time() + timeout
            # A root path is in front of service and method.
            bound = find(self._table, "/" + "/".join(request.path.rsplit("/", 2)[-2:]))
            messages = await self._messages(request, bound, call)
            async for answer in self._answers(bound, call, messages):
                await exchange.send(bound, answer, call)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        except ApiFailure as failure:
            return await exchange.end(failure.code, failure.message, call)
        return await exchange.end(Code.OK, "", call)

    async def _messages(self, request: web.Request, bound: Bound, call: Call) -> list[bytes]:
        """The messages of the body.

        Raises:
            ApiFailure: they are too large, too many, or none.
        """
        limits = self._limits
        reader = MessageReader(limits.max_message, request.headers.get("grpc-encoding", ""))
        messages: list[bytes] = []
        received = reserved = 0
        try:
            async with asyncio.timeout(limits.unasked_after):
                while data := await request.content.readany():
                    received += len(data)
                    expected = max(received, request.content_length or 0)
                    if expected > limits.max_message + PREFIX:
                        raise ApiFailure(
                            Code.RESOURCE_EXHAUSTED,
                            f"grpc: received message larger than max ({expected - PREFIX} vs. "
                            f"{limits.max_message})",
                        )
                    if received > limits.small_message and not reserved:
                        await self._admit(bound, call)
                        self._ledger.reserve(limits.max_message if expected == received else expected)
                        reserved = limits.max_message if expected == received else expected
                    reader.feed(data)
                    while (message := reader.next()) is not None:
                        messages.append(message)
        except TimeoutError:
            raise ApiFailure(Code.DEADLINE_EXCEEDED, "the request did not arrive in time") from None
        finally:
            self._ledger.release(reserved)
        if not reader.is_between:
            raise ApiFailure(Code.INTERNAL, "unexpected EOF")
        if not bound.method.client_streaming and len(messages) != 1:
            count = "multiple request messages" if messages else "no request message"
            raise ApiFailure(
                Code.INTERNAL, f"cardinality violation: received {count} for non-client-streaming RPC"
            )
        return messages

    async def _admit(self, bound: Bound, call: Call) -> None:
        await self._invoker.admit(bound.method, call)
        if not (call.identity.is_authenticated or call.identity.is_unrestricted):
            raise unauthenticated("no session information")

    async def _answers(self, bound: Bound, call: Call, messages: list[bytes]) -> AsyncIterator[Any]:
        method = bound.method
        request = _decoded(bound, messages) if method.client_streaming else bound.decode(messages[0])
        if not method.server_streaming:
            yield await self._invoker.unary(method, call, request)
            return
        answers = self._invoker.stream(method, call, request)
        try:
            async for answer in answers:
                yield answer
        finally:
            await answers.aclose()  # type: ignore[attr-defined]


async def _decoded(bound: Bound, messages: list[bytes]) -> AsyncIterator[Any]:
    for message in messages:
        yield bound.decode(message)


class _Exchange:
    """The answer to one request, begun with the first message."""

    def __init__(self, request: web.Request, limits: Limits):
        self._request = request
        self._limits = limits
        self._response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})

    async def send(self, bound: Bound, answer: Any, call: Call) -> None:
        payload = answer.proto() if isinstance(answer, Encoded) else bound.encode(answer)
        if len(payload) > self._limits.max_message:
            raise too_large_to_send(len(payload), self._limits.max_message)
        if not self._response.prepared:
            self._describe(call)
            await self._response.prepare(self._request)
        await self._write(framed(payload))

    async def end(self, code: Code, message: str, call: Call) -> web.StreamResponse:
        response, trailers = self._response, status(code, message)
        if not response.prepared and code is Code.OK:
            # A stream that ends well without a message: the client waits for the frame of trailers.
            self._describe(call)
            await response.prepare(self._request)
        if not response.prepared:
            self._describe(call)
            for key, value in trailers:
                response.headers[key.decode()] = value.decode()
            response.content_length = 0
            await response.prepare(self._request)
            if not self._request.content.at_eof():
                response.force_close()
        else:
            lines = b"".join(b"%b: %b\r\n" % pair for pair in trailers)
            await self._write(framed(lines, TRAILERS))
        await response.write_eof()
        return response

    def _describe(self, call: Call) -> None:
        for key, value in binary_safe(call.headers):
            self._response.headers[key.decode()] = value.decode()

    async def _write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._limits.stalled_after):
                await self._response.write(data)
        except TimeoutError:
            # The client reads nothing; what waits for it is let go.
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client reads nothing") from None
