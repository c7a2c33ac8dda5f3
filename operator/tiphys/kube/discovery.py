"""Which kinds a cluster serves.

Read in three requests where the server offers aggregated discovery (1.26 and later), else group by
group. A snapshot is immutable; refreshing makes a new one, or finds by ETag that nothing changed. An
API group whose backend is down is listed in ``failed_groups`` and harms nobody else.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.kube.errors import ApiError
from tiphys.kube.transport import Purpose, Response, Transport
from tiphys.resources.identity import GVK, GroupKind

_AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)
_READ = Purpose("get", "discovery", repeatable=True)


class ApiResource(msgspec.Struct, frozen=True):
    """One kind in one version, as served.

    Attributes:
        verbs: lower case.
        preferred: the version the server prefers for this kind.
        subresources: names such as ``status`` and ``scale``.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    preferred: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def gvk(self) -> GVK:
        return GVK(self.group, self.version, self.kind)

    @property
    def group_kind(self) -> GroupKind:
        return GroupKind(self.group, self.kind)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def label(self) -> str:
        """``deployments.apps``, ``pods``: the name in metrics and messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "") -> str:
        """URL path of the collection; ``namespace`` is ignored for cluster-scoped kinds."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            return f"{root}/namespaces/{namespace}/{self.plural}"
        return f"{root}/{self.plural}"


class Discovery:
    """A snapshot of what a cluster serves."""

    def __init__(
        self,
        resources: tuple[ApiResource, ...],
        git_version: str,
        failed_groups: Mapping[str, str],
        etags: Mapping[str, str] | None = None,
        group_versions: tuple[str, ...] = (),
    ) -> None:
        self.resources = resources
        self.git_version = git_version
        self.failed_groups = failed_groups
        """Group (or group/version) → why its kinds are not known."""
        self.etags = dict(etags or {})
        self._group_versions = group_versions
        self._by_gvk = {resource.gvk: resource for resource in resources}
        self._preferred = {resource.group_kind: resource for resource in resources if resource.preferred}
        self._api_versions: tuple[str, ...] | None = None

    @property
    def version(self) -> str:
        """``v1.36.3``: the vendor's suffix dropped (sync.md 16)."""
        return normalize_version(self.git_version)

    @property
    def api_versions(self) -> tuple[str, ...]:
        """``v1``, ``v1/Pod``, ``apps/v1``, …: sorted, all versions."""
        if self._api_versions is None:
            names = set(self._group_versions)
            for resource in self.resources:
                names.add(resource.api_version)
                names.add(f"{resource.api_version}/{resource.kind}")
            self._api_versions = tuple(sorted(names))
        return self._api_versions

    def knows_version(self, api_version: str) -> bool:
        """Whether the kinds of a group and version could be read."""
        return api_version in self._group_versions and api_version not in self.failed_groups

    def resource(self, gvk: GVK) -> ApiResource | None:
        """Exactly this version, or ``None``."""
        return self._by_gvk.get(gvk)

    def preferred(self, group: str, kind: str) -> ApiResource | None:
        """The preferred version of a kind, or ``None``."""
        return self._preferred.get(GroupKind(group, kind))

    def is_namespaced(self, group: str, kind: str) -> bool | None:
        """Scope of a kind; ``None``: the cluster does not know it."""
        resource = self._preferred.get(GroupKind(group, kind))
        return None if resource is None else resource.namespaced

    def watchable(self) -> list[ApiResource]:
        """Preferred version of every kind that can be listed and watched."""
        return [each for each in self._preferred.values() if "list" in each.verbs and "watch" in each.verbs]


class _Group(msgspec.Struct, rename="camel", frozen=True):
    class Version(msgspec.Struct, rename="camel", frozen=True):
        class Resource(msgspec.Struct, rename="camel", frozen=True):
            class Sub(msgspec.Struct, rename="camel", frozen=True):
                subresource: str = ""

            resource: str = ""
            response_kind: dict[str, Any] | None = None
            scope: str = ""
            verbs: tuple[str, ...] = ()
            subresources: tuple[Sub, ...] | None = None

        version: str = ""
        freshness: str = ""
        resources: tuple[Resource, ...] | None = None

    metadata: dict[str, Any] = {}
    versions: tuple[Version, ...] | None = None


class _Aggregated(msgspec.Struct, rename="camel", frozen=True):
    kind: str = ""
    items: tuple[_Group, ...] | None = None


async def discover(transport: Transport, headers: Mapping[str, str], old: Discovery | None) -> Discovery:
    """Read what the cluster serves; ``old`` itself if nothing changed.

    Raises:
        ApiError, ClusterUnreachable: nothing could be read at all.
    """
    version_text, core, groups = await asyncio.gather(
        _git_version(transport, headers),
        _root(transport, headers, "/api", old),
        _root(transport, headers, "/apis", old),
    )
    if old is not None and core.status == groups.status == 304 and version_text == old.git_version:
        return old
    if core.status == 304:
        core = await _root(transport, headers, "/api", None)
    if groups.status == 304:
        groups = await _root(transport, headers, "/apis", None)
    failed: dict[str, str] = {}
    resources: list[ApiResource] = []
    names: list[str] = []
    for answer in (core, groups):
        if "apidiscovery.k8s.io" in answer.content_type:
            document = msgspec.json.decode(answer.body, type=_Aggregated)
            for group in document.items or ():
                _take_group(group, resources, names, failed)
        else:
            await _read_unaggregated(transport, headers, answer.body, resources, names, failed)
    etags = {"/api": core.etag, "/apis": groups.etag}
    return Discovery(tuple(resources), version_text, failed, etags, tuple(names))


async def _git_version(transport: Transport, headers: Mapping[str, str]) -> str:
    answer = await transport.request("GET", "/version", _READ, headers=headers)
    return str(msgspec.json.decode(answer.body).get("gitVersion", ""))


async def _root(
    transport: Transport, headers: Mapping[str, str], path: str, old: Discovery | None
) -> Response:
    sent = {**headers, "Accept": _AGGREGATED}
    if old is not None and old.etags.get(path):
        sent["If-None-Match"] = old.etags[path]
    return await transport.request("GET", path, _READ, headers=sent)


def _take_group(
    group: _Group, resources: list[ApiResource], names: list[str], failed: dict[str, str]
) -> None:
    name = str(group.metadata.get("name") or "")
    seen: set[str] = set()
    for version in group.versions or ():  # in the server's order of preference
        api_version = f"{name}/{version.version}" if name else version.version
        if version.freshness == "Stale":
            failed[api_version] = "the backend of this API does not answer"
            if not version.resources:
                continue
        names.append(api_version)
        for resource in version.resources or ():
            kind = str((resource.response_kind or {}).get("kind") or "")
            if not kind:
                continue
            resources.append(
                ApiResource(
                    group=name,
                    version=version.version,
                    kind=kind,
                    plural=resource.resource,
                    namespaced=resource.scope == "Namespaced",
                    verbs=tuple(verb.lower() for verb in resource.verbs),
                    preferred=kind not in seen,
                    subresources=tuple(each.subresource for each in resource.subresources or ()),
                )
            )
        seen.update(each.kind for each in resources if each.group == name)


async def _read_unaggregated(
    transport: Transport,
    headers: Mapping[str, str],
    body: bytes,
    resources: list[ApiResource],
    names: list[str],
    failed: dict[str, str],
) -> None:
    """``/api`` and ``/apis`` of servers without aggregated discovery: one request a version."""
    document = msgspec.json.decode(body)
    if document.get("kind") == "APIVersions":
        groups = [("", list(document.get("versions") or ()))]
    else:
        groups = []
        for group in document.get("groups") or ():
            versions = [each["version"] for each in group.get("versions") or ()]
            first = (group.get("preferredVersion") or {}).get("version")
            versions.sort(key=lambda version: version != first)  # stable: only the preferred moves
            groups.append((group["name"], versions))

    async def read(group: str, version: str) -> list[dict[str, Any]] | None:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            answer = await transport.request("GET", path, _READ, headers=headers)
        except ApiError as error:
            failed[f"{group}/{version}" if group else version] = error.message
            return None
        return msgspec.json.decode(answer.body).get("resources") or []

    wanted = [(group, version) for group, versions in groups for version in versions]
    answers = await asyncio.gather(*(read(group, version) for group, version in wanted))
    seen: set[GroupKind] = set()
    for (group, version), entries in zip(wanted, answers, strict=True):
        if entries is None:
            continue
        names.append(f"{group}/{version}" if group else version)
        found: list[ApiResource] = []
        for entry in entries:
            plural = entry["name"]
            if "/" in plural:
                continue
            prefix = plural + "/"
            found.append(
                ApiResource(
                    group=group,
                    version=version,
                    kind=entry["kind"],
                    plural=plural,
                    namespaced=bool(entry.get("namespaced")),
                    verbs=tuple(verb.lower() for verb in entry.get("verbs") or ()),
                    preferred=GroupKind(group, entry["kind"]) not in seen,
                    subresources=tuple(
                        sub["name"].removeprefix(prefix) for sub in entries if sub["name"].startswith(prefix)
                    ),
                )
            )
        resources.extend(found)
        seen.update(each.group_kind for each in found)


_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?")


def normalize_version(text: str) -> str:
    """``v1.33.4-gke.100`` → ``v1.33.4``; missing parts are 0, unreadable text stays as it is."""
    match = _VERSION.match(text)
    if match is None:
        return text
    major, minor, patch = match.groups(default="0")
    return f"v{int(major)}.{int(minor)}.{int(patch)}"
