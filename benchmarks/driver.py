"""The user of the benchmark: creates and annotates Applications, edits ConfigMaps, and watches both.

It counts its own requests by verb, so that they can be taken off the API server's count, and reads
watch events in one pass into small structures, because its CPU is taken from the measured product.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec

from tests.controlplane import ControlPlane

APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
AT_ONCE = 32


class _Sync(msgspec.Struct):
    status: str = ""
    revision: str = ""


class _Health(msgspec.Struct):
    status: str = ""


class _Operation(msgspec.Struct):
    phase: str = ""


class _Status(msgspec.Struct, rename="camel"):
    sync: _Sync = msgspec.field(default_factory=_Sync)
    health: _Health = msgspec.field(default_factory=_Health)
    operation_state: _Operation | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""
    annotations: dict[str, str] = {}


class Seen(msgspec.Struct):
    """What the driver looks at in an Application or a ConfigMap."""

    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)
    data: dict[str, str] = {}

    @property
    def version(self) -> int:
        """Versions of one collection are ordered."""
        return int(self.metadata.resource_version)

    @property
    def is_well(self) -> bool:
        operation = self.status.operation_state
        return (
            self.status.sync.status == "Synced"
            and self.status.health.status == "Healthy"
            and (operation is None or operation.phase == "Succeeded")
        )


class _List(msgspec.Struct):
    metadata: _Metadata
    items: list[Seen] = []


class _Event(msgspec.Struct):
    type: str
    object: Seen


class Watched:
    """The newest version of each object of one collection, and a way to wait for a state of it."""

    def __init__(self) -> None:
        self.objects: dict[str, Seen] = {}
        self._changed = asyncio.Condition()

    async def put(self, seen: Seen, *, gone: bool = False) -> None:
        async with self._changed:
            if gone:
                self.objects.pop(seen.metadata.name, None)
            else:
                self.objects[seen.metadata.name] = seen
            self._changed.notify_all()

    async def wait_for(self, condition: Callable[[dict[str, Seen]], bool], *, seconds: float) -> bool:
        """Whether the condition came true within the time; it is asked after each event."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: condition(self.objects))
                return True
        return False

    async def wait_for_name(self, name: str, condition: Callable[[Seen], bool], *, seconds: float) -> bool:
        return await self.wait_for(
            lambda objects: name in objects and condition(objects[name]), seconds=seconds
        )


class Driver:
    """An administrator's connection to the plane. Use as ``async with``."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.requests: Counter[str] = Counter()

    async def __aenter__(self) -> Driver:
        context = ssl.create_default_context(cafile=str(self._plane.ca_file))
        pki = self._plane.folder / "pki"
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._session = aiohttp.ClientSession(
            self._plane.server, connector=aiohttp.TCPConnector(ssl=context, limit=AT_ONCE + 8)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Any = None, content_type: str = "") -> bytes:
        """One counted request.

        Raises:
            aiohttp.ClientResponseError: the server refused it.
        """
        self.requests[method] += 1
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type or "application/json"}
        async with self._session.request(method, path, data=data, headers=headers) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
            return text

    async def merge(self, path: str, body: Any) -> int:
        """A merge patch; the version that it made."""
        answer = await self.request("PATCH", path, body, "application/merge-patch+json")
        return msgspec.json.decode(answer, type=Seen).version

    async def each(self, calls: Iterable[Callable[[], Any]]) -> None:
        """Run many calls, at most ``AT_ONCE`` at a time."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(call: Callable[[], Any]) -> None:
            async with gate:
                await call()

        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(one(call))

    async def metrics(self) -> str:
        async with self._session.get("/metrics") as answer:
            return await answer.text()

    async def watch(self, path: str, watched: Watched, *, selector: str = "") -> None:
        """List a collection, then keep ``watched`` up to date until cancelled."""
        query = f"&labelSelector={selector}" if selector else ""
        first = msgspec.json.decode(await self.request_list(f"{path}?{query.lstrip('&')}"), type=_List)
        for item in first.items:
            await watched.put(item)
        version = first.metadata.resource_version
        decoder = msgspec.json.Decoder(_Event)
        while True:
            url = f"{path}?watch=1&resourceVersion={version}{query}&allowWatchBookmarks=true"
            timeout = aiohttp.ClientTimeout(total=None)
            async with self._session.get(url, timeout=timeout) as answer:
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        event = decoder.decode(line)
                        version = event.object.metadata.resource_version
                        if event.type != "BOOKMARK":
                            await watched.put(event.object, gone=event.type == "DELETED")

    async def request_list(self, path: str) -> bytes:
        self.requests["LIST"] += 1
        async with self._session.get(path) as answer:
            answer.raise_for_status()
            return await answer.read()

    # -- Applications -------------------------------------------------------------------------

    async def create_application(self, name: str, url: str, path: str, namespace: str) -> None:
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name},
            "spec": {
                "project": "default",
                "source": {"repoURL": url, "path": path, "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
                "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
            },
        }
        await self.request("POST", APPLICATIONS, body)

    async def refresh(self, name: str, kind: str = "normal") -> int:
        """Ask for a refresh; the version of the Application that has the question in it."""
        return await self.merge(
            f"{APPLICATIONS}/{name}", {"metadata": {"annotations": {"argocd.argoproj.io/refresh": kind}}}
        )
