"""JWTs of our own: issue and check (api.md 11 "JWT issued by the server").

Pure: the moment, the key and what is known of accounts, projects and revocations are arguments. The
order of the checks, and their texts, are the reference's. Only HMAC algorithms are ever tried with
the key, whatever a token's header says.
"""

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jwt
import msgspec

from tiphys.access.accounts import API_KEY, LOGIN, Account
from tiphys.access.errors import InvalidToken
from tiphys.access.identity import LOCAL_ISSUER
from tiphys.projects.tokens import TokenError, find_token
from tiphys.resources.project import AppProject

_ALGORITHMS = ("HS256", "HS384", "HS512")

RENEW_BELOW = 300
"""Seconds left of a login token at which a fresh one is handed out."""

LONGEST_TOKEN = 64 * 1024

_KEPT = 4096

Claims = Mapping[str, Any]


class LocalToken(msgspec.Struct, frozen=True):
    """A checked local token: its claims with ``sub`` being the bare account name, and its capability
    (``login``, ``apiKey``; ``""`` for a project's token)."""

    claims: Claims
    capability: str = ""


def issue(key: str, subject: str, *, now: int, lifetime: int, token_id: str) -> str:
    """A token.

    Args:
        key: ``server.secretkey``.
        now: Unix seconds.
        lifetime: seconds, 0 for ever.
    """
    claims: dict[str, Any] = {"iss": LOCAL_ISSUER, "sub": subject, "iat": now, "nbf": now, "jti": token_id}
    if lifetime > 0:
        claims["exp"] = now + lifetime
    return jwt.encode(claims, key.encode("utf-8", "surrogateescape"), algorithm="HS256")


def unverified_issuer(token: str) -> str:
    """The issuer a token says it has; decides who checks it, and nothing else.

    Raises:
        InvalidToken: no JWT at all.
    """
    if len(token) > LONGEST_TOKEN:
        raise InvalidToken("token is malformed: token is too long")
    if token.count(".") != 2:
        raise InvalidToken("token is malformed: token contains an invalid number of segments")
    try:
        issuer = _payload.decode(base64.urlsafe_b64decode(token.split(".")[1] + "==")).iss
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise InvalidToken("token is malformed: could not decode its segments") from None
    return issuer if isinstance(issuer, str) else ""


class _Payload(msgspec.Struct):
    iss: Any = None


_payload = msgspec.json.Decoder(_Payload)


def verified_claims(token: str, key: str, now: float) -> Claims:
    """Claims of a token with a good signature that is valid at this moment.

    Raises:
        InvalidToken: with the text of the first thing that is wrong.
    """
    claims = _signed_claims(token, key)
    expires, begins = _moment(claims, "exp"), _moment(claims, "nbf")
    problems = []
    if expires is not None and now >= expires:
        problems.append("token is expired")
    if begins is not None and now < begins:
        problems.append("token is not valid yet")
    if problems:
        raise InvalidToken(f"token has invalid claims: {', '.join(problems)}")
    if not _is_number(claims.get("iat")):
        raise InvalidToken("token does not have iat claim")
    return claims


@lru_cache(maxsize=_KEPT)
def _signed_claims(token: str, key: str) -> Claims:
    """The claims of a token that our key signed. Kept, since scripts and browsers come back with the
    same token; what is refused is never kept, so nobody can fill the place with rubbish."""
    try:
        algorithm = jwt.get_unverified_header(token).get("alg")
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("token is malformed: could not decode its header") from None
    if algorithm not in _ALGORITHMS:
        shown = str(algorithm)[:32]
        raise InvalidToken(
            f"token is unverifiable: error while executing keyfunc: unexpected signing method: {shown}"
        )
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.encode("utf-8", "surrogateescape"),
            algorithms=[algorithm],
            options={
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_iss": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise InvalidToken("token signature is invalid: signature is invalid") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("token is malformed: could not decode its segments") from None
    return claims


def check_local(
    claims: Claims,
    *,
    project: Callable[[str], AppProject | None],
    account: Callable[[str], Account | None],
    is_revoked: Callable[[str], bool],
) -> LocalToken:
    """What a token with a good signature is worth now: steps 2 to 8 of api.md 11.

    Raises:
        InvalidToken: with the reason.
    """
    subject = claims.get("sub")
    subject = subject if isinstance(subject, str) else ""
    issued_at = int(claims["iat"])
    token_id = claims.get("jti")
    token_id = token_id if isinstance(token_id, str) else ""
    parts = subject.split(":")
    if len(parts) == 3 and parts[0] == "proj":
        _check_project_token(parts[1], parts[2], project(parts[1]), issued_at, token_id)
        return LocalToken(claims)
    name, capability = subject, API_KEY
    if len(parts) == 2:
        name = parts[0]
        capability = parts[1] if parts[1] in (LOGIN, API_KEY) else API_KEY
    found = account(name)
    if found is None:
        raise InvalidToken(f"account '{name}' does not exist")
    if not found.is_enabled:
        raise InvalidToken(f"account {name} is disabled")
    if not found.can(capability):
        raise InvalidToken(f"account {name} does not have '{capability}' capability")
    if not token_id:
        raise InvalidToken("token does not have a unique identifier (jti claim) and cannot be validated")
    if is_revoked(token_id):
        raise InvalidToken("token is revoked, please re-login")
    if capability == API_KEY and found.token(token_id) is None:
        raise InvalidToken(f"account {name} does not have token with id {token_id}")
    if found.password_changed is not None and issued_at < int(found.password_changed.timestamp()):
        raise InvalidToken("account password has changed since token issued")
    return LocalToken({**claims, "sub": name}, capability)


def _check_project_token(
    name: str, role: str, project: AppProject | None, issued_at: int, token_id: str
) -> None:
    if project is None:
        raise InvalidToken(f'appproject.argoproj.io "{name}" not found')
    try:
        find_token(project, role, issued_at=issued_at, token_id=token_id)
    except TokenError as error:
        raise InvalidToken(str(error)) from None


def renewal_lifetime(claims: Claims, capability: str, now: float) -> int:
    """Seconds a fresh token shall live in place of a login token that ends soon; 0: it does not."""
    expires = _moment(claims, "exp")
    if capability != LOGIN or expires is None:
        return 0
    return int(expires - claims["iat"]) if 0 < expires - now < RENEW_BELOW else 0


def _moment(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise InvalidToken(f"token has invalid claims: invalid type for claim: {name} is invalid")
    return float(value)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value == value
        and abs(value) < 1e12
    )
