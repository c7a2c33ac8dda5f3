"""Who is hydrated together: Applications of one dry revision and one destination branch share a commit."""

from collections.abc import Iterable
from typing import NamedTuple

from tiphys.resources.application import Application
from tiphys.resources.spec import SourceHydrator
from tiphys.settings.urls import normalize_git_url


class GroupKey(NamedTuple):
    """What the members of a group have in common (``sources.md`` 21.3); addresses are normalised."""

    dry_url: str
    dry_revision: str
    url: str
    branch: str

    def __str__(self) -> str:
        return f"{self.dry_url}@{self.dry_revision} -> {self.url}@{self.branch}"


def destination_url(hydrator: SourceHydrator) -> str:
    """The repository that is written to, as the spec names it."""
    return hydrator.sync_source.repo_url or hydrator.dry_source.repo_url


def destination_branch(hydrator: SourceHydrator) -> str:
    """The branch that is written to: that of ``hydrateTo``, else the one that is synced from."""
    return hydrator.hydrate_to.target_branch if hydrator.hydrate_to else hydrator.sync_source.target_branch


def group_of(app: Application) -> GroupKey | None:
    """The group of an Application; None: it has no hydrator."""
    hydrator = app.spec.source_hydrator
    if hydrator is None:
        return None
    return GroupKey(
        normalize_git_url(hydrator.dry_source.repo_url),
        hydrator.dry_source.target_revision,
        normalize_git_url(destination_url(hydrator)),
        destination_branch(hydrator),
    )


def members(group: GroupKey, apps: Iterable[Application]) -> list[Application]:
    """The Applications of a group, in the order of their names; none that is being deleted."""
    found = [app for app in apps if group_of(app) == group and not app.metadata.deletion_timestamp]
    return sorted(found, key=lambda app: str(app.key))


def common_project(apps: Iterable[Application]) -> str:
    """The project whose write credentials count: that of all of them, else none (``""``)."""
    projects = {app.spec.project_name for app in apps}
    return projects.pop() if len(projects) == 1 else ""
