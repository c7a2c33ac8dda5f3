"""What single sign-on hands to others; nothing here shows a token when it is printed."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.settings.secrecy import redacted


class SsoSession(msgspec.Struct, frozen=True):
    """What is sealed beside an ID token: a name for revoking it, whose it is, since when (Unix seconds),
    and the tokens."""

    id: str
    subject: str
    since: int
    access_token: str = ""
    refresh_token: str = ""

    def __repr__(self) -> str:
        return redacted(self, frozenset({"access_token", "refresh_token"}))


class Verified(msgspec.Struct, frozen=True):
    """A good SSO token; ``renewed`` and ``sealed`` replace what the caller has, ``""``: keep it."""

    claims: Mapping[str, Any]
    renewed: str = ""
    sealed: str = ""


class LoggedIn(msgspec.Struct, frozen=True):
    """A login that succeeded: the token, and what is to be kept beside it (``""``: nothing)."""

    token: str
    sealed: str
    return_url: str

    def __repr__(self) -> str:
        return redacted(self, frozenset({"token", "sealed"}))
