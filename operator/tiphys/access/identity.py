"""The caller of one request, as everything above sees it.

Made by ``access`` out of a verified token (api.md 11, 12); RBAC decides about it (api.md 13).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

LOCAL_ISSUER = "argocd"


class Identity(msgspec.Struct, frozen=True):
    """A caller.

    Attributes:
        user_id: RBAC subject (``federated_claims.user_id``, else ``sub``; for local accounts the bare
            account name; ``proj:P:R`` for project tokens); ``""`` for nobody.
        username: how people know the caller: email of SSO tokens, else the user id.
        issuer: ``argocd`` for local accounts and project tokens; ``""`` for nobody.
        groups: values of the claims that RBAC's ``scopes`` name.
        issued_at: Unix seconds, or None when unknown.
        claims: the verified claims.
        is_authenticated: whether a valid token was given (anonymous callers have none).
        is_unrestricted: authentication is switched off (``--disable-auth``): everything is allowed.
    """

    user_id: str = ""
    username: str = ""
    issuer: str = ""
    groups: tuple[str, ...] = ()
    issued_at: int | None = None
    claims: Mapping[str, Any] = {}
    is_authenticated: bool = False
    is_unrestricted: bool = False


NOBODY = Identity()
"""An anonymous caller: only ``policy.default`` applies."""

UNRESTRICTED = Identity(is_unrestricted=True)


class Authentication(msgspec.Struct, frozen=True):
    """The outcome of checking the credentials of a request.

    Attributes:
        identity: who calls; :data:`NOBODY` where authentication failed but is tolerated.
        problem: why no token was accepted (``no session information``, ``invalid session: …``),
            ``""`` when one was.
        lacks_groups: the token was good, but the groups of its owner could not be had.
        renewed_token: a fresh token to hand back (header metadata ``renew-token``), or ``""``.
        renewed_state: what a browser is to keep beside a fresh SSO token, sealed, or ``""``.
    """

    identity: Identity = NOBODY
    problem: str = ""
    lacks_groups: bool = False
    renewed_token: str = ""
    renewed_state: str = ""
