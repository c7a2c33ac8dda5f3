"""Encrypting what a browser keeps for us: the state of a login, and the tokens of an SSO session.

The reference keeps refresh and access tokens in Redis. Here they travel with the browser that they
belong to, in a cookie only we can read: so they survive restarts and are known to every replica, and
nothing has to be stored or cleaned up. AES-GCM with a key made of ``server.secretkey``, one for each
purpose; the signing key is random and long, so HKDF suffices (the reference takes scrypt).
"""

import base64
import secrets
import zlib
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

STATE, SESSION = "oauth state", "sso session"
"""Purposes: what is sealed for one is rubbish for another."""

_NONCE_BYTES = 12
_LARGEST = 256 * 1024


class SealBroken(ValueError):
    """Not sealed by us for this purpose, or with another key."""


@lru_cache(maxsize=8)
def _cipher(secret_key: str, purpose: str) -> AESGCM:
    derived = HKDF(SHA256(), 32, None, f"tiphys {purpose}".encode())
    return AESGCM(derived.derive(secret_key.encode("utf-8", "surrogateescape")))


def seal(text: str, secret_key: str, purpose: str) -> str:
    """The text encrypted, as base64 for URLs (hexadecimal digits would be half as long again)."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    packed = zlib.compress(text.encode(), 9)
    sealed = nonce + _cipher(secret_key, purpose).encrypt(nonce, packed, purpose.encode())
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def unseal(sealed: str, secret_key: str, purpose: str) -> str:
    """The text again.

    Raises:
        SealBroken: not ours.
    """
    try:
        raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        packed = _cipher(secret_key, purpose).decrypt(
            raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()
        )
        unpacked = zlib.decompressobj().decompress(packed, _LARGEST)
        return unpacked.decode()
    except (ValueError, InvalidTag, zlib.error):
        raise SealBroken("not sealed by this installation") from None
