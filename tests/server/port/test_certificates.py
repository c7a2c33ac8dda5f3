"""The server's certificate: given, stored or made (api.md 15 "Certificate")."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.controlplane import ControlPlane
from tests.server.port.running import pair, running, trusting, until
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.resources.identity import GVK, Manifest, ResourceKey
from tiphys.server.port.certificates import Certificates, generate, given_pairs
from tiphys.server.port.tls import KeyPair, TlsError
from tiphys.settings.params import Params
from tiphys.settings.reading import data_of
from tiphys.settings.store import SettingsStore

SECRET = GVK("", "v1", "Secret")
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def secret(name: str, namespace: str = "argocd", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def tls_secret(name: str, given: KeyPair, namespace: str = "argocd") -> Manifest:
    return secret(name, namespace, **{"tls.crt": given.certificate, "tls.key": given.key})


def store(*secrets: Manifest, params: Params | None = None) -> SettingsStore:
    settings = SettingsStore("argocd", params or Params())
    for each in secrets:
        settings.put(each)
    return settings


def certificates(settings: SettingsStore, **options: bool) -> Certificates:
    return Certificates(settings, None, "argocd", lambda: NOW, **options)


async def shown(source: Certificates) -> bytes:
    """The certificate that a client sees."""
    async with running(source) as port:
        wire = await port.open(trusting())
        found = wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        wire.close()
    assert isinstance(found, bytes)
    return found


def der(given: KeyPair) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(given.certificate.encode()).public_bytes(Encoding.DER)


def test_a_generated_certificate() -> None:
    made = x509.load_pem_x509_certificate(generate("tools", NOW).certificate.encode())
    key = made.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=365)
    assert [each.value for each in made.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "Argo CD"
    ]
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "localhost",
        "argocd-server",
        "argocd-server.tools",
        "argocd-server.tools.svc",
        "argocd-server.tools.svc.cluster.local",
    ]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_the_secret_of_its_own_is_preferred() -> None:
    one, other = generate("a", NOW), pair()
    settings = store(tls_secret("argocd-secret", one), tls_secret("argocd-server-tls", other))
    assert list(given_pairs(settings.snapshot)) == [("argocd-server-tls", other), ("argocd-secret", one)]


def test_half_a_pair_is_none() -> None:
    settings = store(
        secret("argocd-secret", **{"tls.crt": "x"}), secret("argocd-server-tls", **{"tls.key": "x"})
    )
    assert list(given_pairs(settings.snapshot)) == []


async def test_insecure_makes_nothing() -> None:
    source = certificates(store(tls_secret("argocd-secret", pair())), insecure=True)
    await source.start()
    assert source.context is None


async def test_what_is_given_is_shown_and_replaced_while_running() -> None:
    settings = store(tls_secret("argocd-secret", pair()))
    source = certificates(settings)
    await source.start()
    assert await shown(source) == der(pair())
    other = generate("argocd", NOW)
    settings.put(tls_secret("argocd-server-tls", other))
    assert await shown(source) == der(other)
    settings.delete(ResourceKey("", "Secret", "argocd", "argocd-server-tls"))
    assert await shown(source) == der(pair())
    source.close()
    settings.put(tls_secret("argocd-server-tls", other))
    assert await shown(source) == der(pair())


async def test_what_cannot_be_used_never_takes_the_place_of_what_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = store(tls_secret("argocd-secret", pair()))
    source = certificates(settings)
    await source.start()
    broken = KeyPair(pair().certificate, generate("a", NOW).key)
    for _ in range(2):
        settings.put(tls_secret("argocd-server-tls", broken))
    assert await shown(source) == der(pair())
    told = [each.getMessage() for each in caplog.records if "not taken over" in each.getMessage()]
    assert len(told) == 1
    assert "argocd-server-tls" in told[0]
    assert "PRIVATE" not in caplog.text


async def test_flags_that_mean_nothing_end_the_start() -> None:
    with pytest.raises(TlsError, match="unknown TLS version"):
        await certificates(store(params=Params(tls_min_version="7"))).start()


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[ClusterClient]:
    made = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    yield made
    await made.close()


@pytest.fixture
async def namespace(client: ClusterClient) -> AsyncIterator[str]:
    name = f"port-{uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await client.delete(GVK("", "v1", "Namespace"), "", name)


def replica(client: ClusterClient, namespace: str) -> tuple[SettingsStore, Certificates]:
    settings = SettingsStore(namespace, Params())
    return settings, Certificates(settings, client, namespace, lambda: datetime.now(UTC))


@pytest.mark.parametrize("exists", [True, False], ids=["into the secret", "with the secret"])
async def test_replicas_that_start_at_once_show_one_certificate(
    client: ClusterClient, namespace: str, exists: bool
) -> None:
    if exists:
        await client.create(secret("argocd-secret", namespace, other="kept"))
    replicas = [replica(client, namespace) for _ in range(3)]
    await asyncio.gather(*(each.start() for _, each in replicas))
    held = data_of(await client.get(SECRET, namespace, "argocd-secret"))
    assert held.get("other") == ("kept" if exists else None)
    stored = KeyPair(held["tls.crt"], held["tls.key"])
    for settings, each in replicas:
        assert await shown(each) == der(stored)
        assert settings.snapshot.references.main["tls.crt"] == stored.certificate
    # a restart finds it
    settings, again = replica(client, namespace)
    settings.put({**await client.get(SECRET, namespace, "argocd-secret"), "kind": "Secret"})
    await again.start()
    assert await shown(again) == der(stored)


async def test_a_pair_from_outside_takes_the_stored_one_away(client: ClusterClient, namespace: str) -> None:
    await client.create(tls_secret("argocd-secret", pair(), namespace))
    patch = {"data": {"other": base64.b64encode(b"kept").decode()}}
    await client.patch(SECRET, namespace, "argocd-secret", patch, MERGE_PATCH)
    settings, source = replica(client, namespace)
    settings.put({**await client.get(SECRET, namespace, "argocd-secret"), "kind": "Secret"})
    settings.put(tls_secret("argocd-server-tls", generate("a", NOW), namespace))
    await source.start()

    async def is_gone() -> bool:
        return dict(data_of(await client.get(SECRET, namespace, "argocd-secret"))) == {"other": "kept"}

    await until(is_gone)
