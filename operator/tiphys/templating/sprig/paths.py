"""Paths and URLs."""

import posixpath
from collections.abc import Mapping
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import MAP, Function, kind_of
from tiphys.templating.sprig.urls import Url, parse_url


def clean(path: str) -> str:
    """The shortest equal path."""
    if not path:
        return "."
    found = posixpath.normpath(path)
    return found[1:] if found.startswith("//") else found


def base(path: str) -> str:
    """The last element."""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def directory(path: str) -> str:
    """All but the last element."""
    head, slash, _ = path.rpartition("/")
    return clean(head + slash)


def extension(path: str) -> str:
    """From the last dot of the last element on."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot >= 0 else ""


_URL_PARTS = ("scheme", "host", "hostname", "path", "query", "opaque", "fragment", "userinfo")


def parse(text: str) -> dict[str, Any]:
    """``urlParse``: the parts of a URL."""
    try:
        url = parse_url(text)
    except ValueError as error:
        raise GoError(f"unable to parse url: {error}") from None
    return {name: getattr(url, name) for name in _URL_PARTS}


def join(parts: Any) -> str:
    """``urlJoin``: a URL of parts."""
    given = {name: _part(parts or {}, name) for name in _URL_PARTS if name != "hostname"}
    if given["userinfo"]:
        try:
            given["userinfo"] = parse_url(f"proto://{given['userinfo']}@host").userinfo
        except ValueError as error:
            raise GoError(f"unable to parse userinfo in dict: {error}") from None
    return str(Url(**given))


def _part(parts: Mapping[str, Any], name: str) -> str:
    value = parts.get(name, "")
    if not isinstance(value, str):
        raise GoError(f"unable to parse {name} key, must be of type string, but {kind_of(value)} found")
    return value


def functions() -> Mapping[str, Function]:
    """Their table."""
    one = ("string",)
    found = {
        "base": Function(one, base),
        "clean": Function(one, clean),
        "dir": Function(one, directory),
        "ext": Function(one, extension),
        "isAbs": Function(one, lambda path: path.startswith("/")),
    }
    same = {f"os{name[0].upper()}{name[1:]}": function for name, function in found.items()}
    return {
        **found,
        **same,
        "urlJoin": Function((MAP,), join),
        "urlParse": Function(one, parse),
    }
