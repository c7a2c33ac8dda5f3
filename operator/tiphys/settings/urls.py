"""When two repository URLs mean the same repository (sources.md 14.5), and URLs without secrets."""

import re
from functools import lru_cache
from urllib.parse import quote

_SSH = re.compile(r"^(ssh://)?([^/:]*?)@[^@]+$")
_CREDENTIALS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)([^/\s@?#'\"]*)@")
_PASSWORD = re.compile(r"(://[^/\s:@?#]*):[^/\s@?#]*@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:")
_BAD_PORT = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#]*:[^/?#\]:]*[^0-9/?#\]:][^/?#\]:]*(?:[/?#]|$)")


def is_ssh_url(url: str) -> bool:
    """Whether a URL is ``user@host:path`` or ``ssh://user@…``."""
    return _SSH.match(url) is not None


@lru_cache(maxsize=8192)
def normalize_git_url(url: str) -> str:
    """The form two URLs of one repository share: trimmed, lower case, ``user@host:path`` as
    ``user@host/path``, no ``.git``, no ``ssh://``. Empty when the URL cannot be parsed."""
    text = url.strip().lower()
    if is_ssh_url(text) and not text.startswith("ssh://"):
        text = "ssh://" + text.replace(":", "/", 1)
    text = text.removesuffix(".git")
    if not _parses(text):
        return ""
    text = quote(text, safe="%/:=&?~#+!$,;'@()*[]-._|^`{}<>\"\\") if " " in text else text
    return text.removeprefix("ssh://")


def _parses(text: str) -> bool:
    """Whether Go's ``url.Parse`` takes it, for the ways in which repository URLs go wrong."""
    if _CONTROL.search(text) or _BAD_ESCAPE.search(text.partition("?")[0]):
        return False
    if text.startswith(":"):
        return False
    if not _SCHEME.match(text):
        first = text.partition("/")[0]
        return ":" not in first
    return not _BAD_PORT.match(text)


def same_repository(one: str, two: str) -> bool:
    """Whether two URLs mean one repository."""
    return normalize_git_url(one) == normalize_git_url(two)


def without_credentials(text: str) -> str:
    """A text in which no URL carries a user or password."""
    return _CREDENTIALS.sub(r"\1", text)


def without_password(url: str) -> str:
    """A URL whose user information holds no password; the user stays, it is part of the name."""
    return _PASSWORD.sub(r"\1@", url)
