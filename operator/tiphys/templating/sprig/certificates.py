"""Private keys and certificates."""

import base64
import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.printing import text_of
from tiphys.templating.gotemplate.values import LIST, Function, GoObject, to_bytes

_COST = 20_000  # of making an RSA key


class Certificate(msgspec.Struct, GoObject, frozen=True):
    """A certificate with its key, both PEM."""

    cert: str
    key: str

    go_type = "sprig.certificate"

    def go_fields(self) -> Mapping[str, Any]:
        """``.Cert`` and ``.Key``."""
        return {"Cert": self.cert, "Key": self.key}


def private_key(kind: str) -> str:
    """A new key, PEM."""
    key: Any
    match kind:
        case "" | "rsa":
            key = _rsa(4096)
        case "dsa":
            key = dsa.generate_private_key(2048)
        case "ecdsa":
            key = ec.generate_private_key(ec.SECP256R1())
        case "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
        case _:
            return f"Unknown type {kind}"
    return _pem(key)


def _rsa(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def _pem(key: Any) -> str:
    new = isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.PKCS8 if new else serialization.PrivateFormat.TraditionalOpenSSL
    data = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return bytes(data).decode()


def _parsed_key(pem: str, context: str) -> Any:
    if "-----BEGIN " not in pem:
        raise GoError(f"{context}: no PEM data in input")
    kind = pem.partition("-----BEGIN ")[2].partition("-----")[0]
    if not kind.endswith("PRIVATE KEY"):
        raise GoError(f"{context}: no private key data in PEM block of type {kind}")
    try:
        return serialization.load_pem_private_key(to_bytes(pem), None)
    except (ValueError, TypeError) as error:
        raise GoError(f"{context}: {error}") from None


def _parsed_certificate(pem: str) -> x509.Certificate:
    if "-----BEGIN " not in pem:
        raise GoError("unable to decode certificate")
    try:
        return x509.load_pem_x509_certificate(to_bytes(pem))
    except ValueError as error:
        raise GoError(f"error parsing certificate: {error}") from None


def custom(cert: str, key: str) -> Certificate:
    """A certificate and key that are there, in Base64."""
    texts = []
    for text, name in ((cert, "certificate"), (key, "private key")):
        try:
            texts.append(base64.b64decode(text, validate=True).decode())
        except ValueError:
            raise GoError(f"unable to decode base64 {name}") from None
    _parsed_certificate(texts[0])
    _parsed_key(texts[1], "error parsing private key")
    return Certificate(texts[0], texts[1])


def _alternatives(ips: Any, names: Any) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names or ():
        if not isinstance(name, str):
            raise GoError(f"error processing alternate dns name: {text_of(name)} is not a string")
        found.append(x509.DNSName(name))
    for ip in ips or ():
        if not isinstance(ip, str):
            raise GoError(f"error parsing ip: {text_of(ip)} is not a string")
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(ip)))
        except ValueError:
            raise GoError(f"error parsing ip: {ip}") from None
    return found


class Issuer:
    """Makes certificates.

    Args:
        clock: the present moment.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def authority(self, name: str, days: int, pem: str | None = None) -> Certificate:
        """A certificate authority."""
        key = _rsa() if pem is None else _parsed_key(pem, "parsing private key")
        return self._made(name, (), days, key, authority=True)

    def self_signed(self, name: str, ips: Any, names: Any, days: int, pem: str | None = None) -> Certificate:
        """A certificate that signed itself."""
        key = _rsa() if pem is None else _parsed_key(pem, "parsing private key")
        return self._made(name, _alternatives(ips, names), days, key)

    def signed(
        self, name: str, ips: Any, names: Any, days: int, by: Certificate, pem: str | None = None
    ) -> Certificate:
        """A certificate of an authority."""
        key = _rsa() if pem is None else _parsed_key(pem, "parsing private key")
        signer = _parsed_certificate(by.cert), _parsed_key(by.key, "error parsing private key")
        return self._made(name, _alternatives(ips, names), days, key, signer)

    def _made(
        self,
        name: str,
        alternatives: Any,
        days: int,
        key: Any,
        signer: tuple[x509.Certificate, Any] | None = None,
        *,
        authority: bool = False,
    ) -> Certificate:
        now = self._clock()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            **dict.fromkeys(_USAGES, False),
            digital_signature=True,
            key_encipherment=True,
            key_cert_sign=authority,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer[0].subject if signer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(usage, critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signing = signer[1] if signer else key
        algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        made = builder.sign(signing, algorithm)
        return Certificate(made.public_bytes(serialization.Encoding.PEM).decode(), _pem(key))

    def functions(self) -> Mapping[str, Function]:
        """Their table."""
        named = ("string", LIST, LIST, "int")
        authority = Certificate.go_type
        return {
            "buildCustomCert": Function(("string", "string"), custom),
            "genCA": Function(("string", "int"), self.authority, cost=_COST),
            "genCAWithKey": Function(("string", "int", "string"), self.authority, cost=1000),
            "genPrivateKey": Function(("string",), private_key, cost=_COST * 2),
            "genSelfSignedCert": Function(named, self.self_signed, cost=_COST),
            "genSelfSignedCertWithKey": Function((*named, "string"), self.self_signed, cost=1000),
            "genSignedCert": Function((*named, authority), self.signed, cost=_COST),
            "genSignedCertWithKey": Function((*named, authority, "string"), self.signed, cost=1000),
        }


_USAGES = (
    "content_commitment",
    "data_encipherment",
    "key_agreement",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
