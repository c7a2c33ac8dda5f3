"""Whether the headers of a request, or its trailers, keep the rules of HTTP/2 (RFC 9113 8.2, 8.3).

The HTTP/2 library has the same checks (the tests hold them against each other), but looks at each character
of each value in Python: a token of somebody in many groups would cost more than the rest of the call.
"""

import re
from collections.abc import Iterable

_NAME = re.compile(rb":?[!-9;-@\[-~]+").fullmatch
_OF_CONNECTIONS = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_OF_REQUESTS = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_COLON = 0x3A


def _is_value(value: bytes) -> bool:
    # Searching for single bytes is a hundred times faster than a pattern, and values can be long.
    return (
        b"\0" not in value
        and b"\n" not in value
        and b"\r" not in value
        and not (value and (value[0] in b" \t" or value[-1] in b" \t"))
    )


def fault_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Why a request cannot have these headers, or ``""``; the text holds nothing of them."""
    pseudo: dict[bytes, bytes] = {}
    host: bytes | None = None
    regular = False
    for name, value in headers:
        if _NAME(name) is None or not _is_value(value):
            return "illegal characters in headers"
        if name[0] == _COLON:
            if regular or name in pseudo or name not in _OF_REQUESTS:
                return "a pseudo-header that is repeated, late or unknown"
            pseudo[name] = value
            continue
        regular = True
        if name == b"host":
            if host is not None:
                return "several hosts"
            host = value
        elif name in _OF_CONNECTIONS or (name == b"te" and value.lower() != b"trailers"):
            return "a header of connections"
    return _fault_of_target(pseudo, host)


def _fault_of_target(pseudo: dict[bytes, bytes], host: bytes | None) -> str:
    method = pseudo.get(b":method")
    if method is None:
        return "no method"
    if method == b"CONNECT" and b":protocol" not in pseudo:
        if b":scheme" in pseudo or b":path" in pseudo:
            return "CONNECT with a path"
    elif b":scheme" not in pseudo or b":path" not in pseudo:
        return "no scheme or path"
    if b":protocol" in pseudo and method != b"CONNECT":
        return "a protocol without CONNECT"
    authority = pseudo.get(b":authority", host)
    if authority is None or (host is not None and host != authority):
        return "no authority, or another host"
    return "" if pseudo.get(b":path", b"/") else "an empty path"


def fault_of_trailers(trailers: Iterable[tuple[bytes, bytes]]) -> str:
    """Why a request cannot end with these, or ``""``."""
    for name, value in trailers:
        if _NAME(name) is None or not _is_value(value):
            return "illegal characters in trailers"
        if name[0] == _COLON or name in _OF_CONNECTIONS or (name == b"te" and value.lower() != b"trailers"):
            return "trailers with a header of requests or connections"
    return ""
