"""What counts as the same repository, and who may read its mirror.

Two Repository values share one mirror only if the address and everything that decides *what the
remote shows us* are equal: credentials, proxy, certificate checks, history depth. So a tenant without
credentials never reads what another tenant's credentials fetched, and a tenant who turned
certificate checks off cannot slip forged branches under one who did not. The address is compared
with its path's letters as written: servers may tell ``Org/App`` from ``org/app``.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import msgspec

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError

# sources.md 14.5
_SSH = re.compile(r"^(ssh://)?([^/:]*?)@[^@]+$")
_SCP = re.compile(r"^(?:([^/@:]+)@)?([^/:]+):(?!//)(.*)$")


class Trust(msgspec.Struct, frozen=True):
    """Whom we believe: the settings' known hosts and certificates (``sources.md`` 19)."""

    ssh_known_hosts: str = ""
    """An OpenSSH ``known_hosts`` file."""
    tls_certificates: Mapping[str, str] = {}
    """Host name without port → PEM bundle that *replaces* the system's roots for that host."""


def clean_url(url: str) -> str:
    """The URL for people and keys: trimmed, without user information of http(s) addresses, without
    trailing slashes; scheme and host in lower case, the path as written."""
    url = url.strip()
    if "://" not in url:
        return url.rstrip("/") if len(url) > 1 else url
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].lower()
        user = parts.username if parts.scheme.lower() == "ssh" else None
    except ValueError:
        return url
    netloc = f"{user}@{host}" if user else host
    path = parts.path.rstrip("/") or parts.path
    return urlunsplit(SplitResult(parts.scheme.lower(), netloc, path, parts.query, ""))


def is_ssh(url: str) -> bool:
    """Whether git reaches the URL through ``ssh`` (``sources.md`` 14.5)."""
    url = url.strip()
    if url.lower().startswith("ssh://"):
        return True
    return "://" not in url and bool(_SSH.match(url))


def is_http(url: str) -> bool:
    return url.strip().lower().startswith(("http://", "https://"))


def host_of(url: str) -> str:
    """Host name without port, lower case; empty for local paths."""
    url = url.strip()
    if "://" in url:
        try:
            return (urlsplit(url).hostname or "").lower()
        except ValueError:
            return ""
    match = _SCP.match(url) if is_ssh(url) else None
    return match.group(2).lower() if match else ""


def local_path(url: str) -> str | None:
    """The path that git reads for a ``file://`` URL or a plain path, else ``None``.

    As git reads it: percent escapes count, and in ``file://a/b`` the path is ``//a/b``.
    """
    url = clean_url(url)
    if url.startswith("file://"):
        path = unquote(url[len("file://") :])
        return path if path.startswith("/") else "//" + path
    # a colon before the first slash makes it host:path
    return url if "://" not in url and ":" not in url.partition("/")[0] else None


@lru_cache(maxsize=1024)
def mirror_key(repository: Repository) -> str:
    """Name of the mirror's directory: equal for repositories that may share what was fetched."""
    user_info = urlsplit(repository.url.strip()).netloc.rpartition("@")[0] if is_http(repository.url) else ""
    parts = [
        clean_url(repository.url),
        user_info,
        repository.credential_digest,
        repository.proxy,
        "insecure" if repository.insecure else "",
        str(repository.depth),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def clean_path(path: str) -> str:
    """``./a//b/`` → ``a/b``. Raises SourceError for paths that leave the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not parts:
                raise SourceError("InvalidArgument", f"{path}: app path outside root")
            parts.pop()
            continue
        parts.append(part)
    return "/".join(parts)
