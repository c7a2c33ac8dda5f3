"""The cookie that holds a session's token, cut into chunks where it is long (api.md 11 "Cookies").

Browsers keep at most about 4 KB for a cookie, and tokens with many groups are longer: the first cookie
says how many chunks there are (``3:<part>``), ``argocd.token-1``… hold the others. Used for logins, for
renewed tokens, for SSO and for logging out. Pure: tokens in, values of ``Set-Cookie`` out.
"""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from tiphys.access.authenticator import STATE_COOKIE

TOKEN_COOKIE = "argocd.token"
MAX_COOKIE_BYTES = 4093
"""Of a whole cookie, attributes included."""


class TooManyCookies(ValueError):
    """A token needs more chunks than are allowed."""


def attributes(base_href: str, *, secure: bool) -> str:
    """What follows a cookie's value: the path of the UI, and who may read it."""
    return f"path=/{base_href.strip('/')}; SameSite=lax; httpOnly" + ("; Secure" if secure else "")


def token_cookies(
    token: str, base_href: str, *, secure: bool, max_chunks: int = 20, name: str = TOKEN_COOKIE
) -> list[str]:
    """The values of ``Set-Cookie`` for a token; session cookies without an expiry.

    Args:
        base_href: path of the UI; ``/`` or ``""`` is the root.
        secure: whether browsers keep the cookie to TLS.
        max_chunks: ``ARGOCD_MAX_COOKIE_NUMBER``.
        name: of the first cookie (``access.authenticator.STATE_COOKIE`` for what SSO keeps).

    Raises:
        TooManyCookies: with both numbers.
    """
    flags = attributes(base_href, secure=secure)
    whole = f"{name}={token}; {flags}"
    if len(whole.encode()) <= MAX_COOKIE_BYTES:
        return [whole]
    # the longest name and the count in front of the first value are kept free in every chunk
    room = MAX_COOKIE_BYTES - len(f"{name}-{max_chunks}=; {flags}".encode()) - len(f"{max_chunks}:")
    parts = [token[start : start + room] for start in range(0, len(token), room)]
    if len(parts) > max_chunks:
        raise TooManyCookies(
            f"the authentication token is {len(token)} characters long and requires {len(parts)} cookies "
            f"but the max number of cookies is {max_chunks}"
        )
    first = f"{name}={len(parts)}:{parts[0]}; {flags}"
    return [first, *(f"{name}-{n}={part}; {flags}" for n, part in enumerate(parts[1:], 1))]


def token_of(cookies: Mapping[str, str]) -> str:
    """The token out of cookies by name, or ``""`` when there is none or a chunk is missing."""
    first = cookies.get(TOKEN_COOKIE, "")
    count, colon, part = first.partition(":")
    if not colon:
        return first
    if not count.isascii() or not count.isdecimal() or len(count) > 3:
        return ""
    rest = [cookies.get(f"{TOKEN_COOKIE}-{n}") for n in range(1, int(count))]
    return "" if None in rest else part + "".join(each for each in rest if each is not None)


def cookies_of(header: str) -> dict[str, str]:
    """Name → value of a ``Cookie`` header; what cannot be read is left out."""
    found: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and name:
            found.setdefault(name, value.strip('"'))
    return found


def cleared_cookies(names: list[str], base_href: str) -> list[str]:
    """The values of ``Set-Cookie`` that make a browser forget the token's cookies among ``names``."""
    path = f"/{base_href.strip('/')}"
    return [
        f"{name}=; path={path}; Max-Age=0; SameSite=lax; httpOnly"
        for name in names
        if name.startswith(TOKEN_COOKIE) and _is_name(name)
    ]


def _is_name(name: str) -> bool:
    try:
        SimpleCookie({name: ""})
    except CookieError:
        return False
    return True


def session_cookies(token: str, state: str, href: str, *, secure: bool, max_chunks: int) -> list[str]:
    """``Set-Cookie`` values of a session's token and, where there is one, its sealed state.

    Raises TooManyCookies.
    """
    named = {TOKEN_COOKIE: token} | ({STATE_COOKIE: state} if state else {})
    return [
        cookie
        for name, value in named.items()
        for cookie in token_cookies(value, href, secure=secure, max_chunks=max_chunks, name=name)
    ]
