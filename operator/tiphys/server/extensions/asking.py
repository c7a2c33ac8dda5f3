"""What a request to an extension asks for, and whether it is asked properly (api.md 14).

Every request says for which Application it is made, in two headers; what stands there twice is refused,
since the service behind us might believe the other one. A path that climbs (``..``, however it is escaped)
is refused as well: what the caller may do was decided for this extension. Pure.
"""

import re
from collections.abc import Sequence

import msgspec
from multidict import CIMultiDictProxy

from tiphys.server.http.names import is_label, is_subdomain
from tiphys.server.http.refusals import Refused
from tiphys.server.http.routing import BadPath, decoded_path

PREFIX = "/extensions/"
APPLICATION, PROJECT = "Argocd-Application-Name", "Argocd-Project-Name"

_REFLECTING = frozenset({"TRACE", "CONNECT"})
"""Methods that could show a caller the headers which the service gets, or that are no requests for it."""


class Wish(msgspec.Struct, frozen=True):
    """An extension, for an Application; ``rest`` is the path behind its name as it was sent (``""``, or
    beginning with a slash)."""

    extension: str
    rest: str
    namespace: str
    app: str
    project: str


def wish_of(method: str, raw_path: str, headers: CIMultiDictProxy[str]) -> Wish:
    """The wish of a request.

    Args:
        raw_path: below the root path, still escaped.

    Raises:
        Refused: 400, in the order of the reference's checks; 405.
    """
    if not raw_path.startswith(PREFIX):
        raise Refused(400, "Invalid URL: first segment must be /extensions")
    name, slash, rest = raw_path[len(PREFIX) :].partition("/")
    if not name:
        raise Refused(400, "Invalid URL: extension name must be provided")
    if method in _REFLECTING:
        raise Refused(405, "Method Not Allowed")
    if _climbs(raw_path):
        raise Refused(400, "Invalid URL: no segment may be relative")
    namespace, app = _application(_only(headers.getall(APPLICATION, []), APPLICATION))
    project = _only(headers.getall(PROJECT, []), PROJECT)
    if not is_subdomain(project):
        raise Refused(400, "Invalid headers: invalid value for project name")
    return Wish(name, slash + rest, namespace, app, project)


def _climbs(raw_path: str) -> bool:
    """Whether a segment is ``.`` or ``..`` to anybody who reads it, also behind an escaped slash, before a
    parameter (``..;x``) or escaped twice."""
    try:
        path = decoded_path(raw_path)
    except BadPath:
        return True
    for _ in range(2):
        if any(part.partition(";")[0].strip() in (".", "..") for part in re.split(r"[/\\]", path)):
            return True
        try:
            path = decoded_path(path)
        except BadPath:
            return False
    return False


def _only(values: Sequence[str], name: str) -> str:
    if len(values) > 1:
        raise Refused(400, f'Invalid headers: header "{name}" must be provided once')
    if not values or not values[0]:
        raise Refused(400, f'Invalid headers: header "{name}" must be provided')
    return values[0]


def _application(value: str) -> tuple[str, str]:
    parts = value.split(":")
    if len(parts) != 2:
        raise Refused(
            400,
            f'Invalid headers: error getting app details: invalid value for "{APPLICATION}" header: '
            "expected format: <namespace>:<app-name>",
        )
    namespace, app = parts
    if not is_label(namespace):
        raise Refused(400, "Invalid headers: invalid value for namespace")
    if not is_subdomain(app):
        raise Refused(400, "Invalid headers: invalid value for application name")
    return namespace, app
