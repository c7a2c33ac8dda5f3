"""The server's own certificate: where it comes from, and the one in use (api.md 15 "Certificate").

Secret ``argocd-server-tls`` is preferred, then the pair in ``argocd-secret``; where there is neither one is
generated and stored there, so that a restart and other replicas show the same. A pair from outside makes
the stored one superfluous, and it is removed. With ``--insecure`` there is no TLS and nothing is made.

Every change of settings is looked at: new connections get the new certificate at once, old ones go on. A
pair that cannot be used is told once in the log and never takes the place of one that can.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.access.certificates import SETTING as CLIENT_CA
from tiphys.access.certificates import ask_for_certificates
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from tiphys.resources.identity import GVK, Manifest
from tiphys.server.port.tls import KeyPair, TlsError, TlsOptions, server_context
from tiphys.settings.model import Settings
from tiphys.settings.reading import data_of
from tiphys.settings.store import MAIN_SECRET, PART_OF, SERVER_TLS, SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

SECRET = GVK("", "v1", "Secret")
CERTIFICATE, KEY = "tls.crt", "tls.key"
VALID_FOR = timedelta(days=365)
ORGANISATION = "Argo CD"
ATTEMPTS = 5


def given_pairs(settings: Settings) -> Iterator[tuple[str, KeyPair]]:
    """Where pairs are and what they are, the preferred one first."""
    for secret, data in ((SERVER_TLS, settings.server_tls), (MAIN_SECRET, settings.references.main)):
        pair = pair_of(data)
        if pair is not None:
            yield secret, pair


def pair_of(data: Mapping[str, str]) -> KeyPair | None:
    """The pair in a Secret's data, if both halves are there."""
    certificate, key = data.get(CERTIFICATE, ""), data.get(KEY, "")
    return KeyPair(certificate, key) if certificate.strip() and key.strip() else None


def host_names(namespace: str) -> tuple[str, ...]:
    """The names in a generated certificate."""
    service = "argocd-server"
    return (
        "localhost",
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    )


def generate(namespace: str, now: datetime) -> KeyPair:
    """A self-signed certificate for a year (RSA 2048; takes about 0.1 s of CPU)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION)])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + VALID_FOR)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in host_names(namespace)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode(),
    )


class Certificates:
    """The certificate in use.

    Args:
        client: writes the generated pair; None: keep it in memory.
        clock: the present moment (aware, UTC).
    """

    def __init__(
        self,
        settings: SettingsStore,
        client: ClusterClient | None,
        namespace: str,
        clock: Callable[[], datetime],
        *,
        insecure: bool = False,
    ):
        self._settings = settings
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._insecure = insecure
        self._context: ssl.SSLContext | None = None
        self._used: tuple[KeyPair, TlsOptions, str] | None = None
        self._told: str = ""
        self._unsubscribe: Callable[[], None] | None = None
        self._tidying: asyncio.Task[None] | None = None

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection; None: no TLS."""
        return self._context

    async def start(self) -> None:
        """Have a certificate (unless ``--insecure``), and follow the settings from now on.

        Raises:
            TlsError: the flags name no version or cipher that exists.
        """
        if self._insecure:
            return
        self._unsubscribe = self._settings.subscribe(lambda change: self._follow(change.new))
        self._follow(self._settings.snapshot)
        if self._context is None:
            await self._make_one()

    def close(self) -> None:
        """Follow the settings no longer."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._tidying is not None:
            self._tidying.cancel()

    def _follow(self, settings: Settings) -> None:
        problems = []
        for place, pair in given_pairs(settings):
            try:
                self._use(pair, settings)
            except TlsError as error:
                problems.append(f"Secret {place}: {error}")
                continue
            break
        self._tell("; ".join(problems))
        if self._is_stored_superfluous() and (self._tidying is None or self._tidying.done()):
            self._tidying = asyncio.get_running_loop().create_task(self._tidy(), name="stored certificate")

    def _use(self, pair: KeyPair, settings: Settings) -> None:
        wanted = (pair, tls_options(settings), settings.raw.get(CLIENT_CA, ""))
        if wanted == self._used:
            return
        context = server_context(pair, wanted[1])
        try:
            ask_for_certificates(context, wanted[2])
        except ValueError as error:
            log.warning("setting not taken over: %s", error)
        if self._context is not None:
            log.info("the certificate of the API changed")
        self._context, self._used = context, wanted

    def _tell(self, problem: str) -> None:
        if problem and problem != self._told:
            log.warning("certificate not taken over: %s", problem)
        self._told = problem

    async def _make_one(self) -> None:
        pair = generate(self._namespace, self._clock())
        if self._client is not None:
            pair = await self._stored(self._client, pair)
        self._use(pair, self._settings.snapshot)

    async def _stored(self, client: ClusterClient, pair: KeyPair) -> KeyPair:
        """The pair after storing it; another replica's, if that was faster."""
        for _ in range(ATTEMPTS):
            try:
                held = await client.get(SECRET, self._namespace, MAIN_SECRET)
                other = pair_of(data_of(held))
                if other is not None and _is_usable(other, self._settings.snapshot):
                    self._settings.put({**held, "kind": "Secret"})
                    return other
                patch = {
                    "metadata": {"resourceVersion": held["metadata"]["resourceVersion"]},
                    "data": _encoded(pair),
                }
                answer = await client.patch(SECRET, self._namespace, MAIN_SECRET, patch, MERGE_PATCH)
            except NotFound:
                try:
                    answer = await client.create(_new_secret(self._namespace, pair))
                except AlreadyExists:
                    continue
            except Conflict:
                continue
            except KubeError as error:
                log.warning(
                    "the generated certificate could not be stored and lasts as long as we: %s", error
                )
                return pair
            self._settings.put({**answer, "kind": "Secret"})
            log.info("generated a certificate for the API, in Secret %s", MAIN_SECRET)
            return pair
        return pair

    def _is_stored_superfluous(self) -> bool:
        given = dict(given_pairs(self._settings.snapshot))
        used = self._used
        is_external = used is not None and given.get(SERVER_TLS) == used[0]
        return is_external and MAIN_SECRET in given and self._client is not None

    async def _tidy(self) -> None:
        """Take the stored pair away: an external certificate is in use."""
        assert self._client is not None
        patch = {"data": {CERTIFICATE: None, KEY: None}}
        try:
            answer = await self._client.patch(SECRET, self._namespace, MAIN_SECRET, patch, MERGE_PATCH)
            self._settings.put({**answer, "kind": "Secret"})
        except KubeError as error:
            log.warning("the superfluous pair in Secret %s stays: %s", MAIN_SECRET, error)


def tls_options(settings: Settings) -> TlsOptions:
    """The TLS flags."""
    params = settings.params
    return TlsOptions(params.tls_min_version, params.tls_max_version, tuple(params.tls_ciphers))


def _is_usable(pair: KeyPair, settings: Settings) -> bool:
    try:
        server_context(pair, tls_options(settings))
    except TlsError:
        return False
    return True


def _encoded(pair: KeyPair) -> dict[str, str]:
    return {
        CERTIFICATE: base64.b64encode(pair.certificate.encode()).decode(),
        KEY: base64.b64encode(pair.key.encode()).decode(),
    }


def _new_secret(namespace: str, pair: KeyPair) -> Manifest:
    labels = {PART_OF: "argocd", "app.kubernetes.io/name": MAIN_SECRET}
    metadata = {"name": MAIN_SECRET, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": _encoded(pair)}
