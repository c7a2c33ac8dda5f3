"""The services of the API: one module or folder for each, every method once (``api.rpc``).

:func:`all_services` builds them out of :class:`Parts`; the lines of one service stand together.
"""

from collections.abc import Callable
from uuid import uuid4

import msgspec

from tiphys.access.access import Access
from tiphys.server.guard import Guard
from tiphys.server.services.accounts import AccountService
from tiphys.server.services.applications.resources.service import resource_services
from tiphys.server.services.applications.service import application_services
from tiphys.server.services.applicationsets.service import applicationset_services
from tiphys.server.services.certificates import CertificateService
from tiphys.server.services.clusters.service import ClusterService
from tiphys.server.services.events import AuditLog
from tiphys.server.services.gpgkeys import GPGKeyService
from tiphys.server.services.notifications import NotificationService
from tiphys.server.services.projects.links import ProjectLinks
from tiphys.server.services.projects.service import ProjectService
from tiphys.server.services.repocreds import RepoCredsService
from tiphys.server.services.repositories import RepositoryService
from tiphys.server.services.sessions import SessionService
from tiphys.server.services.settings import SettingsService
from tiphys.server.services.version import VersionService
from tiphys.server.state import State


class Parts(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What services are built out of.

    Attributes:
        count_login: told of each login by password whether it succeeded.
    """

    state: State
    guard: Guard
    access: Access
    audit: AuditLog
    count_login: Callable[[bool], None] = lambda success: None


def all_services(parts: Parts) -> tuple[object, ...]:
    """Every service object; together they have every method of the API."""
    return (
        SessionService(parts.access.sessions, parts.count_login),
        AccountService(
            parts.guard,
            parts.access.accounts,
            parts.access.sessions,
            lambda: parts.state.settings,
            parts.state.clock,
        ),
        SettingsService(lambda: parts.state.settings, parts.access.accounts),
        VersionService(),
        ClusterService(parts.state, parts.guard),
        *applicationset_services(parts.state, parts.guard, parts.audit),
        NotificationService(parts.state),
        ProjectService(parts.state, parts.guard, parts.audit, parts.access.sessions, lambda: str(uuid4())),
        ProjectLinks(parts.state, parts.guard),
        RepositoryService(parts.state, parts.guard),
        RepoCredsService(parts.state, parts.guard),
        CertificateService(parts.state, parts.guard),
        GPGKeyService(parts.state, parts.guard),
        *application_services(parts.state, parts.guard, parts.audit),
        *resource_services(parts.state, parts.guard, parts.audit),
    )
