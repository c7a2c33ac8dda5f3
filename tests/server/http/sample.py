"""A few methods in the shape of the real ones, for what HTTP does with any of them.

``Sample`` remembers the last request and answers what a test put into it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import orjson
from aiohttp.test_utils import TestServer
from yarl import URL

from tiphys.access.identity import NOBODY, Authentication, Identity
from tiphys.resources.application import Application, ApplicationList
from tiphys.resources.messages import account, application, clusters
from tiphys.resources.messages.cluster import ClusterQuery
from tiphys.resources.messages.repository import ManifestResponse
from tiphys.resources.messages.session import (
    SessionCreateRequest,
    SessionDeleteRequest,
    SessionResponse,
)
from tiphys.resources.messages.trees import ApplicationWatchEvent
from tiphys.resources.messages.version import VersionMessage
from tiphys.resources.spec import ApplicationSpec
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import Code
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Encoded, Method, Route, methods_of, rpc
from tiphys.server.http.app import build_app
from tiphys.server.http.options import HttpOptions


class Stage(msgspec.Struct):
    """What the methods saw, and what they shall do.

    Attributes:
        answer: returned by unary methods instead of their own answer.
        failure: raised by every method before its answer, by streams after ``events``.
        events: what streams send; a float is a pause in seconds, None waits for ever.
    """

    request: Any = None
    requests: list[Any] = msgspec.field(default_factory=list)
    call: Call | None = None
    answer: Any = None
    failure: BaseException | None = None
    events: Sequence[Any] = ()
    ended: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    def play(self, call: Call, request: Any, own: Any) -> Any:
        self.call, self.request = call, request
        if self.failure is not None:
            raise self.failure
        return own if self.answer is None else self.answer

    async def stream(self, call: Call, request: Any) -> AsyncIterator[Any]:
        self.call, self.request = call, request
        try:
            for event in self.events:
                if event is None:
                    await asyncio.Event().wait()
                elif isinstance(event, float):
                    await asyncio.sleep(event)
                else:
                    yield event
            if self.failure is not None:
                raise self.failure
        finally:
            self.ended.set()


class Versions:
    package, service = "version", "VersionService"

    def __init__(self, stage: Stage):
        self._stage = stage

    @rpc("Version", Route("GET", "/api/version"), tolerant=True)
    async def version(self, call: Call, request: SessionDeleteRequest) -> VersionMessage:
        return self._stage.play(call, request, VersionMessage(version="v3.6.0"))


class Sessions:
    package, service = "session", "SessionService"

    def __init__(self, stage: Stage):
        self._stage = stage

    @rpc("Create", Route("POST", "/api/v1/session", "*"), tolerant=True, quiet=True)
    async def create(self, call: Call, request: SessionCreateRequest) -> SessionResponse:
        return self._stage.play(call, request, SessionResponse(token="a.b.c"))

    @rpc("Delete", Route("DELETE", "/api/v1/session"), tolerant=True)
    async def delete(self, call: Call, request: SessionDeleteRequest) -> SessionResponse:
        return self._stage.play(call, request, SessionResponse())


class Accounts:
    package, service = "account", "AccountService"

    def __init__(self, stage: Stage):
        self._stage = stage

    @rpc("CanI", Route("GET", "/api/v1/account/can-i/{resource}/{action}/{subresource=**}"))
    async def can_i(self, call: Call, request: account.CanIRequest) -> account.CanIResponse:
        return self._stage.play(call, request, account.CanIResponse(value="yes"))


class Clusters:
    package, service = "cluster", "ClusterService"

    def __init__(self, stage: Stage):
        self._stage = stage

    @rpc("Get", Route("GET", "/api/v1/clusters/{id.value}"))
    async def get(self, call: Call, request: ClusterQuery) -> clusters.Cluster:
        return self._stage.play(call, request, clusters.Cluster(server="https://example.com"))


class Applications:
    package, service = "application", "ApplicationService"

    def __init__(self, stage: Stage):
        self._stage = stage

    @rpc("List", Route("GET", "/api/v1/applications"))
    async def list_(self, call: Call, request: application.ApplicationQuery) -> ApplicationList | Encoded:
        return self._stage.play(call, request, ApplicationList())

    @rpc("Watch", Route("GET", "/api/v1/stream/applications"))
    async def watch(
        self, call: Call, request: application.ApplicationQuery
    ) -> AsyncIterator[ApplicationWatchEvent]:
        async for event in self._stage.stream(call, request):
            yield event

    @rpc("Create", Route("POST", "/api/v1/applications", "application"))
    async def create(self, call: Call, request: application.ApplicationCreateRequest) -> Application:
        return self._stage.play(call, request, Application())

    @rpc("Get", Route("GET", "/api/v1/applications/{name}"))
    async def get(self, call: Call, request: application.ApplicationQuery) -> Application:
        return self._stage.play(call, request, Application())

    @rpc(
        "GetManifestsWithFiles",
        Route("POST", "/api/v1/applications/manifestsWithFiles", "*"),
    )
    async def manifests(
        self, call: Call, request: AsyncIterator[application.ApplicationManifestQueryWithFilesWrapper]
    ) -> ManifestResponse:
        self._stage.requests = [each async for each in request]
        return self._stage.play(call, None, ManifestResponse(manifests=("{}",)))

    @rpc("Update", Route("PUT", "/api/v1/applications/{application.metadata.name}", "application"))
    async def update(self, call: Call, request: application.ApplicationUpdateRequest) -> Application:
        return self._stage.play(call, request, Application())

    @rpc("UpdateSpec", Route("PUT", "/api/v1/applications/{name}/spec", "spec"))
    async def update_spec(
        self, call: Call, request: application.ApplicationUpdateSpecRequest
    ) -> ApplicationSpec:
        return self._stage.play(call, request, ApplicationSpec())

    @rpc("Sync", Route("POST", "/api/v1/applications/{name}/sync", "*"))
    async def sync(self, call: Call, request: application.ApplicationSyncRequest) -> Application:
        return self._stage.play(call, request, Application())

    @rpc("PatchResource", Route("POST", "/api/v1/applications/{name}/resource", "patch"))
    async def patch_resource(
        self, call: Call, request: application.ApplicationResourcePatchRequest
    ) -> application.ApplicationResourceResponse:
        return self._stage.play(call, request, application.ApplicationResourceResponse(manifest="{}"))

    @rpc(
        "PodLogs",
        Route("GET", "/api/v1/applications/{name}/pods/{podName}/logs"),
        Route("GET", "/api/v1/applications/{name}/logs"),
    )
    async def logs(
        self, call: Call, request: application.ApplicationPodLogsQuery
    ) -> AsyncIterator[application.LogEntry]:
        async for event in self._stage.stream(call, request):
            yield event


def sample_methods(stage: Stage) -> list[Method]:
    """All methods of the sample services."""
    services = (Versions(stage), Sessions(stage), Accounts(stage), Clusters(stage), Applications(stage))
    return [method for service in services for method in methods_of(service)]


class TokensByName:
    """Authenticates whoever has a token; the token is the name, and ``old`` gets a fresh one."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Authentication:
        token = (metadata.get("token") or ("",))[0]
        for value in metadata.get("authorization", ()):
            token = token or value.removeprefix("Bearer ")
        if not token:
            return Authentication(NOBODY, "no session information")
        identity = Identity(user_id=token, username=token, is_authenticated=True)
        return Authentication(identity, renewed_token="fresh" if token == "old" else "")


class Counting:
    """Remembers the outcome of each call."""

    def __init__(self) -> None:
        self.codes: list[Code] = []

    def started(self, method: Method) -> None: ...

    def received(self, method: Method) -> None: ...

    def sent(self, method: Method) -> None: ...

    def handled(self, method: Method, code: Code, seconds: float) -> None:
        self.codes.append(code)


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Site(msgspec.Struct):
    """A running application and a client that sends paths as they are written."""

    base: str
    session: aiohttp.ClientSession
    stage: Stage
    observer: Counting

    def url(self, path: str) -> URL:
        return URL(self.base + path, encoded=True)

    async def call(self, verb: str, path: str, **arguments: Any) -> Answer:
        """A request by ``somebody``; an empty header value takes the header away."""
        headers = {"Authorization": "Bearer somebody"}
        if verb != "GET":
            headers["Content-Type"] = "application/json"
        headers |= arguments.pop("headers", {})
        headers = {name: value for name, value in headers.items() if value}
        async with self.session.request(
            verb, self.url(path), headers=headers, allow_redirects=False, **arguments
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **arguments: Any) -> Answer:
        return await self.call("GET", path, **arguments)


@asynccontextmanager
async def site(options: HttpOptions | None = None) -> AsyncIterator[Site]:
    """The sample services over HTTP."""
    stage, observer = Stage(), Counting()
    invoker = Invoker(TokensByName(), observer)
    app = build_app(sample_methods(stage), invoker, options or HttpOptions())
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Site(str(server.make_url("")).rstrip("/"), session, stage, observer)
