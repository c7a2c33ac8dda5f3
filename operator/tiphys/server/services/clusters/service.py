"""ClusterService: the methods (api.md 7, 9 "Cluster").

A cluster that does not exist and one that the caller may not touch are refused alike: ``permission
denied``. Only ``Create`` names what is missing. Nothing is stored whose API server did not answer, and
no answer holds a credential.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from tiphys.kube.client import MERGE_PATCH
from tiphys.kube.errors import AlreadyExists, NotFound
from tiphys.projects.permission import permits_app_namespace
from tiphys.resources.identity import AppKey, Manifest, ResourceKey, labels_of
from tiphys.resources.messages.cluster import (
    ClusterCreateRequest,
    ClusterQuery,
    ClusterResponse,
    ClusterUpdateRequest,
)
from tiphys.resources.messages.clusters import Cluster, ClusterList, ConnectionState
from tiphys.resources.times import to_timestamp
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument, not_found, permission_denied
from tiphys.server.api.invoke import unescaped
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard, app_object
from tiphys.server.services.clusters import rotating, secrets
from tiphys.server.services.clusters.showing import shown
from tiphys.server.services.clusters.testing import client_of, server_version
from tiphys.server.services.differing import spec_differs
from tiphys.server.services.one_by_one import OneByOne
from tiphys.server.state import State
from tiphys.settings import clusters as stored
from tiphys.settings.store import SECRET_TYPE

PATH = "/api/v1/clusters"
ONE = PATH + "/{id.value}"
MANAGER = "argocd-server"
HEARD = timedelta(seconds=10)
"""How long an answer of an API server counts where nobody follows the cluster
(health-and-resources.md 11)."""

_FIELDS: Mapping[str, str] = {
    "name": "name",
    "namespaces": "namespaces",
    "config": "config",
    "shard": "shard",
    "clusterResources": "cluster_resources",
    "labels": "labels",
    "annotations": "annotations",
    "project": "project",
}
"""What ``updatedFields`` may name → the field."""


class ClusterService:
    """See the module."""

    package, service = "cluster", "ClusterService"

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._guard = guard
        self._turns = OneByOne()
        self._heard: dict[str, tuple[datetime, str]] = {}
        """Server → when its API server last answered us, and its version."""

    # Reading

    @rpc("List", Route("GET", PATH))
    async def list(self, call: Call, request: ClusterQuery) -> ClusterList:
        """The clusters that the caller may read; each filter keeps the first of them that matches."""
        permitted = self._guard.permits(call, "clusters", "get")
        found = tuple(each for each in self._state.settings.clusters.all() if permitted(rbac_object(each)))
        server, name = _asked(request) if request.id is not None else ("", "")
        for key, wanted in (
            (_server, server),
            (_name, name),
            (_name, request.name),
            (_server, stored.trim_server(request.server)),
        ):
            if wanted:
                found = tuple(each for each in found if key(each) == wanted)[:1]
        counts = self._applications(call)
        return ClusterList(items=tuple([await self._shown(call, each, counts) for each in found]))

    @rpc("Get", Route("GET", ONE))
    async def get(self, call: Call, request: ClusterQuery) -> Cluster:
        """One cluster."""
        return await self._shown(call, self._reach(call, request, "get"))

    # Writing

    @rpc("Create", Route("POST", PATH, "cluster"), quiet=True)
    async def create(self, call: Call, request: ClusterCreateRequest) -> Cluster:
        """A new cluster; the same once more is no error, another one needs ``upsert``."""
        cluster = secrets.plain(_given(request.cluster))
        self._guard.enforce(call, "clusters", "create", rbac_object(cluster))
        secret = secrets.new_secret(cluster, self._state.namespace)
        version = await server_version(secrets.usable_cluster(secret), self._state.client.connection)
        clusters = self._state.settings.clusters
        if cluster.server == stored.IN_CLUSTER_SERVER and not clusters.in_cluster_enabled:
            raise invalid_argument("cannot register cluster: in-cluster has been disabled")
        existing = await self._stored(cluster.server)
        if existing is None:
            try:
                answer = await self._state.client.create(secret, field_manager=MANAGER)
            except AlreadyExists:
                existing = await self._namesake(cluster.server, secret["metadata"]["name"])
            else:
                return await self._taken(call, answer, version)
        before = secrets.read_secret(existing)
        name = rbac_object(secrets.usable_cluster(existing))
        if not self._guard.allows(call, "clusters", "create", name):
            # What is somebody else's is not compared: that it is taken is all there is to learn.
            self._guard.enforce_masked(call, "clusters", "get", name)
        if secrets.is_same(before, cluster):
            return await self._taken(call, existing, version)
        if request.upsert:
            return await self.update(call, ClusterUpdateRequest(cluster=cluster))
        raise spec_differs("cluster", secrets.spec_of(before), secrets.spec_of(cluster))

    @rpc("Update", Route("PUT", ONE, "cluster"), quiet=True)
    async def update(self, call: Call, request: ClusterUpdateRequest) -> Cluster:
        """Another state of a cluster: the fields that ``updatedFields`` names, or all of it."""
        given = _given(request.cluster)
        asked = ClusterQuery(server=given.server, name=given.name, id=request.id)
        async with self._turns.of(self._reach(call, asked, "update").server):
            found = self._reach(call, asked, "update")  # as it is by now
            if not request.updated_fields or "project" in request.updated_fields:
                name = rbac_object(found, project=given.project)
                self._guard.enforce_masked(call, "clusters", "update", name)
            if given.server and stored.trim_server(given.server) != found.server:
                raise invalid_argument("the server of a cluster cannot be changed; create another cluster")
            secret, before = await self._before(found)
            if request.updated_fields:
                changes = {
                    field: getattr(given, field)
                    for path, field in _FIELDS.items()
                    if path in request.updated_fields
                }
                wanted = msgspec.structs.replace(before, **changes)
            else:
                wanted = msgspec.structs.replace(given, server=found.server)
            wanted = secrets.plain(wanted)
            version = await self._tested(wanted)
            return await self._taken(call, await self._write(secret, wanted), version)

    @rpc("Delete", Route("DELETE", ONE))
    async def delete(self, call: Call, request: ClusterQuery) -> ClusterResponse:
        """Let go of a cluster, or of all that have a name; all or none."""
        for cluster in self._reach_all(call, request, "delete"):
            secret = await self._stored(cluster.server)
            if secret is None:
                raise not_found(f'cluster "{cluster.server}" not found')
            await self._remove(secret)
        return ClusterResponse()

    @rpc("RotateAuth", Route("POST", f"{ONE}/rotate-auth"))
    async def rotate_auth(self, call: Call, request: ClusterQuery) -> ClusterResponse:
        """A new token for the service account that we are in a cluster."""
        for cluster in self._reach_all(call, request, "update"):
            await self._rotate(cluster.server)
        return ClusterResponse()

    @rpc("InvalidateCache", Route("POST", f"{ONE}/invalidate-cache"))
    async def invalidate_cache(self, call: Call, request: ClusterQuery) -> Cluster:
        """Have everything known of a cluster's objects read anew."""
        async with self._turns.of(self._reach(call, request, "update").server):
            found = self._reach(call, request, "update")
            secret, before = await self._before(found)
            now = to_timestamp(self._state.clock())
            wanted = msgspec.structs.replace(before, refresh_requested_at=now)
            return await self._taken(call, await self._write(secret, wanted))

    # Whom a call means, and whether the caller may

    def _reach(self, call: Call, request: ClusterQuery, action: str) -> stored.Cluster:
        """The cluster that a request names.

        Raises:
            ApiFailure: PermissionDenied, it is not there or not the caller's.
        """
        server, name = _asked(request)
        clusters = self._state.settings.clusters
        found: stored.Cluster | None = None
        if server:
            found = clusters.by_server.get(server)
        elif name:
            named = self._named(call, name, action)
            found = named[0] if named else None
        if found is None:
            raise permission_denied()
        self._guard.enforce_masked(call, "clusters", action, rbac_object(found))
        return found

    def _named(self, call: Call, name: str, action: str) -> tuple[stored.Cluster, ...]:
        """The clusters of a name as far as the caller may know of them: somebody else's of the same name
        is not in the way."""
        may_see, may_act = (self._guard.permits(call, "clusters", each) for each in ("get", action))
        return tuple(
            each
            for each in self._state.settings.clusters.all()
            if _name(each) == name and (may_see(rbac_object(each)) or may_act(rbac_object(each)))
        )

    def _reach_all(self, call: Call, request: ClusterQuery, action: str) -> tuple[stored.Cluster, ...]:
        """As :meth:`_reach`; by name, all clusters of that name."""
        first = self._reach(call, request, action)
        server, name = _asked(request)
        if server:
            return (first,)
        named = self._named(call, name, action)
        for each in named:
            self._guard.enforce_masked(call, "clusters", action, rbac_object(each))
        return named

    # Secrets

    async def _stored(self, server: str) -> Manifest | None:
        """The Secret of a cluster as it is now; None: it has none (any more)."""
        known = self._state.settings.clusters.by_server.get(server)
        if known is None or not known.secret_name:
            return None
        namespace = self._state.namespace
        try:
            return await self._state.client.get(rotating.SECRET, namespace, known.secret_name)
        except NotFound:
            self._state.settings_store.delete(ResourceKey("", "Secret", namespace, known.secret_name))
            return None

    async def _namesake(self, server: str, name: str) -> Manifest:
        """The Secret that has the name of a new cluster's: made by somebody else a moment ago."""
        secret = await self._state.client.get(rotating.SECRET, self._state.namespace, name)
        is_cluster = labels_of(secret).get(SECRET_TYPE) == "cluster"
        if not is_cluster or secrets.usable_cluster(secret).server != server:
            raise ApiFailure(Code.ALREADY_EXISTS, f'cluster "{server}" already exists')
        self._state.settings_store.put(secret)
        return secret

    async def _before(self, found: stored.Cluster) -> tuple[Manifest | None, Cluster]:
        """What a change starts from; the cluster we run in may have no Secret.

        Raises:
            ApiFailure: PermissionDenied, it is gone.
        """
        secret = await self._stored(found.server)
        if secret is not None:
            return secret, secrets.read_secret(secret)
        if found.secret_name:
            raise permission_denied()
        return None, Cluster(server=found.server, name=found.name)

    async def _tested(self, cluster: Cluster) -> str:
        """The version of a cluster's API server; it is usable."""
        draft = secrets.usable_cluster(secrets.new_secret(cluster, self._state.namespace))
        return await server_version(draft, self._state.client.connection)

    async def _write(self, secret: Manifest | None, cluster: Cluster) -> Manifest:
        client, namespace = self._state.client, self._state.namespace
        if secret is None:
            answer = await client.create(secrets.new_secret(cluster, namespace), field_manager=MANAGER)
        else:
            patch = secrets.patch_of(secret, cluster)
            if not patch:
                return secret
            answer = await client.patch(
                rotating.SECRET,
                namespace,
                secret["metadata"]["name"],
                patch,
                MERGE_PATCH,
                field_manager=MANAGER,
            )
        self._state.settings_store.put(answer)
        return answer

    async def _remove(self, secret: Manifest) -> None:
        """Delete what we made; take our label off what somebody wrote."""
        client, namespace, name = self._state.client, self._state.namespace, secret["metadata"]["name"]
        if secrets.is_ours(secret):
            await client.delete(
                rotating.SECRET, namespace, name, propagation_policy="", uid=secret["metadata"]["uid"]
            )
            self._state.settings_store.delete(ResourceKey("", "Secret", namespace, name))
            return
        patch = {"metadata": {"labels": {SECRET_TYPE: None}}}
        answer = await client.patch(
            rotating.SECRET, namespace, name, patch, MERGE_PATCH, field_manager=MANAGER
        )
        self._state.settings_store.put(answer)

    async def _rotate(self, server: str) -> None:
        secret = await self._stored(server)
        token = secrets.read_secret(secret).config.bearer_token if secret is not None else ""
        if secret is None or not token:
            raise invalid_argument(f"Cluster '{server}' does not use bearer token authentication")
        account = rotating.account_of(token)
        if account is None:
            raise invalid_argument(f"the bearer token of cluster '{server}' is no service account's")
        before = secrets.read_secret(secret)
        client = client_of(secrets.usable_cluster(secret), self._state.client.connection)
        try:
            fresh = await rotating.new_token(client, account)
            tls = msgspec.structs.replace(before.config.tls_client_config, cert_data=b"", key_data=b"")
            config = msgspec.structs.replace(before.config, bearer_token=fresh.token, tls_client_config=tls)
            renewed = msgspec.structs.replace(before, config=config)
            try:
                await self._tested(renewed)
            except BaseException:
                await rotating.discard(client, account, fresh.secret)
                raise
            await self._write(secret, renewed)  # if this fails, both tokens go on working
            await rotating.retire(client, account, fresh.secret)
        finally:
            await client.close()

    # Answers

    async def _taken(self, call: Call, secret: Manifest, version: str = "") -> Cluster:
        """The answer after a write; ``version``: the API server has just said it."""
        self._state.settings_store.put(secret)
        return await self._shown(call, secrets.usable_cluster(secret), version=version)

    def _applications(self, call: Call) -> Mapping[str, int]:
        """Applications of each cluster that the caller may read, of projects that let them live in
        their namespace: what others have is none of his business."""
        state, permitted = self._state, self._guard.permits(call, "applications", "get")
        counts: Counter[str] = Counter()
        for app in state.apps:
            metadata, spec = app.metadata, app.spec
            if not permitted(app_object(spec.project, metadata.namespace, metadata.name, state.namespace)):
                continue
            project = state.projects.get(AppKey(state.namespace, spec.project_name))
            if project is None or not permits_app_namespace(project, metadata.namespace, state.namespace):
                continue
            try:
                counts[state.settings.clusters.resolve(spec.destination).server] += 1
            except stored.DestinationError:
                continue
        return counts

    async def _shown(
        self,
        call: Call,
        cluster: stored.Cluster,
        counts: Mapping[str, int] | None = None,
        *,
        version: str = "",
    ) -> Cluster:
        """A cluster as clients see it; one that has just answered us is connected, whether or not
        somebody follows its objects."""
        info = await self._state.live.cluster_info(cluster.server)
        counts = self._applications(call) if counts is None else counts
        info = msgspec.structs.replace(info, applications_count=counts.get(cluster.server, 0))
        now = self._state.clock()
        if version:
            self._heard = {
                server: heard
                for server, heard in self._heard.items()
                if now - heard[0] < HEARD and server != cluster.server
            } | {cluster.server: (now, version)}
        moment, said = self._heard.get(cluster.server, (now, ""))
        if said and (version or (info.connection_state.status == "Unknown" and now - moment < HEARD)):
            state = ConnectionState(status="Successful", attempted_at=to_timestamp(moment))
            info = msgspec.structs.replace(info, connection_state=state, server_version=said)
        return shown(cluster, info)


def rbac_object(cluster: stored.Cluster | Cluster, project: str | None = None) -> str:
    """``<project>/<server>``, or the bare server of a cluster without a project."""
    project = cluster.project if project is None else project
    return f"{project}/{cluster.server}" if project else cluster.server


def _asked(request: ClusterQuery) -> tuple[str, str]:
    """Server and name that a request means; an ``id`` replaces both."""
    if request.id is None:
        return stored.trim_server(request.server), request.name
    match request.id.type:
        case "name":
            return "", request.id.value
        case "name_escaped":
            again: ClusterQuery = unescaped(request)
            return "", again.id.value if again.id is not None else ""
        case _:
            return stored.trim_server(request.id.value), ""


def _given(cluster: Cluster | None) -> Cluster:
    if cluster is None:
        raise invalid_argument("missing payload 'cluster' in request")
    return cluster


_Key = Callable[[stored.Cluster], str]


def _server(cluster: stored.Cluster) -> str:
    return cluster.server


def _name(cluster: stored.Cluster) -> str:
    return cluster.name or cluster.server
