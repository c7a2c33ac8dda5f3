"""A project as it counts: the stored one plus what it inherits (``applications.md`` 16, 20).

Global projects, named in the settings, hand their lists down to every project whose labels
match. Repositories and clusters whose Secret says ``project: <name>`` are permitted in that
project without being listed. Neither is written back into the stored project.
"""

from collections.abc import Iterable

import msgspec

from tiphys.resources.application import ApplicationDestination
from tiphys.resources.project import AppProject
from tiphys.settings.model import Settings

_INHERITED = (
    "cluster_resource_whitelist",
    "cluster_resource_blacklist",
    "namespace_resource_whitelist",
    "namespace_resource_blacklist",
    "sync_windows",
    "source_repos",
    "destinations",
    "destination_service_accounts",
)


def effective_project(
    project: AppProject, all_projects: Iterable[AppProject], settings: Settings
) -> AppProject:
    """The project with what it inherits from global projects and from its own Secrets."""
    spec = with_global_projects(project, all_projects, settings).spec
    repositories = tuple(repository.url for repository in settings.repositories.in_project(project.name))
    destinations = tuple(
        ApplicationDestination(server=cluster.server, namespace=namespace)
        for cluster in settings.clusters.in_project(project.name)
        for namespace in cluster.namespaces or ("*",)
    )
    if repositories or destinations:
        spec = msgspec.structs.replace(
            spec,
            source_repos=spec.source_repos + repositories,
            destinations=spec.destinations + destinations,
        )
    return project if spec is project.spec else msgspec.structs.replace(project, spec=spec)


def global_projects_of(
    project: AppProject, all_projects: Iterable[AppProject], settings: Settings
) -> tuple[AppProject, ...]:
    """The global projects that apply to a project, in the settings' order.

    One that does not exist ends the scan (as in the reference).
    """
    if not settings.global_projects:
        return ()
    by_name = {
        other.name: other for other in all_projects if other.metadata.namespace == project.metadata.namespace
    }
    found = []
    for rule in settings.global_projects:
        if not rule.label_selector.matches(project.metadata.labels):
            continue
        if rule.project_name == project.name:
            continue
        parent = by_name.get(rule.project_name)
        if parent is None:
            break
        found.append(parent)
    return tuple(found)


def with_global_projects(
    project: AppProject, all_projects: Iterable[AppProject], settings: Settings
) -> AppProject:
    """The project with the lists of its global projects appended.

    Appending to an absent whitelist of namespaced kinds turns "all" into "those".
    """
    spec = project.spec
    for parent in global_projects_of(project, all_projects, settings):
        changes = {
            field: (getattr(spec, field) or ()) + inherited
            for field in _INHERITED
            if (inherited := getattr(parent.spec, field))
        }
        spec = msgspec.structs.replace(spec, **changes) if changes else spec
    return project if spec is project.spec else msgspec.structs.replace(project, spec=spec)
