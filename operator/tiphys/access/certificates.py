"""Client certificates in place of tokens: beyond the reference, off by default.

``argocd-cm`` ``server.clientCA`` holds the PEM certificates of a CA of yours. The port then asks
clients for a certificate (it never demands one), lets the TLS handshake verify it against that CA,
and hands its DER form down in the call's metadata, under a key that no header can have. The common
name is the user, the organisations are the groups, as in Kubernetes. Such a caller has no token, so
nothing can be renewed or revoked: take the CA out, or let certificates live short.
"""

import base64
from collections.abc import Mapping
from ssl import CERT_OPTIONAL, SSLContext, SSLError
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from tiphys.access.identity import Identity

SETTING = "server.clientCA"

METADATA_KEY = ":client-certificate"
"""No HTTP client can send a header of this name (a colon is no token character)."""

ISSUER = "client-certificate"

_RESERVED = ("role:", "proj:")


def ask_for_certificates(context: SSLContext, pem: str) -> None:
    """Let a server context ask for client certificates of this CA; no text, no asking.

    Raises:
        ValueError: the text holds no certificate.
    """
    if not pem.strip():
        return
    try:
        context.load_verify_locations(cadata=pem)
    except SSLError:
        raise ValueError(f"argocd-cm {SETTING}: no PEM certificates") from None
    context.verify_mode = CERT_OPTIONAL


def metadata_of(ssl_object: Any) -> Mapping[str, tuple[str, ...]]:
    """What to add to the metadata of every call of a TLS connection (``get_extra_info("ssl_object")``)."""
    der = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    return {METADATA_KEY: (base64.b64encode(der).decode(),)} if der else {}


def identity_of_certificate(encoded: str, now: float) -> Identity:
    """The caller that a verified certificate names.

    Args:
        encoded: base64 of its DER form.
        now: Unix seconds; a connection can outlive its certificate.

    Raises:
        ValueError: not valid now, no name, or one that belongs to roles.
    """
    certificate = x509.load_der_x509_certificate(base64.b64decode(encoded))
    begins = certificate.not_valid_before_utc.timestamp()
    if not begins <= now < certificate.not_valid_after_utc.timestamp():
        raise ValueError("client certificate is expired or not valid yet")
    names = _values(certificate, NameOID.COMMON_NAME)
    if len(names) != 1 or not names[0]:
        raise ValueError("client certificate has no common name")
    groups = _values(certificate, NameOID.ORGANIZATION_NAME)
    if any(name.startswith(_RESERVED) for name in (*names, *groups)):
        raise ValueError("client certificate names a role; roles are no users")
    return Identity(
        user_id=names[0],
        username=names[0],
        issuer=ISSUER,
        groups=groups,
        issued_at=int(begins),
        claims={"iss": ISSUER, "sub": names[0], "groups": list(groups)},
        is_authenticated=True,
    )


def _values(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(found.value) for found in certificate.subject.get_attributes_for_oid(kind))
