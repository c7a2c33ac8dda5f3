"""The reading verbs: get, list by pages, watch."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tiphys.kube.calls import Calls, decoded
from tiphys.kube.discovery import ApiResource
from tiphys.kube.nesting import cut
from tiphys.kube.streaming import event_lines
from tiphys.kube.transport import Purpose
from tiphys.resources.identity import GVK, Manifest

PAGE_BYTES = 2_000_000
"""Pages are made smaller when objects are large: a page is decoded in one go."""

WATCH_SECONDS = 290.0
"""The server is asked to end a watch after this long, give or take a fifth."""

WATCH_IDLE_SECONDS = 100.0
"""Bookmarks come every minute; a stream silent for this long is taken for half-open."""

_METADATA_ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class _ListHead(msgspec.Struct, rename="camel", frozen=True):
    class Meta(msgspec.Struct, rename={"continue_": "continue"}, frozen=True):
        continue_: str = ""

    metadata: Meta


_list_head = msgspec.json.Decoder(_ListHead)


class Reads(Calls):
    """Reads objects of a cluster."""

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
        return decoded(answer)

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


def _continuation(page: bytes) -> str:
    """The continue token of a page; ``""`` on the last one."""
    items = page.find(b'"items":', 0, 4096)
    if items > 0:  # built-in kinds: the metadata comes first, the rest need not be scanned
        try:
            return _list_head.decode(page[:items] + b'"items":null}').metadata.continue_
        except msgspec.DecodeError:
            pass
    try:
        return _list_head.decode(page).metadata.continue_
    except RecursionError:
        return _list_head.decode(cut(page)).metadata.continue_
