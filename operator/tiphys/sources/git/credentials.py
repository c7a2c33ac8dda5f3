"""How one git command gets its secrets, and how they vanish with it (``sources.md`` 18.4).

Nothing secret is on a command line. Passwords travel in the environment of the command to a small
askpass program that answers only for the repository's own host; headers through ``GIT_CONFIG_*``,
bound to the repository's origin, so that neither a redirect nor a submodule elsewhere sees them;
keys and certificates as files of mode 0600 in a directory of mode 0700 that goes with the command.
"""

import base64
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.access import Trust, clean_url, host_of, is_http, is_ssh

# git asks "Username for 'https://host:port': " and "Password for 'https://user@host:port': "
ASKPASS = """#!/bin/sh
case "$1" in
  "Username for '$TIPHYS_GIT_SCHEME://$TIPHYS_GIT_HOST'"*) printf '%s\\n' "$TIPHYS_GIT_USERNAME" ;;
  "Password for '$TIPHYS_GIT_SCHEME://"*"@$TIPHYS_GIT_HOST'"*) printf '%s\\n' "$TIPHYS_GIT_PASSWORD" ;;
  *) exit 1 ;;
esac
"""

_TLS_OPTIONS = {
    "GIT_SSL_CAINFO": "sslCAInfo",
    "GIT_SSL_CERT": "sslCert",
    "GIT_SSL_KEY": "sslKey",
    "GIT_SSL_NO_VERIFY": "sslVerify",
}

DEFAULT_USER = "x-access-token"
"""Who a password without a user belongs to."""


class Handover(msgspec.Struct, frozen=True):
    """What a command needs beyond the common environment, and what must not be shown."""

    env: Mapping[str, str]
    secrets: tuple[str, ...]
    paths: tuple[Path, ...] = ()


@contextmanager
def hand_over(
    repository: Repository,
    trust: Trust,
    *,
    askpass: Path,
    directory: Path,
    connect_timeout: float,
    config_for_children: Path | None = None,
) -> Iterator[Handover]:
    """The environment that lets a command reach ``repository``; its files live inside the block.

    ``directory`` holds the files, ``connect_timeout`` is seconds. Git clears ``GIT_CONFIG_*`` for the
    commands it starts in submodules; with ``config_for_children`` (the common configuration) headers
    go into a file of their own that includes it. Raises SourceError when a needed
    program is missing, OSError when files cannot be written.
    """
    folder = Path(tempfile.mkdtemp(prefix="access-", dir=directory))
    try:
        builder = _Builder(repository, trust, askpass, folder, connect_timeout)
        yield builder.build(config_for_children)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Builder:
    def __init__(
        self, repository: Repository, trust: Trust, askpass: Path, folder: Path, connect_timeout: float
    ) -> None:
        self._repository = repository
        self._trust = trust
        self._askpass = askpass
        self._folder = folder
        self._connect_timeout = connect_timeout
        self._env: dict[str, str] = {}
        self._secrets: list[str] = []

    def build(self, config_for_children: Path | None) -> Handover:
        if is_http(self._repository.url):
            self._http()
        # always: submodules and odd addresses (host:path) must not find the operator's own keys
        self._ssh()
        if config_for_children is not None:
            self._config_file(config_for_children)
        return Handover(self._env, tuple(secret for secret in self._secrets if secret))

    def _http(self) -> None:
        repository = self._repository
        parts = urlsplit(repository.url.strip())
        password = repository.password or parts.password or ""
        username = repository.username or parts.username or ""
        self._secrets += [password, repository.password, repository.bearer_token]
        headers = []
        if repository.bearer_token:
            headers.append(f"Authorization: Bearer {repository.bearer_token}")
        if password and repository.force_http_basic_auth:
            token = base64.b64encode(f"{username or DEFAULT_USER}:{password}".encode()).decode()
            self._secrets.append(token)
            headers.append(f"Authorization: Basic {token}")
        clean = urlsplit(clean_url(repository.url))
        origin = f"{clean.scheme}://{clean.netloc}/"
        for number, header in enumerate(headers):
            self._env[f"GIT_CONFIG_KEY_{number}"] = f"http.{origin}.extraHeader"
            self._env[f"GIT_CONFIG_VALUE_{number}"] = header
        self._env["GIT_CONFIG_COUNT"] = str(len(headers))
        if password or username:
            self._env |= {
                "GIT_ASKPASS": str(self._askpass),
                "TIPHYS_GIT_SCHEME": clean.scheme,
                "TIPHYS_GIT_HOST": clean.netloc,
                "TIPHYS_GIT_USERNAME": username or DEFAULT_USER,
                "TIPHYS_GIT_PASSWORD": password,
            }
        if repository.tls_client_cert_data:
            self._env["GIT_SSL_CERT"] = self._file("client.crt", repository.tls_client_cert_data)
            self._env["GIT_SSL_KEY"] = self._file("client.key", repository.tls_client_cert_key)
        if repository.insecure:
            self._env["GIT_SSL_NO_VERIFY"] = "true"
        elif authority := self._trust.tls_certificates.get(host_of(repository.url)):
            self._env["GIT_SSL_CAINFO"] = self._file("ca.crt", authority)
        if repository.proxy:
            # replaces what the operator inherited, and only then (sources.md 18.4)
            self._secrets.append(urlsplit(repository.proxy).password or "")
            for name in ("http_proxy", "https_proxy"):
                self._env[name] = repository.proxy
            self._env["no_proxy"] = repository.no_proxy

    def _ssh(self) -> None:
        repository = self._repository
        command = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        command += ["-o", f"ConnectTimeout={max(1, round(self._connect_timeout))}"]
        own = is_ssh(repository.url)
        if own and repository.ssh_private_key:
            key = repository.ssh_private_key.replace("\r\n", "\n").rstrip("\n") + "\n"
            command += ["-i", self._file("identity", key)]
        else:
            command += ["-o", "IdentityFile=none"]
        if own and repository.insecure:
            command += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        else:
            hosts = self._file("known_hosts", self._trust.ssh_known_hosts)
            command += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={hosts}"]
            command += ["-o", "GlobalKnownHostsFile=/dev/null"]
        if own and repository.proxy:
            command += ["-o", f"ProxyCommand={_proxy_command(repository.proxy)}"]
        self._env["GIT_SSH_COMMAND"] = shlex.join(command)

    def _config_file(self, included: Path) -> None:
        """What commands of commands must find as well, each bound to the host that it is for."""
        own = urlsplit(clean_url(self._repository.url))
        origin = f"{own.scheme}://{own.netloc}/"
        lines = [f"[include]\n\tpath = {_quoted(str(included))}\n"]
        for number in range(int(self._env.pop("GIT_CONFIG_COUNT", "0"))):
            section, _, name = self._env.pop(f"GIT_CONFIG_KEY_{number}").rpartition(".")
            url = section.removeprefix("http.")
            value = self._env.pop(f"GIT_CONFIG_VALUE_{number}")
            lines.append(f"[http {_quoted(url)}]\n\t{name} = {_quoted(value)}\n")
        for variable, name in _TLS_OPTIONS.items():
            if value := self._env.pop(variable, ""):
                value = "false" if name == "sslVerify" else value
                lines.append(f"[http {_quoted(origin)}]\n\t{name} = {_quoted(value)}\n")
        for number, (host, authority) in enumerate(self._trust.tls_certificates.items()):
            if host != host_of(self._repository.url):
                path = self._file(f"ca-{number}.crt", authority)
                lines.append(f"[http {_quoted(f'https://{host}/')}]\n\tsslCAInfo = {_quoted(path)}\n")
        self._env["GIT_CONFIG_GLOBAL"] = self._file("gitconfig", "".join(lines))

    def _file(self, name: str, content: str) -> str:
        path = self._folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
        return str(path)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _proxy_command(proxy: str) -> str:
    parts = urlsplit(proxy)
    if parts.scheme not in ("socks5", "socks5h") or not parts.hostname:
        raise SourceError("InvalidArgument", "SSH repositories can use socks5:// proxies only")
    address = f"{parts.hostname}:{parts.port or 1080}"
    if shutil.which("connect-proxy"):
        return f"connect-proxy -5 -S {shlex.quote(address)} %h %p"
    if shutil.which("nc"):
        return f"nc -X 5 -x {shlex.quote(address)} %h %p"
    raise SourceError(
        "Internal", "SSH through a proxy needs the program connect-proxy or nc, and neither is installed"
    )
