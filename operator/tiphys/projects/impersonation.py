"""The service account that an application's destination is written as (``applications.md`` 19)."""

from tiphys.projects.glob import matches
from tiphys.resources.application import Application
from tiphys.resources.project import AppProject
from tiphys.settings.globs import GlobError, compile_glob

_FORBIDDEN = frozenset("!*[]{}\\/")


class ImpersonationError(Exception):
    """No service account can be derived; the message is the reference's.

    Attributes:
        why: what is wrong with an entry; ``""`` where none matches.
    """

    def __init__(self, text: str, why: str = "") -> None:
        super().__init__(text)
        self.why = why


def impersonated_user(project: AppProject, app: Application, server: str, *, enforced: bool) -> str:
    """The user name to impersonate, or ``""`` for the controller's own identity.

    The first entry of ``destinationServiceAccounts`` whose globs match the cluster's URL and the
    destination namespace wins.

    Args:
        server: URL of the resolved cluster.
        enforced: without a match, refuse instead of using the controller's identity.

    Raises:
        ImpersonationError: a broken entry comes before a match, or there is no match.
    """
    namespace = app.spec.destination.namespace
    for entry in project.spec.destination_service_accounts:
        # Both are tried: a broken pattern is an error even where the other one does not match.
        is_server = _matches(entry.server, server, "server")
        is_namespace = _matches(entry.namespace, namespace, "namespace")
        if not (is_server and is_namespace):
            continue
        account = entry.default_service_account
        if not account.strip() or _FORBIDDEN.intersection(account):
            raise _broken(f"default service account contains invalid chars '{account}'")
        if ":" in account:
            return f"system:serviceaccount:{account}"
        return f"system:serviceaccount:{namespace or app.metadata.namespace}:{account}"
    if enforced:
        raise ImpersonationError(
            f"no matching service account found for destination server {server} and namespace {namespace}"
        )
    return ""


def _matches(pattern: str, text: str, what: str) -> bool:
    try:
        compile_glob(pattern)
    except GlobError as error:
        raise _broken(f"invalid glob pattern for destination {what}: {error.why}") from None
    return matches(pattern, text)


def _broken(why: str) -> ImpersonationError:
    return ImpersonationError(f"failed to derive service account to impersonate: {why}", why)
