"""``/auth/login``, ``/auth/callback`` and ``/auth/logout`` (api.md 11, 12).

Login and callback exist only while SSO is configured; they follow the settings without a restart.
Whatever goes wrong is told in words; tokens, codes and states never are.
"""

import html
import json
from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from tiphys.access.access import Access
from tiphys.access.authenticator import STATE_COOKIE, join_chunks
from tiphys.access.errors import AccessError, InvalidToken
from tiphys.access.identity import LOCAL_ISSUER
from tiphys.access.oidc.config import base_urls
from tiphys.access.oidc.flow import (
    BAD_RETURN,
    CALLBACK,
    STATE_SECONDS,
    BadState,
    base_url_for,
    error_text,
    is_allowed_return,
    logout_url,
)
from tiphys.access.oidc.provider import ProviderError
from tiphys.access.oidc.sso import NoIdToken, SsoUnavailable
from tiphys.access.tokens import unverified_issuer
from tiphys.kube.errors import KubeError
from tiphys.server.http.cookies import (
    TOKEN_COOKIE,
    TooManyCookies,
    cleared_cookies,
    cookies_of,
    token_cookies,
)
from tiphys.server.http.options import ExtraRoute
from tiphys.server.sso.dex_proxy import DexProxy
from tiphys.settings.model import Settings
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

LOGIN, LOGOUT = "/auth/login", "/auth/logout"
OAUTH_STATE = "argocd.oauthstate"

NO_COOKIE = "Failed to retrieve ArgoCD auth token: failed to retrieve cookie argocd.token"

_LONGEST_RETURN = 2048


class SsoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages are told of the port.

    Attributes:
        href: base of the UI with slashes at both ends (``HttpOptions.href``).
        root_path: without slashes at its ends.
        secure: cookies of plain logins are kept to TLS.
        max_cookies: ``ARGOCD_MAX_COOKIE_NUMBER``.
    """

    href: str = "/"
    root_path: str = ""
    secure: bool = True
    max_cookies: int = 20


class SsoRoutes:
    """See the module; ``close`` when the server ends."""

    def __init__(self, access: Access, settings: SettingsStore, options: SsoOptions):
        self._access = access
        self._settings = settings
        self._options = options
        self._dex = DexProxy(settings, options.href)

    def routes(self) -> Sequence[ExtraRoute]:
        """For ``build_app``'s ``extra_routes``."""
        return (
            ExtraRoute(LOGIN, self.login, enabled=self._is_on),
            ExtraRoute(CALLBACK, self.callback, enabled=self._is_on),
            ExtraRoute(LOGOUT, self.logout),
            ExtraRoute("/api/dex/", self._dex.handle, prefix=True, enabled=self._is_on),
        )

    async def close(self) -> None:
        """Close connections."""
        await self._dex.close()

    def _is_on(self) -> bool:
        return self._access.sso.config is not None

    @property
    def _current(self) -> Settings:
        return self._settings.snapshot

    async def login(self, request: web.Request) -> web.StreamResponse:
        """303 to the identity provider, with the state of the login in a cookie."""
        sso = self._access.sso.config
        return_url = request.query.get("return_url", "")
        if sso is None or len(return_url) > _LONGEST_RETURN or not is_allowed_return(return_url, sso.urls):
            return _told(400, BAD_RETURN)
        redirect_uri = base_url_for(request.host, request.path, sso.urls) + CALLBACK
        try:
            begun = await self._access.sso.begin(return_url or self._options.href, redirect_uri)
        except (ProviderError, SsoUnavailable) as error:
            log.warning("an SSO login could not begin: %s", error)
            return _told(500, f"failed to ask the identity provider: {error}")
        except AccessError as error:
            return _told(500, str(error))
        response = _redirect(begun.url)
        response.headers.add(
            "Set-Cookie", self._state_cookie(begun.sealed, STATE_SECONDS, _is_https(sso.url))
        )
        return response

    async def callback(self, request: web.Request) -> web.StreamResponse:
        """The browser comes back: a session for a good code, a 303 to where it came from."""
        sso = self._access.sso.config
        if sso is None:
            return _told(404, "SSO is not configured")
        if problem := error_text(request.query):
            return _told(400, html.escape(problem))
        code, state = request.query.get("code", ""), request.query.get("state", "")
        if not code and not state:
            return self._fragment_page()
        cookies = _cookies(request)
        try:
            known = self._access.sso.returned(state, cookies.get(OAUTH_STATE, ""))
        except BadState as error:
            return _told(400, str(error))
        except AccessError as error:
            return _told(500, str(error))
        secure = _is_https(sso.url)
        if not code:
            return self._token_page(known.return_url, known.nonce, secure)
        redirect_uri = base_url_for(request.host, request.path, sso.urls) + CALLBACK
        try:
            login = await self._access.sso.finish(code, known, redirect_uri)
        except NoIdToken:
            return _told(500, "no id_token in token response")
        except ProviderError as error:
            return _told(500, f"failed to get token: {error}")
        except InvalidToken as error:
            return _told(500, str(error))
        response = _redirect(login.return_url)
        try:
            new = self._token_cookies(login.token, secure)
            if login.sealed:
                new += self._token_cookies(login.sealed, secure, STATE_COOKIE)
        except TooManyCookies as error:
            return _told(500, str(error))
        for cookie in [*self._leftovers(cookies, new), *new, self._state_cookie("", 0, secure)]:
            response.headers.add("Set-Cookie", cookie)
        return response

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """Forget the cookies, revoke the token, and go on to the provider's logout or home."""
        cookies = _cookies(request)
        token = join_chunks(cookies)
        if not token:
            return _told(400, NO_COOKIE)
        home = self._home(request)
        target = home
        try:
            target = await self._revoke(token, cookies) or home
        except InvalidToken:
            pass  # worth nothing already
        except KubeError as error:
            # It is worth nothing on this replica from now on, and stored with the next write.
            log.warning("a logout is not stored yet: %s", error)
        response = _redirect(target.replace("{{logoutRedirectURL}}", home))
        for cookie in cleared_cookies(list(cookies), self._options.href):
            response.headers.add("Set-Cookie", cookie)
        return response

    async def _revoke(self, token: str, cookies: Mapping[str, str]) -> str:
        """Revoke; where the provider wants people to go on (``""``: it does not say)."""
        if unverified_issuer(token) == LOCAL_ISSUER:
            local = self._access.sessions.check(token)
            await self._access.sessions.revoke(local.claims)
            return ""
        sso = self._access.sso.config
        template = sso.oidc.logout_url if sso is not None else ""
        await self._access.sso.revoke(token, join_chunks(cookies, STATE_COOKIE))
        return logout_url(template, token, "{{logoutRedirectURL}}") if template else ""

    def _home(self, request: web.Request) -> str:
        url, more = base_urls(self._current.raw)
        for base in (each for each in (url, *more) if each):
            if _host_of(base) == request.host:
                return base
        root = self._options.root_path
        return f"http://{request.host}/{root}" if root else f"http://{request.host}/"

    # Cookies and pages

    def _token_cookies(self, value: str, secure: bool, name: str = TOKEN_COOKIE) -> list[str]:
        return token_cookies(
            value, self._options.href, secure=secure, max_chunks=self._options.max_cookies, name=name
        )

    def _leftovers(self, cookies: Mapping[str, str], new: Sequence[str]) -> list[str]:
        """Cookies of an earlier, longer token that the new one does not replace."""
        replaced = {cookie.partition("=")[0] for cookie in new}
        return cleared_cookies([name for name in cookies if name not in replaced], self._options.href)

    def _state_cookie(self, sealed: str, seconds: int, secure: bool) -> str:
        path = f"/{self._options.href.strip('/')}"
        flags = "; Secure" if secure else ""
        return f"{OAUTH_STATE}={sealed}; path={path}; Max-Age={seconds}; SameSite=lax; httpOnly{flags}"

    def _fragment_page(self) -> web.Response:
        """The implicit flow: what comes back stands behind ``#``, which only the page can read. It calls
        again with the state, so that we can check it."""
        return _page(
            "const given = new URLSearchParams(location.hash.slice(1));"
            "const state = given.get('state');"
            "const to = location.pathname + '?state=' + encodeURIComponent(state) + location.hash;"
            "if (state) location.replace(to);"
            "else document.body.textContent = given.get('error') || 'the identity provider sent nothing';"
        )

    def _token_page(self, return_url: str, nonce: str, secure: bool) -> web.Response:
        """The state is good: the page keeps the token, if it was made for this login."""
        flags = f"; path=/{self._options.href.strip('/')}; SameSite=lax" + ("; Secure" if secure else "")
        return _page(
            f"const known = {_script({'nonce': nonce, 'to': return_url, 'flags': flags})};"
            "const token = new URLSearchParams(location.hash.slice(1)).get('id_token') || '';"
            "const part = (token.split('.')[1] || '').replaceAll('-', '+').replaceAll('_', '/');"
            "let nonce = ''; try { nonce = JSON.parse(atob(part)).nonce; } catch (error) {}"
            "if (nonce === known.nonce) {"
            f" document.cookie = '{TOKEN_COOKIE}=' + token + known.flags; location.replace(known.to);"
            "} else document.body.textContent = 'the token was made for another login';"
        )


def _cookies(request: web.Request) -> dict[str, str]:
    return cookies_of("; ".join(request.headers.getall("Cookie", [])))


def _redirect(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, headers=headers)


def _told(status: int, text: str) -> web.Response:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return web.Response(status=status, text=f"{text}\n", headers=headers)


def _page(script: str) -> web.Response:
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'none'",
    }
    text = f"<!doctype html><title>Login</title><body><script>{script}</script></body>\n"
    return web.Response(text=text, content_type="text/html", headers=headers)


def _script(value: Mapping[str, str]) -> str:
    """JSON that no HTML parser takes for an end of the script."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _is_https(url: str) -> bool:
    return url.startswith("https://")


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
