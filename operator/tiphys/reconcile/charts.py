"""What the dependencies of charts may use in a project: which repositories, with which credentials.

A chart names its dependencies itself, so the project decides where they may come from. That follows from
the project's ``sourceRepos`` and the known repositories, and is worked out once as long as these stay.
"""

from functools import partial

import msgspec

from tiphys.projects.permission import permits_source
from tiphys.resources.project import AppProject
from tiphys.settings.repositories import Repositories, Repository
from tiphys.settings.secrecy import digest_of


class ChartAccess(msgspec.Struct, frozen=True):
    """Repositories and credential templates, what they follow from, and a digest of their secrets."""

    settings: Repositories
    source_repos: tuple[str, ...]
    repositories: tuple[Repository, ...]
    templates: tuple[Repository, ...]
    digest: str


class ChartAccesses:
    """The last answer for each project."""

    def __init__(self) -> None:
        self._known: dict[str, ChartAccess] = {}

    def of(self, project: AppProject, settings: Repositories) -> ChartAccess:
        """What charts' dependencies may use in the effective ``project``."""
        known = self._known.get(project.name)
        if known is None or known.settings is not settings or known.source_repos != project.spec.source_repos:
            permits = partial(permits_source, project)
            repositories = settings.for_charts(project.name, permits)
            templates = settings.chart_templates(permits)
            digest = digest_of(
                (
                    *project.spec.source_repos,
                    *(each.credential_digest for each in (*repositories, *templates)),
                )
            )
            known = ChartAccess(settings, project.spec.source_repos, repositories, templates, digest)
            self._known[project.name] = known
        return known
