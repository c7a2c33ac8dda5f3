"""The tokens between API server and controllers: signed with a key that is made of ``server.secretkey``.

They are no tokens of the API: another key, another audience, a minute of life.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

import jwt

AUDIENCE = "tiphys-inside"
LIFETIME = timedelta(minutes=1)
SKEW = timedelta(seconds=30)
_ALGORITHM = "HS256"


def inside_key(secret_key: str) -> bytes:
    """The key for these tokens; knowing it does not give the one that signs sessions."""
    return hmac.new(secret_key.encode(), b"tiphys inside 1", hashlib.sha256).digest()


def issue(secret_key: str, now: datetime) -> str:
    """A token for the next requests."""
    claims = {"aud": AUDIENCE, "iat": now, "exp": now + LIFETIME}
    return jwt.encode(claims, inside_key(secret_key), _ALGORITHM)


def is_valid(token: str, secret_key: str, now: datetime) -> bool:
    """Whether a token is one of these and still lives; never without a key."""
    if not secret_key:
        return False
    try:
        claims = jwt.decode(
            token,
            inside_key(secret_key),
            [_ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["exp", "aud"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        return False
    expires = claims["exp"]
    return isinstance(expires, int) and now.timestamp() < expires + SKEW.total_seconds()
