"""``/api/``: a request becomes a call of a method, and its outcome an answer (api.md 1, 3, 4).

Reads as the story of a request: content type, route, message, call, answer. What is wrong before the call
is answered here; everything that happens in it comes back as an ``ApiFailure``.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from tiphys.access.certificates import metadata_of as certificate_metadata
from tiphys.resources import gojson
from tiphys.resources.errors import InvalidObject
from tiphys.resources.messages.session import SessionResponse
from tiphys.resources.wire.required import missing_required
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument, unauthenticated
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Encoded, Method
from tiphys.server.http.answers import JSON, failure_answer, plain
from tiphys.server.http.app_fields import AppFields
from tiphys.server.http.bodies import SMALL_BYTES, BodyProblem, BodyRoom, JsonSplitter, body_parts, read_body
from tiphys.server.http.compression import SMALLEST_BYTES, accepts_gzip, gzipped
from tiphys.server.http.cookies import TooManyCookies, session_cookies
from tiphys.server.http.fields import HONOURED, Fields
from tiphys.server.http.metadata import BadTimeout, answer_headers, metadata_of, timeout_of
from tiphys.server.http.options import HttpOptions
from tiphys.server.http.pieces import send_pieces
from tiphys.server.http.queries import BadQuery, parse_query
from tiphys.server.http.requests import build_request
from tiphys.server.http.routing import BadPath, Found, Missing, RouteTable, routed_path
from tiphys.server.http.streaming import EVENT_STREAM, Envelope, log_file_name, send_log_file, send_stream

APPLICATIONS = "/application.ApplicationService/List"
LOGS = "/application.ApplicationService/PodLogs"
FORM = "application/x-www-form-urlencoded"


class Gateway:
    """See the module."""

    def __init__(self, methods: Sequence[Method], invoker: Invoker, options: HttpOptions):
        self._routes = RouteTable(methods)
        self._invoker = invoker
        self._options = options
        self._room = BodyRoom()
        self._content_types = frozenset(each.lower() for each in options.content_types if each)

    async def handle(self, request: web.Request, raw_path: str) -> web.StreamResponse:
        """The answer to a request below ``/api/``; ``raw_path`` is without the root path."""
        if not self._is_content_type_allowed(request):
            return closing(plain(415, "Invalid content type"), request)
        try:
            found, query = await self._find(request, raw_path)
            if isinstance(found, Missing):
                return closing(plain(found.status, found.text), request)
            return await self._call(request, found, query)
        except ApiFailure as failure:
            return closing(failure_answer(failure, answer_headers({})), request)
        except BodyProblem as problem:
            answer = plain(problem.status, problem.text)
            answer.force_close()
            return answer

    def _is_content_type_allowed(self, request: web.Request) -> bool:
        if request.method == "GET" or not self._content_types:
            return True
        return request.headers.get("Content-Type", "").lower() in self._content_types

    async def _find(
        self, request: web.Request, raw_path: str
    ) -> tuple[Found | Missing, dict[str, list[str]]]:
        """The method; a form sent by POST may stand for another verb, with its fields as the query."""
        try:
            path = routed_path(raw_path)
            query = parse_query(request.rel_url.raw_query_string)
        except (BadPath, BadQuery) as error:
            raise invalid_argument(str(error)) from None
        verb, is_form = request.method, False
        if verb == "POST" and request.headers.get("Content-Type", "") == FORM:
            is_form = True
            verb = request.headers.get("X-HTTP-Method-Override", verb).upper()
        found = self._routes.find(verb, path)
        if is_form and isinstance(found, Missing) and found.status == 405:
            found = self._routes.find("GET", path)
        if is_form and isinstance(found, Found) and not found.route.body:
            query = {**query, **await self._form(request)}
        return found, query

    async def _form(self, request: web.Request) -> dict[str, list[str]]:
        seconds = self._options.body_seconds
        body = await read_body(request, self._room, _nobody, limit=SMALL_BYTES, seconds=seconds)
        try:
            return parse_query(body.decode())
        except (BadQuery, UnicodeDecodeError) as error:
            raise invalid_argument(str(error)) from None

    async def _call(
        self, request: web.Request, found: Found, query: Mapping[str, Sequence[str]]
    ) -> web.StreamResponse:
        method = found.method
        call = Call(
            transport="rest",
            metadata={**metadata_of(request.headers.items()), **_certificate(request)},
            peer=(request.remote or "").removeprefix("::ffff:"),
            deadline=_deadline(request),
            query=query,
        )
        message: Any
        if method.client_streaming:
            message = self._messages(request, method, call)
        else:
            body = await self._body(request, method, call) if found.route.body else b""
            message = build_request(found, body, query)
            await self._check_required(method, call, message)
        if method.server_streaming:
            return await self._stream(request, method, call, message)
        answer = await self._invoker.unary(method, call, message)
        return await self._answer(request, method, call, answer)

    async def _body(self, request: web.Request, method: Method, call: Call) -> bytes:
        async def admit() -> None:
            await self._invoker.admit(method, call)
            if not (call.identity.is_authenticated or call.identity.is_unrestricted):
                raise unauthenticated("no session information")

        options = self._options
        return await read_body(
            request, self._room, admit, limit=options.max_body_bytes, seconds=options.body_seconds
        )

    async def _check_required(self, method: Method, call: Call, message: msgspec.Struct) -> None:
        """Refuse a message that the reference's gateway could not write (api.md 3); who is not let in
        hears that first."""
        missing = missing_required(message)
        if missing:
            await self._invoker.admit(method, call)
            raise ApiFailure(Code.INTERNAL, f"grpc: error while marshaling: {missing}")

    async def _messages(
        self, request: web.Request, method: Method, call: Call
    ) -> AsyncIterator[msgspec.Struct]:
        """The messages of a client stream; what is wrong with one is the failure of the call."""
        splitter = JsonSplitter(self._options.max_body_bytes)
        try:
            async for part in body_parts(request, seconds=self._options.body_seconds, whole=False):
                for each in splitter.feed(part):
                    message = gojson.loads(method.request, each)
                    await self._check_required(method, call, message)
                    yield message
        except InvalidObject as error:
            raise invalid_argument(str(error)) from None
        except RecursionError:
            raise invalid_argument("exceeded max depth") from None
        except BodyProblem as problem:
            raise invalid_argument(problem.text) from None
        if not splitter.is_between:
            raise invalid_argument("unexpected EOF")

    async def _stream(
        self, request: web.Request, method: Method, call: Call, message: Any
    ) -> web.StreamResponse:
        options = self._options
        answers = self._invoker.stream(method, call, message)

        def complete(response: web.StreamResponse) -> None:
            response.headers.update(answer_headers(call.headers))
            for cookie in self._cookies(call, None):
                response.headers.add("Set-Cookie", cookie)

        try:
            if method.path == LOGS and call.parameter("download") == "true":
                names = (call.parameter(each) for each in ("namespace", "podName", "container"))
                return await send_log_file(request, answers, options, complete, log_file_name(*names))
            events = request.headers.get("Accept", "") == EVENT_STREAM
            fields = Fields.parse(call.parameter("fields")) if method.path in HONOURED else None
            envelope = Envelope(method, fields, events=events)
            return await send_stream(request, answers, envelope, options, complete, events=events)
        finally:
            await answers.aclose()  # type: ignore[attr-defined]

    async def _answer(
        self, request: web.Request, method: Method, call: Call, answer: msgspec.Struct | Encoded
    ) -> web.StreamResponse:
        response = web.Response(headers={"Content-Type": JSON, **answer_headers(call.headers)})
        for cookie in self._cookies(call, answer):
            response.headers.add("Set-Cookie", cookie)
        if isinstance(answer, Encoded) and answer.etag and request.method == "GET":
            tag = f'"{answer.etag}"'
            response.headers["ETag"] = f"W/{tag}"  # weak: the same with and without gzip
            response.headers["Cache-Control"] = "private, no-cache"
            if _has_it_already(request, tag):
                response.set_status(304)
                return response
        zipped = self._options.gzip and accepts_gzip(request.headers)
        whole = not (method.path in HONOURED and call.parameter("fields"))
        if isinstance(answer, Encoded) and answer.pieces is not None and whole and not zipped:
            if self._options.gzip:
                response.headers["Vary"] = "Accept-Encoding"
            seconds = self._options.write_seconds
            return await send_pieces(request, response.headers, answer.pieces(), write_seconds=seconds)
        body = _text_of(method, call, answer)
        if self._options.gzip and len(body) >= SMALLEST_BYTES:
            response.headers["Vary"] = "Accept-Encoding"
            if accepts_gzip(request.headers) and request.headers.get("Accept", "") != EVENT_STREAM:
                response.headers["Content-Encoding"] = "gzip"
                body = await gzipped(body)
        response.body = body
        return response

    def _cookies(self, call: Call, answer: msgspec.Struct | Encoded | None) -> list[str]:
        token = answer.token if isinstance(answer, SessionResponse) else call.headers.get("renew-token", "")
        if not token:
            return []
        options = self._options
        try:
            return session_cookies(
                token,
                call.renewed_state,
                options.href,
                secure=options.secure_cookies,
                max_chunks=options.max_cookies,
            )
        except TooManyCookies as error:
            raise ApiFailure(Code.UNKNOWN, str(error)) from None


def _text_of(method: Method, call: Call, answer: msgspec.Struct | Encoded) -> bytes:
    text = call.parameter("fields") if method.path in HONOURED else ""
    fields = Fields.parse(text) if text else None
    end = b"\n" if method.path == APPLICATIONS else b""
    if fields is None:
        return _ended(answer.json() if isinstance(answer, Encoded) else gojson.dumps(answer), end)
    if isinstance(answer, Encoded) and answer.select is not None:
        return _ended(answer.select(text.split(",")), end)
    encoded = answer.json() if isinstance(answer, Encoded) else gojson.dumps(answer)
    if method.path == APPLICATIONS:
        return AppFields.parse(text.split(",")).filtered(encoded) + end
    return fields.filtered(encoded)


def _ended(body: bytes, end: bytes) -> bytes:
    """The text with its end, which large ones have already."""
    return body if not end or body.endswith(end) else body + end


async def _nobody() -> None:
    """A form is never large."""


def _certificate(request: web.Request) -> Mapping[str, tuple[str, ...]]:
    transport = request.transport
    return certificate_metadata(transport.get_extra_info("ssl_object") if transport is not None else None)


def _deadline(request: web.Request) -> float | None:
    text = request.headers.get("Grpc-Timeout")
    if not text:
        return None
    try:
        return asyncio.get_running_loop().time() + timeout_of(text)
    except BadTimeout as error:
        raise invalid_argument(str(error)) from None


def _has_it_already(request: web.Request, tag: str) -> bool:
    known = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    return tag in known or "*" in known


def closing(answer: web.Response, request: web.Request) -> web.Response:
    """The answer, with the connection closed behind it where a body was left unread: reading what nobody
    wants costs more than a new connection."""
    if request.can_read_body and not request.content.at_eof():
        answer.force_close()
    return answer
