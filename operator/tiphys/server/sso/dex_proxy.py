"""``/api/dex/…``: the way to Dex, which nobody outside of the cluster can reach (api.md 12).

A plain reverse proxy. Our own cookies stay here: Dex has no use for people's tokens. Where Dex fails
(500), people are sent to the login page, which tells them.
"""

import asyncio

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tiphys.access.oidc.provider import insecure_context, strict_context
from tiphys.access.oidc.sso import dex_address, dex_ca
from tiphys.server.http.hop_by_hop import HOP_BY_HOP
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_NOT_PASSED_ON = HOP_BY_HOP | {"host", "content-length"}
_LARGEST = 1024 * 1024
_BODY_SECONDS = 30.0
_TIMEOUT = aiohttp.ClientTimeout(total=60.0, connect=10.0)


class DexProxy:
    """See the module; ``close`` when the server ends."""

    def __init__(self, settings: SettingsStore, href: str):
        self._settings = settings
        self._href = href
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, and its answer back."""
        settings = self._settings.snapshot
        url = URL(dex_address(settings) + request.rel_url.raw_path_qs, encoded=True)
        strict = settings.params.server_dex_server_strict_tls
        try:
            body = await _body(request)
            if body is None:
                return web.Response(status=413, text="Request Entity Too Large\n")
            context = strict_context(dex_ca()) if strict else insecure_context()
            async with self._http().request(
                request.method,
                url,
                headers=self._forwarded(request),
                data=body or None,
                allow_redirects=False,
                timeout=_TIMEOUT,
                ssl=context,
            ) as answer:
                return await self._answer(request, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("Dex cannot be reached: %s", type(error).__name__)
            return web.Response(status=502, text="Dex cannot be reached\n")

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        if answer.status == 500:
            log.error("Dex failed", extra={"path": request.path})
            location = f"{self._href.rstrip('/')}/login?has_sso_error=true"
            return web.Response(status=303, headers={"Location": location})
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                response.headers.add(name, value)
        await response.prepare(request)
        async for part in answer.content.iter_any():
            await response.write(part)
        await response.write_eof()
        return response

    def _forwarded(self, request: web.Request) -> CIMultiDict[str]:
        headers: CIMultiDict[str] = CIMultiDict()
        dropped = _NOT_PASSED_ON | {
            name.strip().lower() for name in request.headers.get("Connection", "").split(",")
        }
        for name, value in request.headers.items():
            lowered = name.lower()
            if lowered in dropped or lowered.startswith(("x-forwarded-", "grpc-metadata-")):
                continue
            if lowered == "cookie":
                kept = [part for part in value.split(";") if not part.strip().startswith("argocd.")]
                value = ";".join(kept).strip()
                if not value:
                    continue
            headers.add(name, value)
        headers["X-Forwarded-Host"] = request.host
        headers["X-Forwarded-Proto"] = request.scheme
        if request.remote:
            headers["X-Forwarded-For"] = request.remote.removeprefix("::ffff:")
        return headers

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, skip_auto_headers=("User-Agent",)
            )
        return self._session


async def _body(request: web.Request) -> bytes | None:
    """The body; None when it is larger than anything Dex wants to read."""
    if (request.content_length or 0) > _LARGEST:
        return None
    found = bytearray()
    async with asyncio.timeout(_BODY_SECONDS):
        async for part in request.content.iter_any():
            found += part
            if len(found) > _LARGEST:
                return None
    return bytes(found)
