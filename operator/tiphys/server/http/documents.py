"""What is served beside the methods: health, the OpenAPI document and its page, downloads, extensions.

All of it is small and public; none of it names anything of the installation (api.md 1).
"""

import asyncio
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from tiphys.server.http.answers import JSON, plain
from tiphys.server.http.options import HttpOptions
from tiphys.server.http.reference import reference_page

_FRAMELESS: Mapping[str, str] = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
}

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}
MAX_EXTENSION_BYTES = 16 * 1024 * 1024


class Documents:
    """See the module; paths are below the root path."""

    def __init__(self, options: HttpOptions):
        self._options = options
        self._swagger: bytes | None = None

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse | None:
        """The answer, or None when the path is none of ours."""
        if path == "/healthz":
            return await self.healthz(request)
        if path in ("/swagger.json", "/swagger-ui") and self._options.swagger is not None:
            return self._reference(path)
        if path == "/extensions.js":
            body = await asyncio.to_thread(_extensions, self._options.extensions)
            return web.Response(body=body, headers={"Content-Type": "application/javascript"})
        if path.startswith("/download/"):
            return _download(path.removeprefix("/download/"))
        return None

    async def healthz(self, request: web.Request) -> web.Response:
        """200 ``ok``, or 503 with nothing to read."""
        full = request.rel_url.query.get("full", "").lower() in ("1", "t", "true")
        if await self._options.health(full):
            return web.Response(status=503)
        return web.Response(text="ok\n", headers={"Content-Type": "text/plain; charset=utf-8"})

    def _reference(self, path: str) -> web.Response:
        if path == "/swagger-ui":
            body = reference_page("swagger.json").encode()
            return web.Response(body=body, headers={"Content-Type": "text/html; charset=utf-8", **_FRAMELESS})
        if self._swagger is None:
            assert self._options.swagger is not None
            self._swagger = self._options.swagger()
        return web.Response(body=self._swagger, headers={"Content-Type": JSON, **_FRAMELESS})


def _download(name: str) -> web.StreamResponse:
    """The published command line, where it is installed beside us."""
    machine = MACHINES.get(platform.machine(), platform.machine())
    program = shutil.which("argocd")
    if program is None or name not in ("argocd-linux", f"argocd-linux-{machine}"):
        return plain(404, "404 page not found")
    return web.FileResponse(program, headers={"Content-Type": "application/octet-stream"})


def _extensions(folder: Path | None) -> bytes:
    """All files ``extension*.js`` below the folder, in the order of their names; each in its own lines."""
    if folder is None or not folder.is_dir():
        return b""
    found, size = [], 0
    for file in sorted(folder.rglob("extension*.js")):
        if not file.is_file():
            continue
        text = file.read_bytes()
        size += len(text)
        if size > MAX_EXTENSION_BYTES:
            break
        found.append(text)
    return b"".join(text + b"\n" for text in found)
