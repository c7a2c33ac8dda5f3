"""The verbs: get, list, watch, create, replace, patch, apply, delete.

A :class:`ClusterClient` is one identity on one cluster. It finds a kind's URL in the cached
discovery (asking again, at most every few seconds, when a kind is unknown), sends through the
shared transport, and gives back decoded objects. ``impersonating`` makes a client with the same
connections and discovery that acts as somebody else.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import orjson

from tiphys.kube.connections import Connection
from tiphys.kube.discovery import ApiResource, Discovery, discover
from tiphys.kube.errors import ApiError, BadRequest, UnknownKind
from tiphys.kube.limits import Limits
from tiphys.kube.streaming import event_lines
from tiphys.kube.transport import OnRequest, Purpose, RequestSample, Response, Transport
from tiphys.resources.identity import GVK, Manifest, gvk_of, key_of

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"

PAGE_BYTES = 2_000_000
"""Pages are made smaller when objects are large: a page is decoded in one go."""

WATCH_SECONDS = 290.0
"""The server is asked to end a watch after this long, give or take a fifth."""

WATCH_IDLE_SECONDS = 100.0
"""Bookmarks come every minute; a stream silent for this long is taken for half-open."""

_METADATA_ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_DISCOVERY_SECONDS = 5.0


class _ListHead(msgspec.Struct, rename="camel", frozen=True):
    class Meta(msgspec.Struct, rename={"continue_": "continue"}, frozen=True):
        continue_: str = ""

    metadata: Meta


_list_head = msgspec.json.Decoder(_ListHead)


class _SharedDiscovery:
    """The discovery snapshot that a client and its impersonating twins share."""

    def __init__(self) -> None:
        self.snapshot: Discovery | None = None
        self.read_at = 0.0
        self.lock = asyncio.Lock()


class ClusterClient:
    """Calls to one cluster as one identity.

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

    def impersonating(self, user: str) -> "ClusterClient":
        """A client that acts as ``user``; closing it is not needed."""
        twin = object.__new__(ClusterClient)
        twin._transport = self._transport
        twin._discovery = self._discovery
        twin._headers = {"Impersonate-User": user}
        return twin

    async def close(self) -> None:
        """Close all connections (also those of impersonating twins)."""
        await self._transport.close()

    # Discovery

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

    # Reading

    async def get(self, gvk: GVK, namespace: str, name: str) -> Manifest:
        """One object.

        Raises:
            NotFound: it is not there (``UnknownKind`` is not a ``NotFound``).
        """
        resource = await self.resource_of(gvk)
        path = self._path(resource, namespace, name)
        answer = await self._send(
            "GET", path, Purpose("get", resource.label, repeatable=True, namespace=namespace)
        )
        return _decode(answer)

    async def list_pages(
        self,
        resource: ApiResource,
        namespace: str = "",
        limit: int = 500,
        label_selector: str = "",
        *,
        field_selector: str = "",
        metadata_only: bool = False,
        page_bytes: int = PAGE_BYTES,
    ) -> AsyncIterator[bytes]:
        """Raw pages (a List object each), at most ``limit`` objects and about ``page_bytes`` long.

        Raises:
            Gone: the continue token expired between pages: start again.
        """
        # Secrets and ConfigMaps may have a megabyte each: feel the way.
        size = limit if resource.plural not in ("secrets", "configmaps") else min(limit, 100)
        params = {"limit": str(size)}
        if label_selector:
            params["labelSelector"] = label_selector
        if field_selector:
            params["fieldSelector"] = field_selector
        headers = {"Accept": _METADATA_LIST} if metadata_only else None
        purpose = Purpose("list", resource.label, repeatable=True)
        path = resource.path(namespace)
        while True:
            answer = await self._send("GET", path, purpose, params=params, headers=headers)
            yield answer.body
            token = _continuation(answer.body)
            if not token:
                return
            each = max(1, len(answer.body) // size)  # there is more, so this page was full
            size = max(10, min(limit, page_bytes // each))
            params["limit"] = str(size)
            params["continue"] = token

    @asynccontextmanager
    async def watch(
        self,
        resource: ApiResource,
        namespace: str = "",
        resource_version: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        seconds: float = WATCH_SECONDS,
        idle_seconds: float = WATCH_IDLE_SECONDS,
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """Open a watch with bookmarks: ``async with client.watch(…) as batches: async for lines in
        batches``; each line is ``{"type": …, "object": …}``.

        Ends normally when the server's time limit is over.

        Raises:
            Gone: ``resource_version`` is too old. Other :class:`ApiError`: refused, at once or later.
            ClusterUnreachable: broken or silent for ``idle_seconds``.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, int(seconds * random.uniform(0.8, 1.2)))),
        }
        if resource_version:
            params["resourceVersion"] = resource_version
        if label_selector:
            params["labelSelector"] = label_selector
        if field_selector:
            params["fieldSelector"] = field_selector
        headers = dict(self._headers)
        if metadata_only:
            headers["Accept"] = _METADATA_ONE
        async with self._transport.stream(
            resource.path(namespace),
            Purpose("watch", resource.label),
            params=params,
            headers=headers,
            idle_seconds=idle_seconds,
        ) as answer:
            yield event_lines(answer)

    # Writing

    async def create(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """POST. Never repeated after it may have reached the server.

        ``warnings`` collects the texts of the answer's Warning headers (all writing verbs).

        Raises:
            AlreadyExists, Invalid, …
        """
        resource = await self.resource_of(gvk_of(manifest))
        namespace = key_of(manifest).namespace
        path = self._path(resource, namespace, None)
        params = _write_params(dry_run, field_manager, field_validation)
        purpose = Purpose("create", resource.label, dry_run, repeatable=dry_run, namespace=namespace)
        answer = await self._send("POST", path, purpose, params=params, body=orjson.dumps(manifest))
        return _taken(answer, warnings)

    async def replace(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
        subresource: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """PUT. Repeated safely only without a resourceVersion in ``manifest``."""
        resource = await self.resource_of(gvk_of(manifest))
        key = key_of(manifest)
        versioned = bool((manifest.get("metadata") or {}).get("resourceVersion"))
        purpose = Purpose(
            "update",
            resource.label,
            dry_run,
            repeatable=dry_run or not versioned,
            namespace=key.namespace,
        )
        answer = await self._send(
            "PUT",
            self._path(resource, key.namespace, key.name, subresource),
            purpose,
            params=_write_params(dry_run, field_manager, field_validation),
            body=orjson.dumps(manifest),
        )
        return _taken(answer, warnings)

    async def patch(
        self,
        gvk: GVK,
        namespace: str,
        name: str,
        body: bytes | Any,
        content_type: str,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        force: bool = False,
        field_validation: str = "",
        subresource: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """PATCH with one of the content types of this module; ``force`` is for server-side apply."""
        resource = await self.resource_of(gvk)
        params = _write_params(dry_run, field_manager, field_validation)
        is_apply = content_type == APPLY_PATCH
        if is_apply and force:
            params["force"] = "true"
        purpose = Purpose(
            "apply" if is_apply else "patch",
            resource.label,
            dry_run,
            # Merge patches and applies say what shall be; a JSON patch says what to do.
            repeatable=dry_run or content_type != JSON_PATCH,
            namespace=namespace,
        )
        answer = await self._send(
            "PATCH",
            self._path(resource, namespace, name, subresource),
            purpose,
            params=params,
            body=body if isinstance(body, bytes) else orjson.dumps(body),
            headers={"Content-Type": content_type},
        )
        return _taken(answer, warnings)

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
        field_validation: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """Server-side apply.

        Raises:
            Conflict: without ``force``, another manager owns a field (``details["causes"]``).
        """
        key = key_of(manifest)
        return await self.patch(
            gvk_of(manifest),
            key.namespace,
            key.name,
            orjson.dumps(manifest),
            APPLY_PATCH,
            dry_run=dry_run,
            field_manager=field_manager,
            force=force,
            field_validation=field_validation,
            warnings=warnings,
        )

    async def delete(
        self,
        gvk: GVK,
        namespace: str,
        name: str,
        *,
        propagation_policy: str = "Foreground",
        uid: str | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> Manifest:
        """DELETE; the answer is the object on its way out, or a Status.

        ``uid`` guards against deleting a namesake.

        Raises:
            NotFound: it is gone already. Conflict: ``uid`` is another.
        """
        resource = await self.resource_of(gvk)
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if propagation_policy:
            options["propagationPolicy"] = propagation_policy
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if dry_run:
            options["dryRun"] = ["All"]
        repeatable = dry_run or uid is not None
        purpose = Purpose("delete", resource.label, dry_run, repeatable=repeatable, namespace=namespace)
        answer = await self._send(
            "DELETE", self._path(resource, namespace, name), purpose, body=orjson.dumps(options)
        )
        return _decode(answer)

    # Anything else

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
        path = resource.path(quote(namespace, safe=""))
        if name is not None:
            if not name:
                raise BadRequest(400, "BadRequest", f"{resource.kind} without a name")
            path += "/" + quote(name, safe="")
        return f"{path}/{subresource}" if subresource else path


def _continuation(page: bytes) -> str:
    """The continue token of a page; ``""`` on the last one."""
    items = page.find(b'"items":', 0, 4096)
    if items > 0:  # built-in kinds: the metadata comes first, the rest need not be scanned
        try:
            return _list_head.decode(page[:items] + b'"items":null}').metadata.continue_
        except msgspec.DecodeError:
            pass
    return _list_head.decode(page).metadata.continue_


def _write_params(dry_run: bool, field_manager: str, field_validation: str) -> dict[str, str]:
    params = {}
    if dry_run:
        params["dryRun"] = "All"
    if field_manager:
        params["fieldManager"] = field_manager
    if field_validation:
        params["fieldValidation"] = field_validation
    return params


def _decode(answer: Response) -> Manifest:
    try:
        decoded = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise ApiError(answer.status, "InternalError", "the server's answer is not JSON") from None
    if not isinstance(decoded, dict):
        raise ApiError(answer.status, "InternalError", "the server's answer is not an object")
    return decoded


def _taken(answer: Response, warnings: list[str] | None) -> Manifest:
    if warnings is not None:
        warnings.extend(answer.warnings)
    return _decode(answer)
