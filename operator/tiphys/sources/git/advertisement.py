"""Refs of a repository over HTTP without a process: what ``git ls-remote`` asks first, asked by ourselves.

Each poll of each repository asks for its refs; git needs 14 ms of CPU for that, most of it for starting
two programs. The first answer of the smart protocol (``GET …/info/refs``, protocol version 0) holds them
all. This is the short way only: whatever is not the plain good answer (a proxy, a client certificate, a
redirect, a server of files, an error, a slow server) is none, and then git itself asks and explains.

Credentials are shown as git shows them: headers that were asked for at once, a password to a server that
asks for one. Nothing is followed anywhere, so they reach no other host.
"""

import asyncio
import base64
import re
import ssl
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tiphys.settings.repositories import Repository
from tiphys.sources.git.access import Trust, clean_url, host_of, is_http
from tiphys.sources.git.credentials import DEFAULT_USER
from tiphys.sources.outgoing import client_tls, proxy_environment

SECONDS = 1.0
"""How long the short way may take, altogether: nobody waits long for what git will be asked anyway."""
USER_AGENT = "git/tiphys"
AGAIN_SECONDS = 600.0
"""After a failure git alone is asked for so long."""
MOST_BYTES = 8 * 1024 * 1024
"""About 100,000 refs."""
_MANY_BYTES = 256 * 1024
"""From here on another thread takes the answer apart."""
_MOST_REMEMBERED = 4096
_SERVICE = "git-upload-pack"
_PLAIN = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_OBJECT = re.compile(rb"[0-9a-f]{40}")


class Advertisements:
    """Asks for refs on connections that stay open for the next question. ``close()`` when done."""

    def __init__(self) -> None:
        self._sessions: aiohttp.ClientSession | None = None
        self._failed: dict[str, float] = {}  # by credentials and address: event-loop time of the next try
        self._contexts: dict[str, ssl.SSLContext] = {}  # by the roots of a host

    async def ask(self, repository: Repository, trust: Trust) -> bytes | None:
        """What ``git ls-remote`` would print; None: ask git."""
        url = clean_url(repository.url)
        if not is_http(url) or not _PLAIN.fullmatch(url) or "?" in url or repository.tls_client_cert_data:
            return None
        key = f"{repository.credential_digest} {url}"
        now = asyncio.get_running_loop().time()
        if self._failed.get(key, now) > now or _has_proxy(repository):
            return None
        try:
            async with asyncio.timeout(SECONDS):
                output = await self._ask(url, repository, trust)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            output = None
        if output is None:
            if len(self._failed) >= _MOST_REMEMBERED:
                self._failed.clear()
            self._failed[key] = now + AGAIN_SECONDS
        return output

    async def _ask(self, url: str, repository: Repository, trust: Trust) -> bytes | None:
        address = urlsplit(repository.url.strip())
        password = repository.password or address.password or ""
        user = repository.username or address.username or DEFAULT_USER
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = {}
        if repository.bearer_token:
            headers["Authorization"] = f"Bearer {repository.bearer_token}"
        elif password and repository.force_http_basic_auth:
            headers["Authorization"] = f"Basic {secret}"
        tls = self._tls(url, repository, trust)
        status, output = await self._get(url, headers, tls)
        if status == 401 and password and not headers:
            _, output = await self._get(url, {"Authorization": f"Basic {secret}"}, tls)
        return output

    def _tls(self, url: str, repository: Repository, trust: Trust) -> ssl.SSLContext | bool:
        roots = trust.tls_certificates.get(host_of(url)) or ""
        if (known := self._contexts.get(roots)) is not None and not repository.insecure:
            return known
        found = client_tls(url, repository, trust.tls_certificates)
        if isinstance(found, ssl.SSLContext):
            if len(self._contexts) >= _MOST_REMEMBERED:
                self._contexts.clear()
            self._contexts[roots] = found
        return found

    async def _get(
        self, url: str, headers: dict[str, str], tls: ssl.SSLContext | bool
    ) -> tuple[int, bytes | None]:
        if self._sessions is None:
            # Nothing compressed: a little of that can become a lot.
            sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
            self._sessions = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), headers=sent, auto_decompress=False
            )
        asked = URL(f"{url}/info/refs?service={_SERVICE}", encoded=True)
        async with self._sessions.get(asked, headers=headers, ssl=tls, allow_redirects=False) as answer:
            coding = answer.headers.get("Content-Encoding", "identity")
            kind = f"application/x-{_SERVICE}-advertisement"
            if answer.status != 200 or answer.content_type != kind or coding != "identity":
                return answer.status, None
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    return answer.status, None
        if len(body) > _MANY_BYTES:
            return answer.status, await asyncio.to_thread(listed, bytes(body))
        return answer.status, listed(bytes(body))

    async def close(self) -> None:
        """End the connections."""
        if self._sessions is not None:
            await self._sessions.close()
            self._sessions = None


def _has_proxy(repository: Repository) -> bool:
    # Git and Go's programs differ in which hosts no proxy is for; git is asked wherever there is one.
    variables = proxy_environment(repository)
    return any(value for name, value in variables.items() if name.lower() != "no_proxy")


def listed(body: bytes) -> bytes | None:
    """The lines of ``git ls-remote`` from an advertisement of protocol version 0; None: it is none.

    Raises:
        ValueError: a length that is no number.
    """
    lines: list[bytes] = []
    at, flushes = 0, 0
    while at < len(body):
        size = int(body[at : at + 4], 16)
        if not size and flushes < 2:
            at, flushes = at + 4, flushes + 1
            continue
        packet = body[at + 4 : at + size].rstrip(b"\n")
        if size < 5 or at + size > len(body) or flushes > 1:
            return None
        at += size
        if not flushes:  # before the refs: which service this is
            if packet != f"# service={_SERVICE}".encode():
                return None
            continue
        identifier, _, name = packet.partition(b"\0")[0].partition(b" ")
        if name == b"capabilities^{}":  # of an empty repository: its only line
            if lines or body[at:] != b"0000":
                return None
            continue
        if not _OBJECT.fullmatch(identifier) or not name:
            return None
        lines.append(identifier + b"\t" + name + b"\n")
    return b"".join(lines) if flushes == 2 else None
