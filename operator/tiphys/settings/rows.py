"""Rows of the table of parameters: where one parameter comes from.

Most parameters follow the reference's convention: a stem such as ``status.processors`` gives the
flag ``--status-processors``, the variable ``ARGOCD_APPLICATION_CONTROLLER_STATUS_PROCESSORS`` and
the key ``controller.status.processors``. The functions here spell the convention of each role
and take what differs as arguments, so that a line of the table says only what is particular.
"""

import msgspec

from tiphys.settings.values import Parser, choice, scaled

CONTROLLER, SERVER, REPO, APPSET, NOTIFICATIONS = (
    "controller",
    "server",
    "reposerver",
    "applicationset",
    "notifications",
)
ROLES = (CONTROLLER, SERVER, REPO, APPSET, NOTIFICATIONS)
C_S = (CONTROLLER, SERVER)
C_S_R = (CONTROLLER, SERVER, REPO)
SECONDS = scaled(1.0, 0)
NANOSECONDS = scaled(1e-9, 0)
LEVELS = choice("debug", "info", "warn", "warning", "error", "fatal", "panic", "trace")
FORMATS = choice("json", "text")


class Row(msgspec.Struct, frozen=True):
    """Flags, environment variables and keys of one parameter, the first one set counts.

    ``parse`` overrides the reader that follows from the field's type; ``parse_flag`` is set where
    the reference's flag has another unit than its variable. ``secret`` values are never printed.
    """

    flags: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    roles: tuple[str, ...] = ROLES
    parse: Parser | None = None
    parse_flag: Parser | None = None
    secret: bool = False


def plain(
    flag: str = "",
    env: str = "",
    key: str = "",
    roles: tuple[str, ...] = ROLES,
    *,
    parse: Parser | None = None,
    parse_flag: Parser | None = None,
    secret: bool = False,
) -> Row:
    """A row without a convention; several names are separated by spaces."""
    return Row(tuple(flag.split()), tuple(env.split()), tuple(key.split()), roles, parse, parse_flag, secret)


def _by_convention(role: str, env_prefix: str, key_prefix: str, stem: str, given: "Given") -> Row:
    flag = "--" + stem.replace(".", "-") if given.flag is None else given.flag
    env = env_prefix + stem.replace(".", "_").upper() if given.env is None else given.env
    key = key_prefix + stem if given.key is None else given.key
    return Row(
        tuple(flag.split()), tuple(env.split()), tuple(key.split()), (role,), given.parse, given.parse_flag
    )


class Given(msgspec.Struct, frozen=True):
    """What departs from a convention; ``""`` means there is none."""

    flag: str | None = None
    env: str | None = None
    key: str | None = None
    parse: Parser | None = None
    parse_flag: Parser | None = None


def controller(
    stem: str,
    flag: str | None = None,
    env: str | None = None,
    key: str | None = None,
    parse: Parser | None = None,
    parse_flag: Parser | None = None,
) -> Row:
    """A row of the application controller."""
    given = Given(flag, env, key, parse, parse_flag)
    return _by_convention(CONTROLLER, "ARGOCD_APPLICATION_CONTROLLER_", "controller.", stem, given)


def server(
    stem: str,
    flag: str | None = None,
    env: str | None = None,
    key: str | None = None,
    parse: Parser | None = None,
) -> Row:
    """A row of the API server."""
    return _by_convention(SERVER, "ARGOCD_SERVER_", "server.", stem, Given(flag, env, key, parse))


def repo(
    stem: str,
    flag: str | None = None,
    env: str | None = None,
    key: str | None = None,
    parse: Parser | None = None,
) -> Row:
    """A row of the repo server."""
    return _by_convention(REPO, "ARGOCD_REPO_SERVER_", "reposerver.", stem, Given(flag, env, key, parse))


def appset(
    stem: str,
    flag: str | None = None,
    env: str | None = None,
    key: str | None = None,
    parse: Parser | None = None,
) -> Row:
    """A row of the ApplicationSet controller; with a flag ``--appset-…`` also one of the API server, which
    looks at what generators find."""
    prefix = "ARGOCD_APPLICATIONSET_CONTROLLER_"
    row = _by_convention(APPSET, prefix, "applicationsetcontroller.", stem, Given(flag, env, key, parse))
    shared = any(each.startswith("--appset-") for each in row.flags)
    return msgspec.structs.replace(row, roles=(APPSET, SERVER)) if shared else row


def notifications(stem: str, flag: str | None = None, env: str | None = None, key: str | None = None) -> Row:
    """A row of the notifications controller."""
    prefix = "ARGOCD_NOTIFICATION_CONTROLLER_"
    return _by_convention(NOTIFICATIONS, prefix, "notificationscontroller.", stem, Given(flag, env, key))


def cluster_cache(stem: str, key: str = "", parse: Parser | None = None) -> Row:
    """A variable of the live cache (``ARGOCD_CLUSTER_CACHE_…``)."""
    env = "ARGOCD_CLUSTER_CACHE_" + stem.replace(".", "_").upper()
    return Row((), (env,), tuple(key.split()), (CONTROLLER,), parse)


def work_queue(flag: str, env: str, parse: Parser | None = None) -> Row:
    """A parameter of the work queues (operations.md 4.5)."""
    return Row((f"--wq-{flag}",), (f"WORKQUEUE_{env}",), (), (CONTROLLER, APPSET), parse)


def kube_client(role: str, stem: str, env: str, parse: Parser | None = None) -> Row:
    """A parameter of a role's Kubernetes client; all roles share the variable (operations.md 1.7)."""
    component = "applicationsetcontroller" if role == APPSET else role
    return Row((), (env,), (f"{component}.{stem}",), (role,), parse)


def repo_server_client(stem: str, parse: Parser | None = None) -> Row:
    """How the roles reach the repo server, when it runs apart."""
    flag = "--repo-server-" + stem.replace(".", "-")
    suffix = "REPO_SERVER_" + stem.replace(".", "_").upper()
    prefixes = ("ARGOCD_APPLICATION_CONTROLLER_", "ARGOCD_SERVER_", "ARGOCD_APPLICATIONSET_CONTROLLER_")
    components = ("controller", "server", "applicationsetcontroller")
    return Row(
        (flag,),
        tuple(prefix + suffix for prefix in prefixes),
        tuple(f"{component}.repo.server.{stem}" for component in components),
        (CONTROLLER, SERVER, APPSET),
        parse,
    )


def redis(flag: str, env: str = "", key: str = "") -> Row:
    """A parameter of the connection to Redis; the API server has a second set for the repo server's."""
    return plain(f"{flag} --repo-server-{flag[2:]}", env, key, C_S_R)


def otlp_env(suffix: str) -> str:
    """The variables of a tracing parameter, one a role."""
    components = ("APPLICATION_CONTROLLER", "SERVER", "REPO_SERVER")
    return " ".join(f"ARGOCD_{component}_OTLP_{suffix}" for component in components)
