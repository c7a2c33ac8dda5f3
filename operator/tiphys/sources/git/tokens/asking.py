"""One request to an issuer of tokens: bounded, through the repository's proxy, never shown.

What an issuer refuses with goes into the error only as its own short words (``message``,
``error_description``, ``error``), and without what we sent.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tiphys.settings.repositories import Repository
from tiphys.settings.secrecy import redacted
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable, SourceError
from tiphys.sources.git.access import Trust, clean_url
from tiphys.sources.outgoing import client_tls, proxy_for, through

_LARGEST = 4 << 20
_WORDS = 200


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What git is given.

    Attributes:
        expires: wall clock, seconds; after it the issuer's server refuses it.
        made: when it was asked for.
        bearer: it is also sent as a bearer header.
    """

    username: str = ""
    password: str
    expires: float
    made: float = 0.0
    bearer: bool = False

    def __repr__(self) -> str:
        return redacted(self, frozenset({"password"}))


class Asking(msgspec.Struct, frozen=True):
    """For whom an issuer is asked, and how.

    Attributes:
        timeout: seconds of the whole request.
        environ: where Azure's workload identity says who it is.
    """

    repository: Repository
    trust: Trust
    now: float
    timeout: float
    environ: Mapping[str, str]

    def refused(self, what: str, why: str) -> AccessDenied:
        """The credentials give no token."""
        return AccessDenied("Unknown", f"cannot get {what}: {why}", repository=clean_url(self.repository.url))

    async def ask(
        self,
        what: str,
        verb: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
    ) -> Any:
        """The JSON of the answer. Redirects are not followed: what is sent is for this host.

        Raises:
            AccessDenied: the issuer says no.
            RepositoryUnreachable: it cannot be reached, or its answer cannot be read.
        """
        host = urlsplit(url).hostname or url
        if not url.startswith("https://"):
            raise self.refused(what, f"the issuer must be reached over https, not at {clean_url(url)}")
        try:
            status, body = await self._answer(verb, url, headers or {}, form)
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError, ValueError) as error:
            why = _without(str(error) or "no answer in time", secrets)
            raise self._unreachable(what, f"{host}: {why}") from None
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if status >= 500:
            raise self._unreachable(what, f"{host} answered {status}")
        if status >= 300:
            raise self.refused(what, f"{host} answered {status}{_without(_reason(found), secrets)}")
        if found is None:
            raise self._unreachable(what, f"{host} answered no JSON")
        return found

    def _unreachable(self, what: str, why: str) -> SourceError:
        return RepositoryUnreachable(
            "Unknown", f"cannot get {what}: {why}", repository=clean_url(self.repository.url)
        )

    async def _answer(
        self, verb: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        context = await asyncio.to_thread(client_tls, url, self.repository, self.trust.tls_certificates)
        connector, proxy = through(proxy_for(url, self.repository))
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            session.request(
                verb, url, headers=dict(headers), data=form, ssl=context, proxy=proxy, allow_redirects=False
            ) as answer,
        ):
            body = bytearray()
            async for part in answer.content.iter_chunked(1 << 16):
                body += part
                if len(body) > _LARGEST:
                    raise ValueError("the answer is too large")
            return answer.status, bytes(body)


def text_of(found: Any, name: str) -> str:
    """A field of an answer, empty when it is not there or no text."""
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


def seconds_of(found: Any, name: str) -> float:
    """A number of seconds in an answer (some issuers send it as text); 0 when it is not there."""
    value = found.get(name) if isinstance(found, dict) else None
    try:
        return float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0


def _reason(found: Any) -> str:
    words = next(
        (text for name in ("message", "error_description", "error") if (text := text_of(found, name))), ""
    )
    words = " ".join(words.split())[:_WORDS]
    return f": {words}" if words else ""


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        for each in (secret, base64.b64encode(secret.encode()).decode()):
            if len(secret) > 3:
                text = text.replace(each, "******")
    return text
