"""As whom we speak: the sources of the ``Authorization`` header and of client certificates.

A :class:`CredentialSource` is asked before each request and answers from its own cache, so that a
rotated token file or an expiring exec credential is followed without a restart. After a 401 the
transport calls ``forget()`` and asks once more. Nothing here prints a secret; failures name the
file or the command.
"""

import asyncio
import base64
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import orjson

from tiphys.kube.errors import CredentialsUnavailable

TOKEN_FILE_SECONDS = 60.0
"""How long a token read from a file is used before the file is read again."""

EXPIRY_SKEW_SECONDS = 30.0
"""Exec credentials are renewed this long before they expire."""

EXEC_TIMEOUT_SECONDS = 60.0
"""An exec plugin that takes longer is ended."""


class Credential(msgspec.Struct, frozen=True):
    """What to present: a header value and/or a PEM client certificate with its key."""

    authorization: str = ""
    certificate: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return "Credential(…)"


class CredentialSource(Protocol):
    """Where the current credential comes from."""

    async def current(self) -> Credential:
        """The credential to use now.

        Raises:
            CredentialsUnavailable: there is none; says why.
        """
        ...

    def forget(self) -> bool:
        """Drop what is cached because the server refused it; ``True`` if asking again may help."""
        ...


class FixedCredential:
    """Credentials that are part of the settings (or none at all)."""

    def __init__(self, credential: Credential = Credential()) -> None:  # noqa: B008 (frozen)
        self._credential = credential

    async def current(self) -> Credential:
        return self._credential

    def forget(self) -> bool:
        return False


def bearer(token: str) -> Credential:
    """A bearer token."""
    return Credential(authorization=f"Bearer {token}")


def basic(username: str, password: str) -> Credential:
    """HTTP basic authentication."""
    pair = f"{username}:{password}".encode()
    return Credential(authorization="Basic " + base64.b64encode(pair).decode())


class TokenFile:
    """A bearer token in a file that somebody else rotates (service account tokens)."""

    def __init__(self, server: str, path: Path) -> None:
        self._server = server
        self._path = path
        self._read_at = 0.0
        self._credential: Credential | None = None

    async def current(self) -> Credential:
        now = time.monotonic()
        if self._credential is None or now - self._read_at > TOKEN_FILE_SECONDS:
            try:
                token = self._path.read_text().strip()  # small file in memory (tmpfs): no thread
            except OSError as error:
                why = f"cannot read the token file {self._path}: {error.strerror}"
                raise CredentialsUnavailable(self._server, why) from None
            if not token:
                raise CredentialsUnavailable(self._server, f"the token file {self._path} is empty")
            self._credential, self._read_at = bearer(token), now
        return self._credential

    def forget(self) -> bool:
        self._credential = None
        return True


class ExecPlugin:
    """A credential plugin (``client.authentication.k8s.io``): a command that prints an
    ExecCredential. Run at most once at a time; its answer is kept until it expires."""

    def __init__(
        self,
        server: str,
        command: str,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        api_version: str = "client.authentication.k8s.io/v1",
        install_hint: str = "",
        cluster_info: Mapping[str, Any] | None = None,
    ) -> None:
        self._server = server
        self._command = command
        self._args = tuple(args)
        self._env = dict(env or {})
        self._api_version = api_version
        self._install_hint = install_hint
        self._cluster_info = cluster_info
        self._lock = asyncio.Lock()
        self._credential: Credential | None = None
        self._expires: float | None = None  # Unix time
        self.calls = 0

    async def current(self) -> Credential:
        async with self._lock:
            if self._credential is None or (
                self._expires is not None and time.time() > self._expires - EXPIRY_SKEW_SECONDS
            ):
                self._credential, self._expires = await self._run()
            return self._credential

    def forget(self) -> bool:
        self._credential = None
        return True

    async def _run(self) -> tuple[Credential, float | None]:
        self.calls += 1
        spec: dict[str, Any] = {"interactive": False}
        if self._cluster_info is not None:
            spec["cluster"] = self._cluster_info
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        environment = os.environ | self._env | {"KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                self._command,
                *self._args,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f" ({self._install_hint})" if self._install_hint else ""
            raise self._failed(f"cannot be started: {error.strerror}{hint}") from None
        try:
            async with asyncio.timeout(EXEC_TIMEOUT_SECONDS):
                output, errors = await process.communicate()
        except TimeoutError:
            raise self._failed(f"did not end within {EXEC_TIMEOUT_SECONDS:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            raise self._failed(f"ended with code {process.returncode}: {last}")
        return self._read(output)

    def _read(self, output: bytes) -> tuple[Credential, float | None]:
        try:
            answer = orjson.loads(output)
            status = answer["status"]
            token = status.get("token") or ""
            credential = Credential(
                authorization=f"Bearer {token}" if token else "",
                certificate=status.get("clientCertificateData") or "",
                key=status.get("clientKeyData") or "",
            )
            expiry = status.get("expirationTimestamp")
            expires = datetime.fromisoformat(expiry).astimezone(UTC).timestamp() if expiry else None
        except (ValueError, KeyError, TypeError, AttributeError):
            # The output holds secrets: it is not part of the message.
            raise self._failed("printed no readable ExecCredential") from None
        if not token and not (credential.certificate and credential.key):
            raise self._failed("printed an ExecCredential without a token and without a certificate")
        return credential, expires

    def _failed(self, why: str) -> CredentialsUnavailable:
        return CredentialsUnavailable(self._server, f"credential plugin {self._command} {why}")


class LegacyProvider:
    """``auth-provider`` entries of old kubeconfigs (gcp, oidc), left to the ``kubernetes`` package,
    which knows how to refresh them. Imported when first used: it is large."""

    def __init__(self, server: str, kubeconfig: Mapping[str, Any], context: str) -> None:
        self._server = server
        self._kubeconfig = kubeconfig
        self._context = context
        self._credential: Credential | None = None
        self._read_at = 0.0

    async def current(self) -> Credential:
        now = time.monotonic()
        if self._credential is None or now - self._read_at > TOKEN_FILE_SECONDS:
            from kubernetes.aio.config import kube_config

            make_loader: Any = kube_config.KubeConfigLoader  # untyped package
            loader = make_loader(config_dict=dict(self._kubeconfig), active_context=self._context)
            try:
                await loader._load_authentication()
                token = str(loader.token)
            except Exception as error:
                why = f"the auth-provider of the kubeconfig failed: {type(error).__name__}"
                raise CredentialsUnavailable(self._server, why) from None
            self._credential, self._read_at = Credential(authorization=token), now
        return self._credential

    def forget(self) -> bool:
        self._credential = None
        return True
