"""The objects that templates and conditions of deep links may see, as plain JSON values.

Pure, but for :class:`LinkObjects`, which reaches them on behalf of a caller.
"""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiphys.compare.masking import mask_states
from tiphys.projects.validate import is_destination_permitted
from tiphys.resources.application import Application, to_json
from tiphys.resources.messages.application import ApplicationResourceRequest, ListAppLinksRequest
from tiphys.resources.project import AppProject, AppProjectStatus
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unknown
from tiphys.server.services.applications.access import Reached
from tiphys.server.services.applications.resources.reaching import Reaching, wanted
from tiphys.server.state import State
from tiphys.settings.clusters import Cluster, DestinationError

MANAGED_BY = "argocd.argoproj.io/managed-by-url"

Objects = dict[str, Any]
"""What a template sees, by name."""


def managed_by_url(app: Application, default: str = "") -> str:
    """The address of the installation that manages an Application: its annotation if that is an http(s)
    URL, else ``default``."""
    text = (app.metadata.annotations or {}).get(MANAGED_BY, "")
    try:
        parts = urlsplit(text)
    except ValueError:
        return default
    return text if parts.scheme in ("http", "https") and parts.netloc else default


def cluster_object(cluster: Cluster) -> Objects:
    """What may be seen of a cluster: nothing of how it is reached."""
    found: Objects = {"server": cluster.server, "name": cluster.name}
    if cluster.shard is not None:
        found["shard"] = cluster.shard
    for field in ("namespaces", "project", "labels", "annotations"):
        value = getattr(cluster, field)
        if value:
            found[field] = list(value) if isinstance(value, tuple) else value
    return found


def project_object(project: AppProject) -> Objects:
    """A project without its status, which holds tokens."""
    found: Objects = to_json(msgspec.structs.replace(project, status=AppProjectStatus()))
    found.pop("status", None)
    return found


def project_objects(project: AppProject) -> Objects:
    """For ``project.links``."""
    return {"project": project_object(project)}


class LinkObjects:
    """Objects for links of Applications and their resources."""

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._reach = reach

    async def application(self, call: Call, request: ListAppLinksRequest) -> Objects:
        """For ``application.links``; no project, as in the reference. Needs ``get``.

        Raises:
            ApiFailure: as api.md 8.1; Unknown, the destination is not permitted.
        """
        reached = await self._reach.app_now(call, "get", request.name, request.namespace, request.project)
        default = self._state.settings.raw.get("url", "")
        found = self._common(reached, managed_by_url(reached.app, default))
        found.pop("project", None)
        return found

    async def resource(self, call: Call, request: ApplicationResourceRequest) -> Objects:
        """For ``resource.links``; a Secret is masked. Needs ``get``.

        Raises:
            ApiFailure: as api.md 8.1; InvalidArgument, the object is no part of the Application.
        """
        one = wanted(request.group, request.kind, request.namespace, request.resource_name)
        reached = self._reach.app(call, "get", request.name, request.app_namespace, request.project)
        node = await self._reach.node(reached, one)
        client = await self._reach.client(reached)
        manifest = await client.get(one.gvk(node), one.namespace, one.name)
        (masked,) = mask_states((manifest,), self._state.settings.sensitive_mask_annotations)
        return {**self._common(reached, managed_by_url(reached.app)), "resource": masked}

    def _common(self, reached: Reached, url: str) -> Objects:
        """Application, cluster and project; the latter two only where the destination resolves."""
        shown = to_json(reached.app)
        found: Objects = {"app": shown, "application": shown}
        if url:
            found["managedByURL"] = url
        settings, app, project = self._state.settings, reached.app, reached.project
        try:
            cluster = settings.clusters.resolve(app.spec.destination)
        except DestinationError:
            return found
        if not is_destination_permitted(app, project, cluster, settings):
            raise unknown("error getting destination cluster")
        return {**found, "cluster": cluster_object(cluster), "project": project_object(project)}
