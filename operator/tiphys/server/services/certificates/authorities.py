"""PEM bundles of TLS servers: taking them apart and saying what is in them. Pure."""

import re

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

MAX_LINES = 128
"""Lines of one certificate (``sources.md`` 19)."""
MAX_CERTIFICATES = 256
"""Certificates of one host."""

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_KINDS = (
    (rsa.RSAPublicKey, "rsa"),
    (ec.EllipticCurvePublicKey, "ecdsa"),
    (ed25519.Ed25519PublicKey, "ed25519"),
    (ed448.Ed448PublicKey, "ed448"),
    (dsa.DSAPublicKey, "dsa"),
)


class InvalidCertificate(ValueError):
    """A PEM block that holds no certificate, or too many of them."""


class Authority(msgspec.Struct, frozen=True):
    """One certificate: its PEM text, kind of key (``invalid`` if it cannot be read) and issuer."""

    pem: str
    kind: str
    issuer: str


def blocks_of(text: str) -> tuple[str, ...]:
    """The PEM blocks of a bundle; whatever stands between them is no part of it.

    Raises:
        InvalidCertificate: a block is too long, or there are too many.
    """
    found = tuple(match.group(0) for match in _BLOCK.finditer(text))
    if len(found) > MAX_CERTIFICATES:
        raise InvalidCertificate(f"more than {MAX_CERTIFICATES} certificates")
    if any(block.count("\n") >= MAX_LINES for block in found):
        raise InvalidCertificate(f"a certificate has more than {MAX_LINES} lines")
    return found


def check(block: str) -> None:
    """Raises:
    InvalidCertificate: the block is no X.509 certificate.
    """
    try:
        x509.load_pem_x509_certificate(block.encode())
    except ValueError:
        raise InvalidCertificate("no valid X.509 certificate received") from None


def described(block: str) -> Authority:
    """What a list shows of a certificate, also of a broken one."""
    try:
        certificate = x509.load_pem_x509_certificate(block.encode())
        issuer = certificate.issuer.rfc4514_string()
    except ValueError:
        return Authority(block, "invalid", "no valid X.509 certificate")
    try:
        key = certificate.public_key()
    except Exception:  # a key of an unknown kind is still a certificate
        return Authority(block, "unknown", issuer)
    return Authority(block, next((name for kind, name in _KINDS if isinstance(key, kind)), "unknown"), issuer)


def is_host_name(text: str) -> bool:
    """A DNS name (one dot at the end is allowed) or an IPv4 address."""
    name = text.removesuffix(".")
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))
