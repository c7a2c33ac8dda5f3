"""The API server's end: what the controllers know of live objects, asked over the network.

A controller that cannot be reached is "unavailable" for the caller; nothing is kept of its answers.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import msgspec

from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey, ResourceKey
from tiphys.resources.messages.clusters import ClusterInfo
from tiphys.resources.messages.trees import ApplicationTree, ResourceDiff
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.inside.tokens import issue

T = TypeVar("T")

SECONDS = 30.0
SILENCE = 40.0
"""Longest pause in a stream of changes; the other end says something every fifteen seconds."""

RETRY = 1.0


class RemoteLive:
    """A :class:`~tiphys.server.state.Live` in another process; ``close`` when done.

    Args:
        address: ``host:port`` of the controllers.
        secret_key: ``server.secretkey`` as it is now.
        certificate: PEM of the API's certificate as it is now, which the other end must have.
    """

    def __init__(
        self,
        address: str,
        secret_key: Callable[[], str],
        certificate: Callable[[], str],
        clock: Callable[[], datetime],
    ):
        self._base = f"https://{address}/inside"
        self._secret_key = secret_key
        self._certificate = certificate
        self._clock = clock
        self._trusted: tuple[str, ssl.SSLContext] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def tree(self, app: Application) -> ApplicationTree | None:
        """See ``Live``."""
        found: ApplicationTree | None = await self._ask(
            "POST", "tree", _named(app.key), ApplicationTree | None
        )
        return found

    async def managed_resources(
        self, app: Application, *, keys: Sequence[ResourceKey] | None = None
    ) -> tuple[ResourceDiff, ...] | None:
        """See ``Live``."""
        body = None if keys is None else msgspec.json.encode(keys)
        kind = tuple[ResourceDiff, ...] | None
        found: tuple[ResourceDiff, ...] | None = await self._ask(
            "POST", "managed-resources", _named(app.key), kind, body
        )
        return found

    async def cluster_info(self, server: str) -> ClusterInfo:
        """See ``Live``."""
        found: ClusterInfo = await self._ask("GET", "cluster", {"server": server}, ClusterInfo)
        return found

    async def changes(self, key: AppKey) -> AsyncIterator[None]:
        """See ``Live``; a connection that breaks is made anew, which counts as a change."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=SECONDS, sock_read=SILENCE)
        first = True
        while True:
            try:
                async with self._open("GET", "changes", _named(key), None, timeout) as answer:
                    if answer.status != 200:
                        raise _unavailable(f"status {answer.status}")
                    if not first:
                        yield None
                    first = False
                    async for line in answer.content:
                        if line.strip():
                            yield None
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
                if first:
                    raise _unavailable(type(error).__name__) from error
            await asyncio.sleep(RETRY)

    async def _ask(
        self, verb: str, path: str, query: Mapping[str, str], kind: Any, body: bytes | None = None
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with self._open(verb, path, query, body, timeout) as answer:
                if answer.status != 200:
                    raise _unavailable(f"status {answer.status}")
                return msgspec.json.decode(await answer.read(), type=kind)
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, msgspec.DecodeError) as error:
            raise _unavailable(type(error).__name__) from error

    def _open(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        token = issue(self._secret_key(), self._clock())
        return self._session.request(
            verb,
            f"{self._base}/{path}",
            params=query,
            data=body,
            headers={"Authorization": f"Bearer {token}"},
            ssl=self._context(),
            timeout=timeout,
            allow_redirects=False,
        )

    def _context(self) -> ssl.SSLContext:
        """Trusts the API's own certificate and nothing else, whatever name it bears."""
        pem = self._certificate()
        if self._trusted is None or self._trusted[0] != pem:
            if not pem:
                raise _unavailable("the API's certificate is not there yet")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(cadata=pem)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            self._trusted = (pem, context)
        return self._trusted[1]


def _named(key: AppKey) -> dict[str, str]:
    return {"namespace": key.namespace, "name": key.name}


def _unavailable(why: str) -> ApiFailure:
    return ApiFailure(Code.UNAVAILABLE, f"the application controller cannot be asked: {why}")
