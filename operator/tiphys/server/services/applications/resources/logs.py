"""``PodLogs``: logs of the Pods of an Application, of one or of several merged by time
(health-and-resources.md 14)."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

import msgspec

from tiphys.kube.client import ClusterClient
from tiphys.live.depth import POD
from tiphys.live.tree import key_of_node
from tiphys.resources.identity import ResourceKey
from tiphys.resources.messages.application import ApplicationPodLogsQuery, LogEntry
from tiphys.resources.messages.trees import ResourceNode, ResourceRef
from tiphys.resources.meta import NO_TIME
from tiphys.resources.times import to_timestamp
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.resources.logmerge import (
    Line,
    Source,
    merged,
    nanoseconds,
    stamp_of,
)
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.state import State

MAX_PODS = "server.maxPodLogsToRender"
"""Key in ``argocd-cm``: Pods whose logs are shown together."""

DEFAULT_MAX_PODS = 10


class ApplicationLogs:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._reach = reach

    @rpc(
        "PodLogs",
        Route("GET", "/api/v1/applications/{name}/pods/{podName}/logs"),
        Route("GET", "/api/v1/applications/{name}/logs"),
    )
    async def pod_logs(self, call: Call, request: ApplicationPodLogsQuery) -> AsyncIterator[LogEntry]:
        """Lines, then an entry with ``last``; no entry at all where no Pod matches. Needs ``get``, and
        ``get`` on ``logs``.

        Raises:
            ApiFailure: InvalidArgument, too many Pods match; Unknown, a time cannot be read or a log
                breaks off.
        """
        until = _until(request)
        reached = self._reach.app(call, "get", request.name, request.app_namespace, request.project)
        self._reach.enforce(call, "logs", "get", reached.app)
        tree = await self._reach.tree(reached)
        pods = pods_of(tree.nodes, request)
        if not pods:
            return
        if len(pods) > self._most():
            raise invalid_argument("max pods to view logs are reached. Please provide more granular query")
        client = await self._reach.client(reached)
        wanted = Filter.of(request)
        params = _params(request)
        lines = cast(Any, merged([_source(client, pod, params) for pod in pods]))
        async with aclosing(lines):
            async for line in lines:
                if not wanted.takes(line.text):
                    continue
                ends = until is not None and line.moment > until
                yield _entry(line, last=ends)
                if ends:
                    return
        now = self._state.clock()
        yield LogEntry(
            content="", time_stamp=to_timestamp(now), last=True, time_stamp_str=stamp_of(now), pod_name=""
        )

    def _most(self) -> int:
        text = self._state.settings.raw.get(MAX_PODS, "").strip()
        return int(text) if text.isdigit() and int(text) > 0 else DEFAULT_MAX_PODS


def pods_of(nodes: Iterable[ResourceNode], request: ApplicationPodLogsQuery) -> list[ResourceNode]:
    """The Pods of a tree that match the request, themselves or one of those above them."""
    by_key: dict[ResourceKey, ResourceNode] = {key_of_node(node): node for node in nodes}
    kind, name = request.kind or "", request.resource_name or ""
    if request.pod_name:
        kind, name = POD.kind, request.pod_name
    asked = (request.group or "", kind, request.namespace or "", name)

    def matches(node: ResourceNode, seen: set[ResourceKey]) -> bool:
        if all(not want or want == is_ for want, is_ in zip(asked, key_of_node(node), strict=True)):
            return True
        for parent in _parents(node, by_key):
            key = key_of_node(parent)
            if key not in seen and matches(parent, seen | {key}):
                return True
        return False

    return [
        node
        for node in by_key.values()
        if (node.group, node.kind) == POD and node.uid and matches(node, {key_of_node(node)})
    ]


def _parents(node: ResourceNode, by_key: Mapping[ResourceKey, ResourceNode]) -> list[ResourceNode]:
    refs: Iterable[ResourceRef] = node.parent_refs
    return [found for ref in refs if (found := by_key.get(key_of_node(ref))) is not None]


class Filter(msgspec.Struct, frozen=True):
    """Which lines are shown: those that hold ``text``, or that do not."""

    text: str = ""
    inverse: bool = False
    exact_case: bool = False

    @classmethod
    def of(cls, request: ApplicationPodLogsQuery) -> "Filter":
        text = request.filter or ""
        inverse = text.startswith("!")
        text = text[1:] if inverse else text
        exact = bool(request.match_case)
        return cls(text if exact else text.lower(), inverse, exact)

    def takes(self, line: str) -> bool:
        """Whether a line is shown; ``!`` alone takes none."""
        return (self.text in (line if self.exact_case else line.lower())) is not self.inverse


def _until(request: ApplicationPodLogsQuery) -> int | None:
    """Nanoseconds since 1970. Raises ApiFailure."""
    if not request.until_time:
        return None
    found = nanoseconds(request.until_time)
    if found is None:
        text = f'parsing time "{request.until_time}" as "2006-01-02T15:04:05.999999999Z07:00"'
        raise unknown(f"invalid untilTime parameter value: {text}: cannot parse it")
    return found


def _params(request: ApplicationPodLogsQuery) -> dict[str, str]:
    """The query of the API server's log endpoint."""
    params = {"timestamps": "true"}
    if request.container:
        params["container"] = request.container
    if request.follow:
        params["follow"] = "true"
    if request.previous:
        params["previous"] = "true"
    if request.since_seconds and request.since_seconds > 0:
        params["sinceSeconds"] = str(request.since_seconds)
    if request.since_time != NO_TIME:
        params["sinceTime"] = request.since_time
    if request.tail_lines and request.tail_lines > 0:
        params["tailLines"] = str(request.tail_lines)
    return params


def _source(client: ClusterClient, pod: ResourceNode, params: Mapping[str, str]) -> Source:
    path = f"/api/v1/namespaces/{quote(pod.namespace, safe='')}/pods/{quote(pod.name, safe='')}/log"
    return Source(pod.name, client.raw_stream(path, params=params, resource="pods"))


def _entry(line: Line, *, last: bool) -> LogEntry:
    moment = NO_TIME
    if line.moment:
        moment = to_timestamp(datetime.fromtimestamp(line.moment // 1_000_000_000, UTC))
    return LogEntry(
        content=line.text, time_stamp=moment, last=last, time_stamp_str=line.stamp, pod_name=line.pod
    )
