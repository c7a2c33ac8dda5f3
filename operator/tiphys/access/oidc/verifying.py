"""Checking tokens of the identity provider (api.md 12).

The signature must be of an asymmetric algorithm that the provider says it uses, made with one of its
published keys; a key is only ever used for algorithms of its own kind, so that no public key becomes
the secret of an HMAC. Then issuer, audience and times. What was wrong is for the log: callers learn
``failed to verify the token`` and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jwt

from tiphys.access.errors import InvalidToken
from tiphys.access.oidc.provider import Discovery
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

FAILED = "failed to verify the token"

_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

NOT_BEFORE_LEEWAY = 300
"""Seconds the provider's clock may be ahead of ours."""

LARGEST = 256 * 1024
"""Characters of a token (some hold hundreds of groups)."""

_UNCHECKED = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


def header_of(token: str) -> Mapping[str, Any]:
    """The header of a token, not verified.

    Raises:
        InvalidToken: it has none.
    """
    if len(token) > LARGEST:
        raise refused("too long")
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise refused("malformed") from None


def allowed_algorithms(discovery: Discovery) -> frozenset[str]:
    """Those that the provider says it signs with, if they are asymmetric; RS256 if it says nothing."""
    said = ALGORITHMS.intersection(discovery.id_token_signing_alg_values_supported)
    return said or frozenset({"RS256"})


def signed_claims(token: str, keys: Iterable[jwt.PyJWK], allowed: frozenset[str]) -> dict[str, Any]:
    """The claims of a token that one of the keys signed.

    Raises:
        InvalidToken: none did, or not with an allowed algorithm.
    """
    algorithm = header_of(token).get("alg")
    if not isinstance(algorithm, str) or algorithm not in allowed:
        raise refused(f"algorithm {str(algorithm)[:16]!r}")
    kind = _KINDS[algorithm[:2]]
    for key in keys:
        if key.key_type != kind:
            continue
        try:
            claims: dict[str, Any] = jwt.decode(token, key.key, algorithms=[algorithm], options=_UNCHECKED)  # type: ignore[arg-type]
            return claims
        except (jwt.PyJWTError, ValueError, RecursionError):
            continue
    raise refused("no key of the provider fits its signature")


def check_claims(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    audiences: Iterable[str],
    without_audience: bool,
    now: float,
) -> bool:
    """Whether a signed token is still good (False: it is only expired).

    Raises:
        InvalidToken: another's issuer or audience, not valid yet, or without an end.
    """
    if claims.get("iss") != issuer:
        raise refused("another issuer")
    audience = claims.get("aud")
    given = [audience] if isinstance(audience, str) else audience
    if not given and not isinstance(given, list):
        given = []
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise refused("unreadable audience")
    if not given:
        if not without_audience:
            raise refused("no audience")
    elif not set(given) & set(audiences):
        raise refused("another audience")
    begins, expires = claims.get("nbf"), claims.get("exp")
    if begins is not None and (not _is_number(begins) or now + NOT_BEFORE_LEEWAY < begins):
        raise refused("not valid yet")
    if expires is None or not _is_number(expires):
        raise refused("no end")
    return bool(now < expires)


def refused(why: str) -> InvalidToken:
    """The refusal of a token; the cause goes to the log."""
    log.info("an SSO token was refused: %s", why)
    return InvalidToken(FAILED)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
