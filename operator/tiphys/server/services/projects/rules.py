"""What a project written through the API must be, and what a change needs: pure decisions.

``prepared`` brings a project into the form in which it is stored, ``validate`` refuses one that makes
no sense, ``required`` says which other rights a change needs, and ``refuse_breaking`` forbids a change
that would take away from applications what they use (api.md 9 "Project").
"""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec

from tiphys.access.rbac.policy import PolicyError, project_policy_text, read_policy
from tiphys.projects.permission import permits_destination, permits_source
from tiphys.projects.validate_project import InvalidProject, validate_project
from tiphys.resources.application import Application
from tiphys.resources.project import AppProject, ProjectRole, SyncWindow
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument
from tiphys.settings.clusters import Cluster, DestinationError
from tiphys.settings.model import Settings

_CODES = {code.title: code for code in Code}

_KIND_LISTS = (
    "cluster_resource_whitelist",
    "cluster_resource_blacklist",
    "namespace_resource_whitelist",
    "namespace_resource_blacklist",
)


def prepared(project: AppProject) -> AppProject:
    """The project as it is stored: policies with one space behind each comma, sync windows with a
    time zone that exists (``UTC`` otherwise)."""
    spec = msgspec.structs.replace(
        project.spec,
        roles=tuple(_with_plain_policies(role) for role in project.spec.roles),
        sync_windows=tuple(_with_zone(window) for window in project.spec.sync_windows),
    )
    return msgspec.structs.replace(project, spec=spec)


def _with_plain_policies(role: ProjectRole) -> ProjectRole:
    policies = tuple(_plain(policy) for policy in role.policies)
    return msgspec.structs.replace(role, policies=policies) if policies != role.policies else role


def _plain(policy: str) -> str:
    first, *rest = policy.split(",")
    return ", ".join([first, *(part.strip(" ") for part in rest)])


def _with_zone(window: SyncWindow) -> SyncWindow:
    try:
        known = bool(window.time_zone and ZoneInfo(window.time_zone))
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of the database
        known = False
    return window if known else msgspec.structs.replace(window, time_zone="UTC")


def validate(project: AppProject) -> None:
    """Refuse a project that makes no sense.

    Raises:
        ApiFailure: with the code and text of the first thing that is wrong.
    """
    try:
        validate_project(project)
        read_policy(project_policy_text(project))
    except InvalidProject as error:
        raise ApiFailure(_CODES[error.code], error.message) from None
    except PolicyError as error:
        raise invalid_argument(f"policy syntax error: {error}") from None


class Required(msgspec.Struct, frozen=True):
    """Servers of clusters and URLs of repositories, as the project writes them, for which ``update``
    is needed."""

    clusters: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()


def required(old: AppProject, new: AppProject) -> Required:
    """Rights that a change needs besides ``update`` on the project.

    Each destination and repository added or removed; every destination when the kinds change that
    may be deployed.
    """
    before, after = _servers(old), _servers(new)
    clusters = [server for server in after if server not in before]
    clusters += [server for server in before if server not in after]
    if any(getattr(old.spec, field) != getattr(new.spec, field) for field in _KIND_LISTS):
        clusters += after
    repositories = [url for url in new.spec.source_repos if url not in old.spec.source_repos]
    repositories += [url for url in old.spec.source_repos if url not in new.spec.source_repos]
    return Required(tuple(dict.fromkeys(clusters)), tuple(dict.fromkeys(repositories)))


def _servers(project: AppProject) -> list[str]:
    return list(dict.fromkeys(destination.server for destination in project.spec.destinations))


def kept_closed(old: AppProject, new: AppProject) -> AppProject:
    """A new state that came as protobuf, which cannot tell a list that is empty from one that is not
    there: no namespaced kind permitted stays so, where reading and writing back would permit all."""
    if old.spec.namespace_resource_whitelist != () or new.spec.namespace_resource_whitelist is not None:
        return new
    return msgspec.structs.replace(
        new, spec=msgspec.structs.replace(new.spec, namespace_resource_whitelist=())
    )


def refuse_breaking(
    old: AppProject, new: AppProject, apps: Iterable[Application], settings: Settings
) -> None:
    """Forbid a change after which applications lack what they were permitted.

    Args:
        apps: those of the project in the control plane's namespace.

    Raises:
        ApiFailure: InvalidArgument with their number.
    """
    sources = destinations = 0
    for app in apps:
        url = app.spec.effective_sources()[0].repo_url
        if permits_source(old, url) and not permits_source(new, url):
            sources += 1
        try:
            cluster = settings.clusters.resolve(app.spec.destination)
        except DestinationError:  # it is in trouble already
            continue
        if _permits(old, app, cluster, settings) and not _permits(new, app, cluster, settings):
            destinations += 1
    parts = [f"{sources} applications source became invalid"] if sources else []
    if destinations:
        parts.append(f"{destinations} applications destination became invalid")
    if parts:
        raise invalid_argument(f"as a result of project update {' and '.join(parts)}")


def _permits(project: AppProject, app: Application, cluster: Cluster, settings: Settings) -> bool:
    return permits_destination(
        project,
        server=cluster.server,
        name=cluster.name,
        namespace=app.spec.destination.namespace,
        scoped_clusters=settings.clusters.in_project(project.name),
    )


def role_of(project: AppProject, name: str) -> ProjectRole | None:
    """The role of a name."""
    return next((role for role in project.spec.roles if role.name == name), None)


def is_member(groups: Iterable[str], role: ProjectRole) -> bool:
    """Whether one of a caller's groups has the role (a group with a comma is written in quotes)."""
    names = {group[1:-1] if group.startswith('"') and group.endswith('"') else group for group in role.groups}
    return any(group in names for group in groups)
