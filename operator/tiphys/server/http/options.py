"""What the HTTP side of the API is told by the composition root."""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web

from tiphys.server.http.badge import BadgeSource
from tiphys.settings.params import Params

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES = 16 * 1024 * 1024
BODY_SECONDS = 60.0
WRITE_SECONDS = 60.0
KEEPALIVE_SECONDS = 15.0


def _always() -> bool:
    return True


class ExtraRoute(msgspec.Struct, frozen=True):
    """A route beside the methods (SSO, logout, webhook, terminal, extensions).

    Attributes:
        path: exact path below the root path; with ``prefix`` the beginning of one (``/api/dex/``).
        handler: gets every HTTP method.
        enabled: asked for each request; where it says no, the path is as if it did not exist.
    """

    path: str
    handler: Handler
    prefix: bool = False
    enabled: Callable[[], bool] = _always


class Health(Protocol):
    """Whether the server may get work."""

    def __call__(self, full: bool) -> Awaitable[str]:
        """``""``, or what is wrong (never shown to clients); ``full`` looks at clusters, too."""


async def _well(full: bool) -> str:
    return ""


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """See the module; parameters are those of api.md 15.

    Attributes:
        base_href: where the UI says it lives; ``root_path``, when set, decides.
        root_path: without slashes at its ends.
        secure_cookies: TLS is on.
        content_types: allowed for anything but GET; empty: any.
        swagger: makes the OpenAPI document; None: neither it nor its page is served.
        badge: what the badge shows; None: always Unknown.
        grpc_web: the handler of gRPC-web requests.
        extensions: folder of ``extension*.js`` files.
        body_seconds: longest time for the body of a request to arrive.
        write_seconds: longest time that a client of a stream may leave an answer unread.
        keepalive_seconds: between comments in a stream of server-sent events.
    """

    base_href: str = "/"
    root_path: str = ""
    static_assets: Path | None = None
    extensions: Path | None = None
    gzip: bool = True
    content_types: tuple[str, ...] = ("application/json",)
    x_frame_options: str = "sameorigin"
    content_security_policy: str = "frame-ancestors 'self';"
    secure_cookies: bool = True
    max_cookies: int = 20
    swagger: Callable[[], bytes] | None = None
    badge: BadgeSource | None = None
    grpc_web: Handler | None = None
    extra_routes: Sequence[ExtraRoute] = ()
    health: Health = _well
    max_body_bytes: int = MAX_BODY_BYTES
    body_seconds: float = BODY_SECONDS
    write_seconds: float = WRITE_SECONDS
    keepalive_seconds: float = KEEPALIVE_SECONDS

    @property
    def href(self) -> str:
        """The base of the UI with slashes at both ends."""
        path = (self.root_path or self.base_href).strip("/")
        return f"/{path}/" if path else "/"


def options_of(params: Params) -> HttpOptions:
    """The part of the options that parameters decide."""
    return HttpOptions(
        base_href=params.server_base_href,
        root_path=params.server_root_path.strip("/"),
        static_assets=Path(params.server_static_assets) if params.server_static_assets else None,
        extensions=Path(tempfile.gettempdir()) / "extensions",
        gzip=params.server_enable_gzip,
        content_types=tuple(params.server_api_content_types),
        x_frame_options=params.server_x_frame_options,
        content_security_policy=params.server_content_security_policy,
        secure_cookies=not params.server_insecure,
        max_cookies=params.server_max_cookie_number,
    )
