"""TLS contexts of the server out of certificates and the flags (api.md 15 "Certificate", "Flags").

Pure but for OpenSSL: texts and names in, a context or a :class:`TlsError` out. The names of versions and
ciphers are Go's, as the flags of the reference want them.
"""

import ssl
from collections.abc import Mapping, Sequence

import msgspec

from tiphys.kube.connections import readable_file

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}

CIPHERS: Mapping[str, str] = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""Go's name → OpenSSL's, for TLS 1.2 and below; those of TLS 1.3 cannot be chosen, as in the reference."""

PROTOCOLS = ("http/1.1", "h2")
"""In the order in which the server prefers them: browsers get HTTP/1.1, gRPC clients offer only h2."""


class TlsError(Exception):
    """A certificate or a flag cannot be used; the text says why and holds no key."""


class TlsOptions(msgspec.Struct, frozen=True):
    """The flags ``--tlsminversion``, ``--tlsmaxversion`` and ``--tlsciphers``."""

    minimum: str = "1.2"
    maximum: str = "1.3"
    ciphers: Sequence[str] = ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",)


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate chain and its private key, both PEM."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "KeyPair(…)"


def server_context(pair: KeyPair, options: TlsOptions) -> ssl.SSLContext:
    """A context that serves with this certificate.

    Raises:
        TlsError: the pair does not fit together or is unreadable, or a flag names nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _version(options.minimum)
    context.maximum_version = _version(options.maximum)
    if context.minimum_version > context.maximum_version:
        raise TlsError(f"minimum TLS version {options.minimum} is above the maximum {options.maximum}")
    names = [_cipher(name) for name in options.ciphers if name]
    try:
        if names:
            context.set_ciphers(":".join(names))
        with readable_file(pair.certificate) as certificate, readable_file(pair.key) as key:
            context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError, OSError) as error:
        # texts of ssl name the fault, never the data
        raise TlsError(f"unusable certificate or key: {error}") from None
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(list(PROTOCOLS))
    return context


def _version(name: str) -> ssl.TLSVersion:
    version = VERSIONS.get(name.strip())
    if version is None:
        raise TlsError(f"unknown TLS version {name!r}; known are {', '.join(VERSIONS)}")
    return version


def _cipher(name: str) -> str:
    found = CIPHERS.get(name.strip())
    if found is None:
        raise TlsError(f"unknown cipher {name!r}")
    return found
