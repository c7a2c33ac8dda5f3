"""An access token of a Google service account, whose key file is in the Secret."""

import json
from typing import Any

import jwt

from tiphys.sources.git.tokens.asking import Asking, Token, seconds_of, text_of

WHAT = "an access token of the Google Cloud service account"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SIGNED_FOR = 3600.0


async def token(asking: Asking) -> Token:
    """A token; its user is the account's address. Raises SourceError."""
    key = _key(asking)
    account, uri = text_of(key, "client_email"), text_of(key, "token_uri") or TOKEN_URI
    claims = {
        "iss": account,
        "scope": SCOPE,
        "aud": uri,
        "iat": int(asking.now),
        "exp": int(asking.now + _SIGNED_FOR),
    }
    headers = {"kid": text_of(key, "private_key_id")} if text_of(key, "private_key_id") else None
    try:
        signed = jwt.encode(claims, text_of(key, "private_key"), algorithm="RS256", headers=headers)
    except (ValueError, TypeError, AttributeError, jwt.PyJWTError):  # a public key has no ``sign``
        raise asking.refused(WHAT, "private_key is no RSA key in PEM form") from None
    form = {"grant_type": _GRANT, "assertion": signed}
    found = await asking.ask(WHAT, "POST", uri, form=form, secrets=(signed,))
    password = text_of(found, "access_token")
    if not password:
        raise asking.refused(WHAT, "the answer holds none")
    expires = asking.now + (seconds_of(found, "expires_in") or _SIGNED_FOR)
    return Token(username=account, password=password, expires=expires)


def _key(asking: Asking) -> Any:
    try:
        key = json.loads(asking.repository.gcp_service_account_key)
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, dict):
        raise asking.refused(WHAT, "gcpServiceAccountKey is no JSON object")
    if text_of(key, "type") not in ("", "service_account") or not text_of(key, "client_email"):
        raise asking.refused(WHAT, "gcpServiceAccountKey is not the key of a service account")
    return key
