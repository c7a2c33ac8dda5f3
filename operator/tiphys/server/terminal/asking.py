"""What a request for a terminal asks for, and the first checks: all names are names (api.md 14).

Pure: query parameters in, a :class:`Wish` out. The names become parts of URLs of the API server, so
nothing that is no name gets any further.
"""

from collections.abc import Mapping

import msgspec

from tiphys.server.http.names import is_label, is_subdomain
from tiphys.server.http.refusals import Refused

DEFAULT_SHELLS = ("bash", "sh", "powershell", "cmd")
ENABLED, SHELLS = "exec.enabled", "exec.shells"
"""Keys in ``argocd-cm``."""


class Wish(msgspec.Struct, frozen=True):
    """A container of a Pod of an Application; ``shell`` is what was asked for, listed or not."""

    pod: str
    container: str
    app: str
    project: str
    namespace: str
    app_namespace: str
    shell: str = ""


def wish_of(query: Mapping[str, str]) -> Wish:
    """The wish that query parameters express.

    Raises:
        Refused: 400, in the order of the reference's checks.
    """
    wish = Wish(
        pod=query.get("pod", ""),
        container=query.get("container", ""),
        app=query.get("appName", ""),
        project=query.get("projectName", ""),
        namespace=query.get("namespace", ""),
        app_namespace=query.get("appNamespace", ""),
        shell=query.get("shell", ""),
    )
    if not all((wish.pod, wish.container, wish.app, wish.project, wish.namespace)):
        raise Refused(400, "Missing required parameters")
    for text, is_fine, what in (
        (wish.pod, is_subdomain, "Pod"),
        (wish.container, is_label, "Container"),
        (wish.app, is_subdomain, "App"),
        (wish.project, is_subdomain, "Project"),
        (wish.namespace, is_label, "Namespace"),
        (wish.app_namespace, is_label, "App namespace"),
    ):
        if not is_fine(text):
            raise Refused(400, f"{what} name is not valid")
    return wish


def shells_of(raw: Mapping[str, str], asked: str) -> tuple[str, ...]:
    """The shells to try, in order: the one asked for if it is listed, else all that are."""
    listed = tuple(name.strip() for name in raw.get(SHELLS, "").split(",") if name.strip()) or DEFAULT_SHELLS
    return (asked,) if asked in listed else listed
