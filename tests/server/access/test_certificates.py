"""Client certificates in place of tokens: off by default (docs/differences.md)."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import grpc
import msgspec
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running
from tiphys.access.certificates import identity_of_certificate
from tiphys.resources.messages.session import GetUserInfoResponse
from tiphys.resources.wire.codec import decode

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Authority:
    """A CA that makes certificates of clients."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("the CA")
        self.certificate = (
            _builder(self._name, self._name, self._key, days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def client(
        self, common_name: str, *groups: str, begin: datetime | None = None, days: int = 3650
    ) -> tuple[x509.Certificate, bytes]:
        """A certificate, and PEM with it and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name, *groups), self._name, key, days=days, begin=begin)
        made = builder.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return made, made.public_bytes(Encoding.PEM) + pem


def _name(common_name: str, *groups: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    if common_name:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    days: int,
    begin: datetime | None = None,
) -> x509.CertificateBuilder:
    begin = begin or datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )


def encoded(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def test_the_name_is_the_user_and_organisations_are_groups() -> None:
    made, _ = Authority().client("ann", "dev", "ops", begin=NOW)
    caller = identity_of_certificate(encoded(made), NOW.timestamp() + 1)
    assert (caller.user_id, caller.groups, caller.is_authenticated) == ("ann", ("dev", "ops"), True)
    assert caller.issuer == "client-certificate"


@pytest.mark.parametrize(
    ("common_name", "groups", "seconds"),
    [
        pytest.param("ann", (), -1, id="not valid yet"),
        pytest.param("ann", (), 86400, id="expired"),
        pytest.param("", ("dev",), 1, id="no name"),
        pytest.param("role:admin", (), 1, id="a role"),
        pytest.param("proj:web:ci", (), 1, id="a role of a project"),
        pytest.param("ann", ("role:admin",), 1, id="a role as group"),
    ],
)
def test_certificates_that_name_nobody(common_name: str, groups: tuple[str, ...], seconds: int) -> None:
    made, _ = Authority().client(common_name, *groups, begin=NOW, days=1)
    with pytest.raises(ValueError, match="client certificate"):
        identity_of_certificate(encoded(made), NOW.timestamp() + seconds)


class House(msgspec.Struct, eq=False):
    api: Running
    authority: Authority
    folder: Path

    async def who(
        self, authority: Authority | None, name: str, *groups: str, headers: Mapping[str, str] | None = None
    ) -> dict[str, object]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if authority is not None:
            file = self.folder / f"{name}.pem"
            file.write_bytes(authority.client(name, *groups)[1])
            context.load_cert_chain(file)
        url = f"{self.api.base}/api/v1/session/userinfo"
        async with self.api.session.get(url, ssl=context, headers=headers or {}) as answer:
            assert answer.status == 200
            found: dict[str, object] = await answer.json()
            return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    authority = Authority()
    folder = tmp_path_factory.mktemp("api")
    async with running(
        control_plane,
        folder,
        unique_namespace("mtls"),
        settings={"server.clientCA": authority.pem},
        insecure=False,
    ) as api:
        yield House(api, authority, folder)


async def test_who_has_a_certificate_needs_no_token(house: House) -> None:
    assert await house.who(house.authority, "ann", "dev") == {
        "loggedIn": True,
        "username": "ann",
        "iss": "client-certificate",
        "groups": ["dev"],
    }


async def test_nobody_has_to_have_one(house: House) -> None:
    assert await house.who(None, "") == {}


async def test_a_token_counts_more(house: House) -> None:
    headers = {"Authorization": f"Bearer {house.api.token}"}
    assert (await house.who(house.authority, "ann", headers=headers))["username"] == "admin"


async def test_the_certificate_of_another_ca_is_refused(house: House) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await house.who(Authority(), "ann")


async def test_over_grpc_too(house: House) -> None:
    file = house.folder / "over-grpc.pem"
    made = house.authority.client("ann", "dev")[1]
    file.write_bytes(made)
    server = await asyncio.to_thread(
        ssl.get_server_certificate, ("127.0.0.1", int(house.api.target.rsplit(":", 1)[1]))
    )
    credentials = grpc.ssl_channel_credentials(server.encode(), _key_of(made), made)
    options = [("grpc.ssl_target_name_override", "localhost")]
    async with grpc.aio.secure_channel(house.api.target, credentials, options) as channel:
        call = channel.unary_unary(
            "/session.SessionService/GetUserInfo",
            request_serializer=lambda request: request,
            response_deserializer=lambda answer: decode(GetUserInfoResponse, answer),
        )
        found = await call(b"")
    assert (found.username, found.groups) == ("ann", ("dev",))


def _key_of(pem: bytes) -> bytes:
    return pem[pem.index(b"-----BEGIN PRIVATE KEY") :]


async def test_no_header_is_a_certificate(house: House) -> None:
    for name in ("client-certificate", "Grpc-Metadata-client-certificate", "Grpc-Metadata-"):
        value = encoded(house.authority.client("ann")[0])
        assert await house.who(None, "", headers={name: value}) == {}
