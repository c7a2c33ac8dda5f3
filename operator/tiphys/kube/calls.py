"""Calls to one cluster as one identity: where a kind is served, and how a request is sent.

Discovery is read when it is first needed, kept, and read again (at most every few seconds) when a
kind is unknown; clients of other identities on the same cluster share it with the connections.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
import orjson

from tiphys.kube.connections import Connection
from tiphys.kube.discovery import ApiResource, Discovery, discover
from tiphys.kube.errors import ApiError, BadRequest, UnknownKind
from tiphys.kube.limits import Limits
from tiphys.kube.nesting import TOO_DEEP, cut
from tiphys.kube.transport import OnRequest, Purpose, RequestSample, Response, Transport
from tiphys.resources.identity import GVK, Manifest

_DISCOVERY_SECONDS = 5.0


class _SharedDiscovery:
    """The discovery snapshot that a client and its impersonating twins share."""

    def __init__(self) -> None:
        self.snapshot: Discovery | None = None
        self.read_at = 0.0
        self.lock = asyncio.Lock()


class Calls:
    """What reading and writing share.

    ``on_request(verb, resource, code, dry_run)`` is told of every attempt; ``on_sample`` gets the
    measurements of the client metrics; ``on_begin`` is told before each attempt of a call.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        on_request: OnRequest | None = None,
        on_sample: Callable[[RequestSample], None] | None = None,
        on_begin: Callable[[Purpose], None] | None = None,
    ) -> None:
        self._transport = Transport(connection, limits, on_request, on_sample, on_begin)
        self._discovery = _SharedDiscovery()
        self._headers: dict[str, str] = {}

    @property
    def connection(self) -> Connection:
        return self._transport.connection

    @property
    def server(self) -> str:
        """URL of the API server (not necessarily the one in the settings: in-cluster differs)."""
        return self._transport.connection.server

    async def close(self) -> None:
        """Close all connections (also those of impersonating twins)."""
        await self._transport.close()

    async def discovery(self) -> Discovery:
        """The cached snapshot; read on first use."""
        return self._discovery.snapshot or await self.refresh_discovery()

    async def refresh_discovery(self) -> Discovery:
        """Read again; the same snapshot object if nothing changed. Concurrent callers share one read."""
        shared = self._discovery
        before = shared.read_at
        async with shared.lock:
            if shared.read_at == before or shared.snapshot is None:
                shared.snapshot = await discover(self._transport, {}, shared.snapshot)
                shared.read_at = asyncio.get_running_loop().time()
            return shared.snapshot

    async def resource_of(self, gvk: GVK) -> ApiResource:
        """How a kind is served.

        Raises:
            UnknownKind: not at all, also after asking again.
        """
        resource = (await self.discovery()).resource(gvk)
        if resource is None:
            age = asyncio.get_running_loop().time() - self._discovery.read_at
            if age > _DISCOVERY_SECONDS:
                resource = (await self.refresh_discovery()).resource(gvk)
        if resource is None:
            failed = (await self.discovery()).failed_groups
            raise UnknownKind(gvk, failed.get(gvk.api_version, ""))
        return resource

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        resource: str = "",
        repeatable: bool | None = None,
    ) -> Response:
        """Any request; reads are repeated when it is safe. Raises like the others."""
        if repeatable is None:
            repeatable = method in ("GET", "HEAD")
        purpose = Purpose(method.lower(), resource, repeatable=repeatable)
        return await self._send(method, path, purpose, params=params, body=body, headers=headers)

    @asynccontextmanager
    async def raw_stream(
        self, path: str, *, params: Mapping[str, str] | None = None, resource: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A long answer read piece by piece (Pod logs)."""
        purpose = Purpose("get", resource)
        async with self._transport.stream(
            path, purpose, params=params, headers=self._headers, idle_seconds=None
        ) as answer:
            yield answer

    @asynccontextmanager
    async def raw_websocket(
        self,
        path: str,
        *,
        protocols: Sequence[str],
        params: Mapping[str, str] | None = None,
        resource: str = "",
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A websocket (exec in Pods), as this client's identity. Raises ApiError, ClusterUnreachable."""
        async with self._transport.websocket(
            path, Purpose("get", resource), protocols=protocols, params=params, headers=self._headers
        ) as socket:
            yield socket

    async def _send(
        self,
        method: str,
        path: str,
        purpose: Purpose,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return await self._transport.request(method, path, purpose, params=params, body=body, headers=sent)

    def _path(self, resource: ApiResource, namespace: str, name: str | None, subresource: str = "") -> str:
        if resource.namespaced and not namespace:
            raise BadRequest(400, "BadRequest", f"{resource.kind} {name or ''} needs a namespace")
        for text in (namespace, name or ""):
            if problem := _no_segment(text):
                raise BadRequest(400, "BadRequest", f'invalid resource name "{text}": [{problem}]')
        path = resource.path(quote(namespace, safe=""))
        if name is not None:
            if not name:
                raise BadRequest(400, "BadRequest", f"{resource.kind} without a name")
            path += "/" + quote(name, safe="")
        return f"{path}/{subresource}" if subresource else path


def _no_segment(text: str) -> str:
    """Why a text is no name of an object. Quoting leaves steps alone, and API servers take a quoted slash
    for the beginning of a subresource."""
    if text in (".", ".."):
        return f"may not be '{text}'"
    if "/" in text:
        return "may not contain '/'"
    return "may not contain '%'" if "%" in text else ""


def decoded(answer: Response) -> Manifest:
    """The object of an answer.

    Raises:
        ApiError: it is none, or is nested too deeply.
    """
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        if cut(answer.body) != answer.body:
            raise ApiError(answer.status, "InternalError", TOO_DEEP) from None
        raise ApiError(answer.status, "InternalError", "the server's answer is not JSON") from None
    if not isinstance(body, dict):
        raise ApiError(answer.status, "InternalError", "the server's answer is not an object")
    return body
