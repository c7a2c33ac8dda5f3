"""How our own HTTP requests and the tools' leave for a repository: whose certificate counts, which proxy.

``sources.md`` 9.2, 18.4, 19. A repository's proxy replaces what the process inherited, and only then;
a certificate of the settings replaces the system's roots for its host.
"""

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tiphys.settings.repositories import Repository
from tiphys.sources.git.access import host_of

INHERITED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def proxy_for(url: str, repository: Repository, environ: Mapping[str, str] = os.environ) -> str | None:
    """The proxy of a request to ``url`` for this repository; ``None``: straight."""
    if repository.proxy:
        proxy, no_proxy = repository.proxy, repository.no_proxy
    else:
        scheme = urlsplit(url).scheme
        proxy, no_proxy = _variable(environ, f"{scheme}_proxy"), _variable(environ, "no_proxy")
    return proxy if proxy and not bypasses(host_of(url), no_proxy) else None


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def bypasses(host: str, no_proxy: str) -> bool:
    """Whether a host is reached straight, as Go's programs read ``no_proxy``: ``*``, addresses and
    networks, names with all below them, ``.name`` only below."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for each in no_proxy.lower().split(","):
        name = each.strip().removeprefix("*.") if each.strip() != "*" else "*"
        if name == "*":
            return True
        if address is not None:
            try:
                if address in ipaddress.ip_network(name, strict=False):
                    return True
            except ValueError:
                continue
        name = name.partition(":")[0]
        if name and (host.endswith("." + name.lstrip(".")) or host == name):
            return True
    return False


def through(proxy: str | None) -> "tuple[aiohttp.BaseConnector | None, str | None]":
    """A connector and a proxy for aiohttp, which knows no socks5 of its own."""
    if proxy is None or not proxy.startswith("socks"):
        return None, proxy
    from aiohttp_socks import ProxyConnector  # few have one

    return ProxyConnector.from_url(proxy), None


def proxy_environment(repository: Repository | None) -> dict[str, str]:
    """The proxy variables of a command that talks to ``repository``: its own, else the inherited."""
    if repository is None or not repository.proxy:
        return {name: value for name in INHERITED if (value := os.environ.get(name))}
    found = {}
    for name in INHERITED:
        found[name] = repository.no_proxy if name.lower() == "no_proxy" else repository.proxy
    return found


def client_tls(url: str, repository: Repository, certificates: Mapping[str, str]) -> "ssl.SSLContext | bool":
    """What a request to ``url`` checks and shows: the value of aiohttp's ``ssl``. Reads and writes
    files: call it in a thread.

    Raises:
        ssl.SSLError, OSError: a certificate or key cannot be read.
    """
    if not url.startswith("https://"):
        return True
    if repository.insecure and not repository.tls_client_cert_data:
        return False
    roots = certificates.get(host_of(url))
    if not roots and not repository.tls_client_cert_data:
        return True
    context = ssl.create_default_context(cadata=roots or None)
    if repository.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if repository.tls_client_cert_data:
        with tempfile.TemporaryDirectory(prefix="tiphys-tls-") as folder:  # of mode 0700
            certificate, key = Path(folder, "client.crt"), Path(folder, "client.key")
            certificate.write_text(repository.tls_client_cert_data)
            key.write_text(repository.tls_client_cert_key)
            context.load_cert_chain(certificate, key)
    return context
