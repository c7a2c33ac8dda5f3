"""The files of the UI (api.md 1, last rows of the table): a folder given by ``--staticassets``.

A path that is no file and comes from a browser's address bar gets ``index.html``, whose base href says
where the UI lives. Nothing outside of the folder is ever read: names with ``..``, NUL or a backslash are
no files, and links are followed only inside. Without a folder there is no UI: browsers get a short page
that says so.

Pure but for reading files, which happens in a thread.
"""

import asyncio
import mimetypes
import re
from pathlib import Path

import msgspec
from aiohttp import web

from tiphys.server.http.answers import plain
from tiphys.server.http.options import HttpOptions
from tiphys.server.http.routing import BadPath, decoded_path

_BASE = re.compile(rb'<base href="(?:/)?"\s*/?>')
_HASHED = re.compile(r"main\.[0-9a-f]{8,64}\.js")
_NO_CACHE = {
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    "Cache-Control": "no-cache, private, max-age=0",
    "Pragma": "no-cache",
    "X-Accel-Expires": "0",
}
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}

LANDING = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Tiphys</title><base href="/"></head>
<body><h1>Tiphys</h1>
<p>The API answers here. No web interface is installed: <code>server.staticassets</code> names its folder.</p>
<p><a href="swagger-ui">Reference of the API</a></p></body></html>
"""


class _File(msgspec.Struct, frozen=True):
    body: bytes
    modified: float


class StaticFiles:
    """See the module."""

    def __init__(self, options: HttpOptions):
        self._options = options

    async def handle(self, request: web.Request, raw_path: str) -> web.StreamResponse:
        """The file of a path below the root path, the page of the UI, or 404."""
        answer = await self._answer(request, raw_path)
        answer.headers["X-Frame-Options"] = self._options.x_frame_options
        if not self._options.x_frame_options:
            del answer.headers["X-Frame-Options"]
        if self._options.content_security_policy:
            answer.headers["Content-Security-Policy"] = self._options.content_security_policy
        answer.headers["X-XSS-Protection"] = "1"
        answer.headers["X-Robots-Tag"] = "noindex, nofollow"
        return answer

    async def _answer(self, request: web.Request, raw_path: str) -> web.Response:
        name = _file_name(raw_path)
        file = await self._read(name) if name else None
        if file is None or name == "index.html":
            if request.method in ("GET", "HEAD") and _wants_page(request):
                return await self._page()
            if file is None:
                return plain(404, "404 page not found")
        headers = {"Content-Type": _content_type(name)}
        if _HASHED.fullmatch(name):
            headers |= _IMMUTABLE
        response = web.Response(body=file.body, headers=headers)
        response.last_modified = file.modified
        since = request.if_modified_since
        if since is not None and int(file.modified) <= since.timestamp():
            response.set_status(304)
            response.body = None
        return response

    async def _page(self) -> web.Response:
        file = await self._read("index.html")
        body = with_base_href(LANDING if file is None else file.body, self._options.href)
        return web.Response(body=body, headers={"Content-Type": "text/html; charset=utf-8", **_NO_CACHE})

    async def _read(self, name: str) -> _File | None:
        folder = self._options.static_assets
        return None if folder is None else await asyncio.to_thread(_read_inside, folder, name)


def with_base_href(page: bytes, href: str) -> bytes:
    """The page with the place of the UI in its ``<base>``; texts of it cannot leave the attribute."""
    quoted = href.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return _BASE.sub(lambda _: f'<base href="{quoted}">'.encode(), page, count=1)


def _wants_page(request: web.Request) -> bool:
    accepted = [each.strip() for each in request.headers.get("Accept", "").split(",")]
    return "text/html" in accepted or "html" in accepted


def _file_name(raw_path: str) -> str:
    """The name below the folder, ``""`` for what cannot be one."""
    try:
        path = decoded_path(raw_path).removeprefix("/")
    except BadPath:
        return ""
    if "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        return ""
    return path


def _read_inside(folder: Path, name: str) -> _File | None:
    try:
        root = folder.resolve(strict=True)
        file = (root / name).resolve(strict=True)
        if not file.is_relative_to(root) or not file.is_file():
            return None
        return _File(file.read_bytes(), file.stat().st_mtime)
    except (OSError, RuntimeError):
        return None


def _content_type(name: str) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
