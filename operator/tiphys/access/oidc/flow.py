"""A login through the identity provider, step by step (api.md 12). Pure.

``begin`` makes the address that the browser is sent to and the state it keeps meanwhile; ``returned``
checks the state that comes back. Nobody is ever sent to an address outside of the installation.
"""

import base64
import hashlib
import json
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from tiphys.access.errors import AccessError
from tiphys.access.oidc.config import Sso
from tiphys.access.oidc.provider import Discovery
from tiphys.access.oidc.sealing import STATE, SealBroken, seal, unseal

CALLBACK = "/auth/callback"
STATE_SECONDS = 300

BAD_RETURN = (
    "Invalid redirect URL: the protocol and host (including port) must match and the path must be within "
    "allowed URLs if provided"
)


class BadState(AccessError):
    """The login that comes back is not the one this browser began."""


class Begun(msgspec.Struct, frozen=True):
    """A login that begins: where the browser goes, and the sealed state for its cookie."""

    url: str
    sealed: str


class Returned(msgspec.Struct, frozen=True):
    """The state of a login that came back."""

    return_url: str
    verifier: str
    nonce: str


def uses_code(discovery: Discovery) -> bool:
    """Whether the provider knows the code flow; else the implicit one is used."""
    return "code" in discovery.response_types_supported or not discovery.response_types_supported


def begin(
    sso: Sso,
    discovery: Discovery,
    *,
    return_url: str,
    redirect_uri: str,
    secret_key: str,
    random_text: Callable[[], str],
    now: float,
) -> Begun:
    """The first step.

    Args:
        return_url: where people come from, already checked.
        redirect_uri: our callback.
        random_text: makes texts nobody can guess.
        now: Unix seconds.
    """
    state = random_text()
    verifier = random_text() + random_text() if sso.oidc.pkce and uses_code(discovery) else ""
    query: dict[str, str] = {
        "client_id": sso.oidc.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code" if uses_code(discovery) else "id_token",
        "scope": " ".join(sso.scopes),
        "state": state,
        "nonce": nonce_of(state),
    }
    if verifier:
        digest = hashlib.sha256(verifier.encode()).digest()
        query["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query["code_challenge_method"] = "S256"
    if sso.oidc.requested_claims:
        query["claims"] = json.dumps({"id_token": _claims(sso)}, separators=(",", ":"))
    if sso.connector_id:
        query["connector_id"] = sso.connector_id
    if sso.oidc.domain_hint:
        query["domain_hint"] = sso.oidc.domain_hint
    endpoint = discovery.authorization_endpoint
    mark = "&" if "?" in endpoint else "?"
    sealed = seal("\n".join((state, return_url, verifier, str(int(now)))), secret_key, STATE)
    return Begun(f"{endpoint}{mark}{urlencode(query)}", sealed)


def _claims(sso: Sso) -> dict[str, Any]:
    return {
        name: {
            key: value
            for key, value in (
                ("essential", claim.essential),
                ("value", claim.value),
                ("values", list(claim.values)),
            )
            if value
        }
        or None
        for name, claim in sso.oidc.requested_claims.items()
    }


def returned(state: str, sealed: str, secret_key: str, now: float) -> Returned:
    """The state of the login that this browser began.

    Raises:
        BadState: there is none, it is another's, or too old.
    """
    if not sealed:
        raise BadState("failed to retrieve the login state: no cookie; please log in again")
    try:
        known, return_url, verifier, begun = unseal(sealed, secret_key, STATE).split("\n")
        age = now - int(begun)
    except (SealBroken, ValueError):
        raise BadState("invalid login state; please log in again") from None
    if not state or state != known:
        raise BadState("invalid state in the answer of the identity provider; please log in again")
    if age > STATE_SECONDS:
        raise BadState("the login took too long; please log in again")
    return Returned(return_url, verifier, nonce_of(state))


def nonce_of(state: str) -> str:
    """The nonce of a login: bound to its state, and telling nothing of it."""
    return hashlib.sha256(f"nonce {state}".encode()).hexdigest()


def is_allowed_return(url: str, allowed: Iterable[str]) -> bool:
    """Whether people may be sent to this address after a login: scheme and host (with port) of a base
    URL, and a path within it; nothing is always allowed."""
    if not url:
        return True
    if any(ord(character) <= 32 or character in "\\\x7f" for character in url):
        return False
    try:
        wanted = urlsplit(url)
    except ValueError:
        return False
    path = posixpath.normpath(wanted.path or "/")
    for base in map(urlsplit, allowed):
        within = base.path.rstrip("/")
        if (
            (base.scheme, base.netloc) == (wanted.scheme, wanted.netloc)
            and base.netloc
            and (path == within or path.startswith(f"{within}/"))
        ):
            return True
    return False


def base_url_for(host: str, path: str, urls: Iterable[str]) -> str:
    """The base URL of the installation that a request came to, else the first one, else ``""``."""
    urls = tuple(urls)
    for url in urls:
        base = urlsplit(url)
        if base.netloc == host and path.startswith(base.path):
            return url
    return urls[0] if urls else ""


def logout_url(template: str, token: str, return_to: str) -> str:
    """Where a logout goes on: the provider's address with its marks filled in."""
    return template.replace("{{token}}", token).replace("{{logoutRedirectURL}}", return_to)


def error_text(query: Mapping[str, str]) -> str:
    """What the provider says went wrong, or ``""``."""
    error = query.get("error", "")
    return f"{error}: {query.get('error_description', '')}" if error else ""
