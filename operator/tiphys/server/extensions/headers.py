"""Which headers go on to a service, and which come back (api.md 14).

A service gets what the caller sent, without credentials (``Authorization``, ``Cookie``, tokens for the
gateway), without anything of this connection alone, and without any header that only we may set: whatever
begins with ``Argocd-`` (also written with underscores, which some servers read as dashes) tells it what was
checked here. Then what the settings add. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from tiphys.access.identity import Identity
from tiphys.server.extensions.asking import APPLICATION, PROJECT, Wish
from tiphys.server.http.hop_by_hop import HOP_BY_HOP

_OURS = HOP_BY_HOP | {"host", "content-length", "expect", "http2-settings"}
_CREDENTIALS = frozenset({"authorization", "cookie"})
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Sent(msgspec.Struct, frozen=True):
    """How the request came: the host it was for, its scheme, and the address of the client."""

    host: str
    scheme: str
    peer: str


def is_settable(name: str) -> bool:
    """Whether the settings may add a header of this name; reserved ones are ignored."""
    return not _is_reserved(name.lower()) and name.lower() not in _OURS


def checked_headers(
    wish: Wish, namespace: str, identity: Identity, destination_name: str, destination_server: str
) -> dict[str, str]:
    """What was checked here, for the service to rely on.

    Args:
        namespace: the control plane's.
        destination_name, destination_server: as the Application writes them.
    """
    told = {
        APPLICATION: f"{wish.namespace}:{wish.app}",
        PROJECT: wish.project,
        "Argocd-Namespace": namespace,
        "Argocd-Target-Cluster-Name": destination_name,
        "Argocd-Target-Cluster-URL": destination_server,
        "Argocd-Username": identity.username,
        "Argocd-User-Id": identity.user_id,
        "Argocd-User-Groups": ",".join(identity.groups),
    }
    return {name: _CONTROLS.sub("", value) for name, value in told.items() if value}


def forwarded_headers(
    given: CIMultiDictProxy[str],
    checked: Mapping[str, str],
    added: Iterable[tuple[str, str]],
    sent: Sent,
    *,
    length: int | None,
) -> CIMultiDict[str]:
    """The headers of the request to the service.

    Args:
        added: by the settings; they win over the caller's.
        length: of the body, when it is known.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    dropped = _OURS | _CREDENTIALS | _named_by_connection(given)
    for name, value in given.items():
        lowered = name.lower()
        if lowered not in dropped and not _is_reserved(lowered):
            headers.add(name, value)
    chain = [*headers.popall("X-Forwarded-For", []), sent.peer]
    headers["X-Forwarded-For"] = ", ".join(each for each in chain if each)
    headers.setdefault("X-Forwarded-Host", sent.host)
    headers.setdefault("X-Forwarded-Proto", sent.scheme)
    if length is not None:
        headers["Content-Length"] = str(length)
    for name, value in added:
        headers[name] = value
    headers.update(checked)
    return headers


def returned_headers(given: CIMultiDictProxy[str]) -> Iterator[tuple[str, str]]:
    """The headers of the answer to the client. A service gets no cookies; it may not set ours."""
    dropped = HOP_BY_HOP | _named_by_connection(given)
    for name, value in given.items():
        lowered = name.lower()
        if lowered in dropped or (lowered == "set-cookie" and value.lstrip().lower().startswith("argocd.")):
            continue
        yield name, value


def _is_reserved(lowered: str) -> bool:
    return lowered.replace("_", "-").startswith(("argocd-", "grpc-metadata-"))


def _named_by_connection(given: CIMultiDictProxy[str]) -> set[str]:
    """Headers that ``Connection`` says are for this connection only."""
    return {name.strip().lower() for each in given.getall("Connection", []) for name in each.split(",")}
