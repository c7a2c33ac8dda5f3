"""Services of the tests: shapes of calls, not behaviour of the product."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tiphys.kube.errors import Conflict
from tiphys.resources.messages.application import (
    ApplicationManifestQuery,
    ApplicationManifestQueryWithFilesWrapper,
    ApplicationPodLogsQuery,
    LogEntry,
)
from tiphys.resources.messages.empty import Empty
from tiphys.resources.messages.repository import ManifestResponse
from tiphys.resources.messages.session import SessionCreateRequest, SessionResponse
from tiphys.resources.messages.version import VersionMessage
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, not_found
from tiphys.server.api.rpc import Encoded, Route, rpc

MIB = 1024 * 1024
NOW = "2026-11-27T03:00:00Z"


class Versions:
    """Answers at once, to anybody."""

    package, service = "version", "VersionService"

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @rpc("Version", Route("GET", "/api/version"), tolerant=True)
    async def version(self, call: Call, request: Empty) -> VersionMessage:
        self.calls.append(call)
        return VersionMessage(version="v3.6.0", platform=call.first("platform"))


class Sessions:
    """Tolerant, and reads what it is sent."""

    package, service = "session", "SessionService"

    @rpc("Create", Route("POST", "/api/v1/session", "*"), tolerant=True, quiet=True)
    async def create(self, call: Call, request: SessionCreateRequest) -> SessionResponse:
        return SessionResponse(token=f"{len(request.password or '')}")


class Applications:
    """``name`` says what happens.

    Attributes:
        made: answers of streams that were made so far.
        ended: names of calls that ended, whichever way.
    """

    package, service = "application", "ApplicationService"

    def __init__(self) -> None:
        self.made = 0
        self.ended: list[str] = []
        self.waiting = asyncio.Event()
        self.gate = asyncio.Event()
        self._end = asyncio.Condition()

    async def has_ended(self, name: str, times: int = 1) -> None:
        """Wait until so many calls of that name ended."""
        async with asyncio.timeout(10), self._end:
            await self._end.wait_for(lambda: self.ended.count(name) >= times)

    async def _note(self, name: str) -> None:
        async with self._end:
            self.ended.append(name)
            self._end.notify_all()

    @rpc("GetManifests", Route("GET", "/x"))
    async def manifests(self, call: Call, request: ApplicationManifestQuery) -> ManifestResponse | Encoded:
        name = request.name or ""
        try:
            if name == "missing":
                raise not_found('applications.argoproj.io "missing" not found: ä%\n')
            if name == "conflict":
                causes = {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.source"}]}
                raise Conflict(409, "Conflict", "Apply failed with 1 conflict", causes)
            if name == "broken":
                raise RuntimeError("the password is hunter2")
            if name == "wait":
                self.waiting.set()
                await asyncio.Event().wait()
            if name == "gate":
                self.waiting.set()
                await self.gate.wait()
            if name.startswith("size-"):
                return ManifestResponse(manifests=("x" * int(name[5:]),))
            return ManifestResponse(revision=name)
        finally:
            await self._note(name)

    @rpc("PodLogs", Route("GET", "/y"))
    async def logs(self, call: Call, request: ApplicationPodLogsQuery) -> AsyncIterator[LogEntry]:
        name = request.name or ""
        try:
            if name == "refused":
                raise ApiFailure(Code.PERMISSION_DENIED, "permission denied")
            content = "x" * (request.since_seconds or 1)
            for number in range(request.tail_lines or 0):
                self.made += 1
                yield LogEntry(
                    content=content,
                    time_stamp=NOW,
                    last=False,
                    time_stamp_str=NOW,
                    pod_name=str(number),
                )
            if name == "then-fail":
                raise not_found("gone")
            if name == "wait":
                self.waiting.set()
                await asyncio.Event().wait()
        finally:
            await self._note(name)

    @rpc("GetManifestsWithFiles", Route("POST", "/z", "*"))
    async def files(
        self, call: Call, request: AsyncIterator[ApplicationManifestQueryWithFilesWrapper]
    ) -> ManifestResponse:
        sizes = []
        async for part in request:
            if part.chunk is not None:
                sizes.append(str(len(part.chunk.chunk or b"")))
            elif part.query is not None and part.query.name == "early":
                raise not_found("enough")
        return ManifestResponse(manifests=tuple(sizes))
