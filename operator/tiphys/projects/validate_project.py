"""Whether a project makes sense, as the API checks it before it writes one (``applications.md``
17 and 18). The controller never refuses a project: what makes no sense there permits nothing.
"""

import re
import zlib
from collections.abc import Callable, Iterable

import msgspec

from tiphys.projects.cron import CronError, parse_cron
from tiphys.projects.tokens import token_subject
from tiphys.resources.project import (
    ApplicationDestinationServiceAccount,
    AppProject,
    AppProjectSpec,
    ProjectRole,
    SyncWindow,
)
from tiphys.resources.times import go_duration
from tiphys.settings.globs import GlobError, compile_glob

INVALID_ARGUMENT = "InvalidArgument"
ALREADY_EXISTS = "AlreadyExists"
OUT_OF_RANGE = "OutOfRange"

_RESOURCES = frozenset({"applications", "applicationsets", "repositories", "exec", "logs", "clusters"})
_ACTIONS = frozenset({"get", "create", "update", "delete", "sync", "override", "rollback", "*"})
_ACTION_PREFIXES = ("action/", "update/", "delete/")
_ROLE_NAME = re.compile(r"[a-zA-Z0-9]([-_a-zA-Z0-9]*[a-zA-Z0-9])?")
_FORBIDDEN_IN_ACCOUNTS = frozenset("!*[]{}\\/")
_DESCRIPTION_LIMIT = 255


class InvalidProject(Exception):
    """A project that the API refuses; ``code`` is the name of the gRPC status."""

    def __init__(self, message: str, code: str = INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def validate_project(project: AppProject) -> None:
    """Check a project.

    Raises:
        InvalidProject: the first thing that is wrong.
    """
    spec = project.spec
    _check_destinations(spec)
    _refuse_repeated(spec.source_namespaces, lambda name: f"source namespace '{name}' already added")
    for repository in spec.source_repos:
        _refuse_deny_all("source repository", repository)
    _refuse_repeated(spec.source_repos, lambda url: f"source repository '{url}' already added")
    _refuse_repeated(
        (role.name for role in spec.roles), lambda name: f"role '{name}' already exists", ALREADY_EXISTS
    )
    for role in spec.roles:
        _check_role(project.name, role)
    _check_windows(spec.sync_windows)
    _check_service_accounts(spec.destination_service_accounts)


def _refuse_repeated(
    values: Iterable[str], message: Callable[[str], str], code: str = INVALID_ARGUMENT
) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidProject(message(value), code)
        seen.add(value)


def _refuse_deny_all(what: str, pattern: str) -> None:
    if pattern == "!*":
        raise InvalidProject(f"{what} has an invalid format, '!*'")


def _check_destinations(spec: AppProjectSpec) -> None:
    for destination in spec.destinations:
        _refuse_deny_all("name", destination.name)
        _refuse_deny_all("server", destination.server)
        _refuse_deny_all("namespace", destination.namespace)
    _refuse_repeated(
        (f"{place.server or place.name}/{place.namespace}" for place in spec.destinations),
        lambda key: f"destination '{key}' already added",
    )


def _check_role(project: str, role: ProjectRole) -> None:
    if not _ROLE_NAME.fullmatch(role.name):
        raise InvalidProject(
            f"invalid role name '{role.name}'. Must consist of alphanumeric characters, '-' or '_', "
            "and must start and end with an alphanumeric character"
        )
    for policy in role.policies:
        _check_policy(project, role.name, policy)
    _refuse_repeated(
        role.policies,
        lambda policy: f"policy '{policy}' already exists for role '{role.name}'",
        ALREADY_EXISTS,
    )
    for group in role.groups:
        _check_group(group)
    _refuse_repeated(
        role.groups, lambda group: f"group '{group}' already exists for role '{role.name}'", ALREADY_EXISTS
    )


def _check_policy(project: str, role: str, policy: str) -> None:
    def refuse(why: str) -> InvalidProject:
        return InvalidProject(f"invalid policy rule '{policy}': {why}")

    parts = [part.strip() for part in policy.split(",")]
    if len(parts) != 6 or parts[0] != "p":
        raise refuse("must be of the form: 'p, sub, res, act, obj, eft'")
    _, subject, resource, action, target, effect = parts
    expected = token_subject(project, role)
    if subject != expected:
        raise refuse(f"policy subject must be: '{expected}', not '{subject}'")
    if resource not in _RESOURCES:
        raise refuse(
            "project resource must be: 'applications', 'applicationsets', 'repositories', 'exec', "
            f"'logs' or 'clusters', not '{resource}'"
        )
    if action not in _ACTIONS and not any(prefix in action for prefix in _ACTION_PREFIXES):
        raise refuse(f"invalid action '{action}'")
    if not re.fullmatch(rf"{re.escape(project)}(/[*\w.-]+)?/[*\w.-]+", target, re.ASCII):
        raise refuse(
            f"object must be of form '{project}/*', '{project}[/<NAMESPACE>]/<APPNAME>' or "
            f"'{project}/<APPNAME>', not '{target}'"
        )
    if effect not in ("allow", "deny"):
        raise refuse("effect must be: 'allow' or 'deny'")


def _check_group(group: str) -> None:
    """A group as it stands in a line of a policy; what is said of it names it without spaces and quotes."""
    inner = group.strip()
    if len(inner) > 1 and inner.startswith('"') and inner.endswith('"'):
        inner = inner[1:-1]
    elif "," in inner:
        raise InvalidProject(f"group '{inner}' must be quoted")
    if not inner:
        raise InvalidProject(f"group '{inner}' is empty")
    if any(character in '"\n\r\t' for character in inner):
        raise InvalidProject(f"group '{inner}' contains invalid characters")
    if group[0].isspace():
        raise InvalidProject(f"group '{inner}' contains a leading space")
    if group[-1].isspace():
        raise InvalidProject(f"group '{inner}' contains a trailing space")


def _check_windows(windows: tuple[SyncWindow, ...]) -> None:
    seen: set[bytes] = set()
    for window in windows:
        validate_window(window)
        identity = msgspec.json.encode(
            [
                window.kind,
                window.schedule,
                window.duration,
                window.applications,
                window.namespaces,
                window.clusters,
                window.time_zone or "UTC",
                window.and_operator,
            ]
        )
        if identity in seen:
            raise InvalidProject(
                f"sync window with kind '{window.kind}', schedule '{window.schedule}' and duration "
                f"'{window.duration}' already exists (hash={zlib.crc32(identity)}, duplicate detected)",
                ALREADY_EXISTS,
            )
        seen.add(identity)


def validate_window(window: SyncWindow) -> None:
    """Check one sync window (``applications.md`` 17).

    Raises:
        InvalidProject: the first thing that is wrong.
    """
    if window.kind not in ("allow", "deny"):
        raise InvalidProject(f"kind '{window.kind}' mismatch: can only be allow or deny")
    try:
        parse_cron(window.schedule)
    except CronError as error:
        raise InvalidProject(f"cannot parse schedule '{window.schedule}': {error}") from None
    try:
        go_duration(window.duration)
    except ValueError as error:
        raise InvalidProject(f"cannot parse duration '{window.duration}': {error}") from None
    if len(window.description) > _DESCRIPTION_LIMIT:
        raise InvalidProject(f"description must not exceed {_DESCRIPTION_LIMIT} characters")
    if not (window.applications or window.namespaces or window.clusters):
        raise InvalidProject(
            f"window '{window.kind}':'{window.schedule}':'{window.duration}' "
            "requires one of application, cluster or namespace",
            OUT_OF_RANGE,
        )


def _check_service_accounts(entries: tuple[ApplicationDestinationServiceAccount, ...]) -> None:
    for entry in entries:
        _check_account_pattern("server", entry.server)
        _check_account_pattern("namespace", entry.namespace)
        account = entry.default_service_account
        if not account.strip() or _FORBIDDEN_IN_ACCOUNTS.intersection(account):
            raise InvalidProject(f"defaultServiceAccount has an invalid format, '{account}'")
    _refuse_repeated(
        (f"{entry.server}/{entry.namespace}" for entry in entries),
        lambda key: f"destinationServiceAccount '{key}' already added",
    )


def _check_account_pattern(what: str, pattern: str) -> None:
    valid = "!" not in pattern
    try:
        compile_glob(pattern)
    except GlobError:
        valid = False
    if not valid:
        raise InvalidProject(f"{what} has an invalid format, '{pattern}'")
