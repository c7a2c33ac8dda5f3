"""Where an API server is and how to reach it: from a pod, a kubeconfig, or a cluster Secret.

A :class:`Connection` is a value with one moving part, its credential source: URL, TLS settings,
proxy, compression. It makes the TLS context (again only when an exec plugin hands out a new client
certificate). Keys never touch the disk: Python's ssl wants file names, so they pass through an
anonymous memory file.
"""

import base64
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from tiphys.kube.credentials import (
    Credential,
    CredentialSource,
    ExecPlugin,
    FixedCredential,
    LegacyProvider,
    TokenFile,
    basic,
    bearer,
)
from tiphys.kube.errors import ConnectionSettingsError

if TYPE_CHECKING:  # only described by it; a client alone does not load the settings
    from tiphys.settings.clusters import Cluster

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PROXY_SCHEMES = ("http", "https", "socks5")


class TlsSettings(msgspec.Struct, frozen=True):
    """How the server proves itself, and our fixed client certificate. All data is PEM text."""

    ca: str = ""
    insecure: bool = False
    server_name: str = ""
    certificate: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"TlsSettings(insecure={self.insecure}, server_name={self.server_name!r}, …)"


class Connection:
    """One API server as one identity.

    Attributes:
        server: base URL without trailing slash.
        proxy: URL of the proxy, or ``""``.
        compress: whether to ask for gzip.
        server_name: name to verify in the certificate instead of the URL's host, or ``""``.
    """

    def __init__(
        self,
        server: str,
        *,
        tls: TlsSettings = TlsSettings(),  # noqa: B008 (frozen)
        credentials: CredentialSource | None = None,
        proxy: str = "",
        compress: bool = False,
        namespace: str = "default",
    ) -> None:
        self.server = server.rstrip("/")
        self.tls = tls
        self.credentials: CredentialSource = credentials or FixedCredential()
        self.proxy = proxy
        self.compress = compress
        self.namespace = namespace
        """The namespace of the pod or kubeconfig context."""
        self.server_name = tls.server_name
        self._context: ssl.SSLContext | None = None
        self._context_certificate = ""

    def __repr__(self) -> str:
        return f"Connection({self.server!r})"

    async def authorize(self) -> tuple[str, ssl.SSLContext | None]:
        """The ``Authorization`` header (``""``: none) and the TLS context (``None``: plain HTTP).

        Raises:
            CredentialsUnavailable: no credential can be had now.
            ConnectionSettingsError: certificate or key are unusable.
        """
        credential = await self.credentials.current()
        if not self.server.startswith("https:"):
            return credential.authorization, None
        certificate = credential.certificate or self.tls.certificate
        if self._context is None or certificate != self._context_certificate:
            self._context = self._make_context(credential)
            self._context_certificate = certificate
        return credential.authorization, self._context

    def _make_context(self, credential: Credential) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Cluster CAs are self-made; from Python 3.13 on the strict default refuses many of them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        try:
            if self.tls.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif self.tls.ca:
                context.load_verify_locations(cadata=self.tls.ca)
            else:
                context.load_default_certs()
            certificate = credential.certificate or self.tls.certificate
            key = credential.key or self.tls.key
            if certificate:
                with readable_file(certificate) as cert_file, readable_file(key) as key_file:
                    context.load_cert_chain(cert_file, key_file)
        except (ssl.SSLError, ValueError) as error:
            # The texts of ssl name the fault, never the data.
            raise ConnectionSettingsError(self.server, f"unusable certificate or key: {error}") from None
        return context


@contextmanager
def readable_file(text: str) -> Iterator[str]:
    """A file name under which ``text`` can be read while the block runs; never on a disk where possible."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("tiphys")
        try:
            os.write(handle, text.encode())
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    with tempfile.NamedTemporaryFile() as file:  # other systems: 0600, gone with the block
        file.write(text.encode())
        file.flush()
        yield file.name


def in_cluster(environ: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The API server of the pod we run in, with its service account (token re-read from its file).

    Raises:
        ConnectionSettingsError: this is no pod.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    token, ca = folder / "token", folder / "ca.crt"
    if not host or not port or not token.exists():
        why = "not running in a pod (no KUBERNETES_SERVICE_HOST or no service account token)"
        raise ConnectionSettingsError("in-cluster configuration", why)
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    namespace = folder / "namespace"
    return Connection(
        server,
        tls=TlsSettings(ca=ca.read_text() if ca.exists() else ""),
        credentials=TokenFile(server, token),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def from_kubeconfig(path: Path | str | None = None, context: str | None = None) -> Connection:
    """A context (default: the current one) of a kubeconfig.

    ``path`` defaults to ``$KUBECONFIG`` (its first existing file) or ``~/.kube/config``.

    Raises:
        ConnectionSettingsError: the file or the context cannot be used; says why.
    """
    file = Path(path) if path is not None else _default_kubeconfig()
    where = f"kubeconfig {file}"
    try:
        config = yaml.safe_load(file.read_text())
    except OSError as error:
        raise ConnectionSettingsError(where, error.strerror or "unreadable") from None
    except yaml.YAMLError:
        raise ConnectionSettingsError(where, "is not valid YAML") from None
    if not isinstance(config, dict):
        raise ConnectionSettingsError(where, "is not a kubeconfig")
    name = context or config.get("current-context") or ""
    chosen = _named(config, "contexts", "context", name, where)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster") or "", where)
    user_name = chosen.get("user") or ""
    user = _named(config, "users", "user", user_name, where) if user_name else {}
    server = str(cluster.get("server") or "").rstrip("/")
    if not server:
        raise ConnectionSettingsError(where, f"cluster of context {name!r} has no server")
    tls = TlsSettings(
        ca=_pem(cluster, "certificate-authority", file.parent, where),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name") or "",
        certificate=_pem(user, "client-certificate", file.parent, where),
        key=_pem(user, "client-key", file.parent, where),
    )
    return Connection(
        server,
        tls=tls,
        credentials=_kubeconfig_credentials(server, user, config, name, file.parent, cluster),
        proxy=_checked_proxy(cluster.get("proxy-url") or "", where),
        compress=not cluster.get("disable-compression") and not _is_loopback(server),
        namespace=chosen.get("namespace") or "default",
    )


def _default_kubeconfig() -> Path:
    for name in os.environ.get("KUBECONFIG", "").split(os.pathsep):
        if name and Path(name).exists():
            return Path(name)
    return Path.home() / ".kube" / "config"


def _named(config: Mapping[str, Any], part: str, inner: str, name: str, where: str) -> dict[str, Any]:
    for entry in config.get(part) or ():
        if isinstance(entry, dict) and entry.get("name") == name:
            return dict(entry.get(inner) or {})
    raise ConnectionSettingsError(where, f"has no entry {name!r} under {part}")


def _pem(section: Mapping[str, Any], name: str, folder: Path, where: str) -> str:
    data = section.get(f"{name}-data")
    try:
        if data:
            return str(base64.b64decode(data, validate=True), "utf-8")
        if section.get(name):
            return (folder / str(section[name])).read_text()
    except (ValueError, OSError):
        raise ConnectionSettingsError(where, f"{name} is unreadable") from None
    return ""


def _kubeconfig_credentials(
    server: str,
    user: Mapping[str, Any],
    config: Mapping[str, Any],
    context: str,
    folder: Path,
    cluster: Mapping[str, Any],
) -> CredentialSource:
    if user.get("token"):
        return FixedCredential(bearer(user["token"]))
    if user.get("tokenFile"):
        return TokenFile(server, folder / user["tokenFile"])
    if user.get("exec"):
        plugin = user["exec"]
        info = None
        if plugin.get("provideClusterInfo"):
            info = {"server": server}
            if cluster.get("certificate-authority-data"):
                info["certificate-authority-data"] = cluster["certificate-authority-data"]
        command = plugin.get("command") or ""
        if "/" in command:
            command = str(folder / command)
        return ExecPlugin(
            server,
            command,
            plugin.get("args") or (),
            {item["name"]: item.get("value", "") for item in plugin.get("env") or ()},
            plugin.get("apiVersion") or "client.authentication.k8s.io/v1",
            plugin.get("installHint") or "",
            info,
        )
    if user.get("auth-provider"):
        return LegacyProvider(server, config, context)
    if user.get("username"):
        return FixedCredential(basic(user["username"], user.get("password") or ""))
    return FixedCredential()


def _is_loopback(server: str) -> bool:
    host = server.partition("://")[2]
    return host.startswith(("127.", "localhost", "[::1]"))


def _checked_proxy(url: str, where: str) -> str:
    scheme = url.partition("://")[0]
    if url and scheme not in PROXY_SCHEMES:
        why = f'failed to parse proxy url, unsupported scheme "{scheme}", must be http, https, or socks5'
        raise ConnectionSettingsError(where, why)
    return url


def from_cluster(cluster: "Cluster", local: Connection | None = None) -> Connection:
    """A destination of the settings (operations.md 1.9).

    ``local`` is the connection of the cluster we run in (or the kubeconfig's): it serves
    ``https://kubernetes.default.svc``, wholly without credentials of its own in the Secret, else
    with its address and CA and those credentials.

    Raises:
        ConnectionSettingsError: contradictory TLS settings, unreadable data, bad proxy scheme.
    """
    where = f"cluster {cluster.server}"
    config = cluster.config
    if config.tls.insecure and config.tls.ca_data:
        raise ConnectionSettingsError(
            where, "specifying a root certificates file with the insecure flag is not allowed"
        )
    credentials = _cluster_credentials(cluster)
    is_local = cluster.is_in_cluster
    if is_local and local is not None and not config.has_credentials:
        return local
    tls = TlsSettings(
        ca=_text(config.tls.ca_data),
        insecure=config.tls.insecure,
        server_name=config.tls.server_name,
        certificate=_text(config.tls.cert_data),
        key=_text(config.tls.key_data),
    )
    server = cluster.server
    if is_local and local is not None:
        server = local.server
        tls = msgspec.structs.replace(
            tls, ca=local.tls.ca, insecure=local.tls.insecure, server_name=local.tls.server_name
        )
    return Connection(
        server,
        tls=tls,
        credentials=credentials,
        proxy=_checked_proxy(config.proxy_url, where),
        compress=not config.disable_compression and not _is_loopback(server),
    )


def _cluster_credentials(cluster: "Cluster") -> CredentialSource | None:
    """Precedence: awsAuthConfig, execProviderConfig, then bearer token, then basic."""
    config = cluster.config
    if config.aws_auth is not None:
        args = ["aws", "--cluster-name", config.aws_auth.cluster_name]
        if config.aws_auth.role_arn:
            args += ["--role-arn", config.aws_auth.role_arn]
        if config.aws_auth.profile:
            args += ["--profile", config.aws_auth.profile]
        return ExecPlugin(
            cluster.server, "argocd-k8s-auth", args, api_version="client.authentication.k8s.io/v1beta1"
        )
    if config.exec_provider is not None:
        plugin = config.exec_provider
        info: dict[str, Any] | None = None
        if plugin.provide_cluster_info:
            info = {"server": cluster.server}
            if config.tls.ca_data:
                info["certificate-authority-data"] = base64.b64encode(
                    _text(config.tls.ca_data).encode()
                ).decode()
        return ExecPlugin(
            cluster.server,
            plugin.command,
            plugin.args,
            plugin.env,
            plugin.api_version or "client.authentication.k8s.io/v1beta1",
            plugin.install_hint,
            info,
        )
    if config.bearer_token:
        return FixedCredential(bearer(config.bearer_token))
    if config.username:
        return FixedCredential(basic(config.username, config.password))
    return None


def _text(data: bytes | str) -> str:
    return data.decode() if isinstance(data, bytes) else data
