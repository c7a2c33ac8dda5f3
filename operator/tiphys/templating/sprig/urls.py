"""URLs as Go parses and writes them (``net/url``)."""

import re
from urllib.parse import quote, unquote

import msgspec

from tiphys.templating.gotemplate.quoting import quote as go_quote
from tiphys.templating.gotemplate.values import to_bytes

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_PATH = "$&+,/:;=@-_.~"
_FRAGMENT = "$&+,/:;=?@!()*-_.~"
_USER = "$&+,;=-_.~"


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a URL; ``path`` and ``fragment`` decoded."""

    scheme: str = ""
    opaque: str = ""
    userinfo: str = ""
    host: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""

    @property
    def hostname(self) -> str:
        """The host without its port, an address without brackets."""
        if self.host.startswith("["):
            return self.host[1:].partition("]")[0]
        name, colon, port = self.host.rpartition(":")
        return name if colon and port.isdecimal() | (not port) else self.host

    def __str__(self) -> str:
        text = f"{self.scheme}:" if self.scheme else ""
        if self.opaque:
            text += self.opaque
        else:
            if (self.scheme or self.host or self.userinfo) and (self.host or self.path or self.userinfo):
                text += f"//{self.userinfo}@" if self.userinfo else "//"
                text += self.host
            path = quote(to_bytes(self.path), safe=_PATH) if self.path != "*" else "*"
            if path and path[0] != "/" and self.host:
                text += "/"
            if not text and ":" in path.partition("/")[0]:
                path = f"./{path}"
            text += path
        text += f"?{self.query}" if self.query else ""
        return text + (f"#{quote(to_bytes(self.fragment), safe=_FRAGMENT)}" if self.fragment else "")


def parse_url(text: str) -> Url:
    """A URL.

    Raises:
        ValueError: Go's text.
    """
    rest, _, fragment = text.partition("#")
    try:
        if any(char < " " or char == "\x7f" for char in text):
            raise ValueError("net/url: invalid control character in URL")
        return _parsed(rest, _decoded(fragment))
    except ValueError as error:
        raise ValueError(f"parse {go_quote(text)}: {error}") from None


def _decoded(text: str) -> str:
    wrong = _ESCAPE.search(text)
    if wrong:
        raise ValueError(f"invalid URL escape {go_quote(wrong.group())}")
    return unquote(text, errors="surrogateescape")


def _parsed(text: str, fragment: str) -> Url:
    if text == "*":
        return Url(path="*", fragment=fragment)
    scheme, rest = "", text
    head, colon, tail = text.partition(":")
    if colon and _SCHEME.fullmatch(head):
        scheme, rest = head.lower(), tail
    elif text.startswith(":"):
        raise ValueError("missing protocol scheme")
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme=scheme, opaque=rest, query=query, fragment=fragment)
        if ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    userinfo = host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        userinfo, at, host = authority.rpartition("@")
        _check_host(host)
        host = _decoded(host)
        if at:
            userinfo = ":".join(
                quote(to_bytes(_decoded(part)), safe=_USER) for part in userinfo.split(":", 1)
            )
    return Url(
        scheme=scheme, userinfo=userinfo, host=host, path=_decoded(rest), query=query, fragment=fragment
    )


def _check_host(host: str) -> None:
    if host.startswith("["):
        inner, bracket, port = host[1:].partition("]")
        if not bracket:
            raise ValueError("missing ']' in host")
    else:
        inner, colon, port = host.partition(":")
        port = colon + port
    if port and not (port[0] == ":" and (not port[1:] or port[1:].isdecimal())):
        raise ValueError(f"invalid port {go_quote(port)} after host")
    wrong = re.search(r"[ \"<>\\^`{|}]", inner)
    if wrong:
        raise ValueError(f"invalid character {go_quote(wrong.group())} in host name")
