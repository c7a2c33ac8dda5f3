"""The headers of a request as metadata of a call (api.md 3), and metadata as headers of the answer.

``Authorization`` and ``Cookie`` go under the names that authentication looks for, whatever is called
``Grpc-Metadata-<X>`` becomes ``<x>``, ``Grpc-Timeout`` a deadline. Everything else stays behind: a
method never sees an HTTP header. Pure.
"""

import re
from collections.abc import Iterable, Mapping

_PREFIX = "grpc-metadata-"
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

_KEPT = {
    "authorization": ("authorization", "grpcgateway-authorization"),
    "cookie": ("grpcgateway-cookie",),
}


class BadTimeout(ValueError):
    """``Grpc-Timeout`` is no duration; the text says which."""


def metadata_of(headers: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The metadata of a call out of ``(name, value)`` pairs in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        lowered = name.lower()
        keys = _KEPT.get(lowered)
        if keys is None:
            if not lowered.startswith(_PREFIX) or lowered == _PREFIX:
                continue
            keys = (lowered.removeprefix(_PREFIX),)
        for key in keys:
            found[key] = (*found.get(key, ()), value)
    return found


def timeout_of(text: str) -> float:
    """Seconds that ``Grpc-Timeout`` gives (``10S``, ``500m``).

    Raises:
        BadTimeout: it is no such duration.
    """
    match = _TIMEOUT.fullmatch(text)
    if match is None:
        raise BadTimeout(f"invalid grpc-timeout: {text}")
    return int(match[1]) * _SECONDS[match[2]]


def answer_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Response header metadata as HTTP headers, under the reference's names."""
    found = {"Grpc-Metadata-Content-Type": "application/grpc"}
    for key, value in metadata.items():
        if not key.startswith(":"):
            found[f"Grpc-Metadata-{'-'.join(part.capitalize() for part in key.split('-'))}"] = value
    return found
