"""Which method a path belongs to (api.md 1, 3 "Query parameters, paths, bodies").

Templates are compiled once into matchers per HTTP verb; a request is matched against its components in
the order of registration, and the first one wins. Templates of literals and single components (all but
one of the API) are found through a table keyed by the literals, so the cost does not grow with their
number; the outcome is the same, since positions of literals decide.

Pure: paths in, :class:`Found` or a status out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote_to_bytes

import msgspec

from tiphys.server.api.rpc import Method, Route

_RAW_PATHS = re.compile(r"/api/v1/(?:clusters|repositories|repocreds)/[^/]+|/settings/clusters/[^/]+")
"""Paths that are matched still escaped, so that ``%2F`` does not split a component."""

_PLAIN_IN_PATHS = "/$&+,:;=@-_.~"


class Found(msgspec.Struct, frozen=True):
    """A method, the binding that matched, and the values of its path fields by dotted name."""

    method: Method
    route: Route
    values: Mapping[str, str]


class Missing(msgspec.Struct, frozen=True):
    """No method: 404, or 405 when the path belongs to another verb."""

    status: int

    @property
    def text(self) -> str:
        """The body of the answer."""
        return "Not Found" if self.status == 404 else "Method Not Allowed"


class BadPath(ValueError):
    """A path whose escapes are broken or are no text."""


def decoded_path(raw: str) -> str:
    """The path with its escapes resolved once.

    Raises:
        BadPath: a ``%`` without two hexadecimal digits, or bytes that are no UTF-8.
    """
    if "%" not in raw:
        return raw
    bad = re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", raw)
    if bad is not None:
        raise BadPath(f'invalid URL escape "{bad[0]}"')
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadPath("the path is no UTF-8") from None


def routed_path(raw: str) -> str:
    """The path that templates are matched against: decoded, except where api.md 1 says raw.

    A path that is written as it would be by default counts as decoded there, too.

    Raises:
        BadPath: see :func:`decoded_path`.
    """
    decoded = decoded_path(raw)
    if decoded != raw and _RAW_PATHS.search(raw) and quote(decoded, safe=_PLAIN_IN_PATHS) != raw:
        return raw
    return decoded


class _Pattern(msgspec.Struct, frozen=True):
    """A compiled template: ``None`` stands for one component, ``...`` for all that remain."""

    order: int
    parts: tuple[str | None, ...]
    names: tuple[str, ...]
    takes_rest: bool
    method: Method
    route: Route

    def match(self, components: list[str]) -> Found | None:
        if self.takes_rest:
            if len(components) < len(self.parts):
                return None
        elif len(components) != len(self.parts):
            return None
        values = []
        for wanted, given in zip(self.parts, components, strict=False):
            if wanted is None:
                values.append(given)
            elif wanted != given:
                return None
        if self.takes_rest:
            values.append("/".join(components[len(self.parts) :]))
        return Found(self.method, self.route, dict(zip(self.names, values, strict=True)))


class RouteTable:
    """All REST bindings of the methods."""

    def __init__(self, methods: Iterable[Method]):
        self._by_verb: dict[str, dict[tuple[int, str], list[_Pattern]]] = {}
        self._open_ended: dict[str, list[_Pattern]] = {}
        for order, (method, route) in enumerate(_bindings(methods)):
            pattern = _compile(order, method, route)
            if pattern.takes_rest or (len(pattern.parts) > 2 and pattern.parts[2] is None):
                self._open_ended.setdefault(route.verb, []).append(pattern)
            else:
                group = self._by_verb.setdefault(route.verb, {})
                group.setdefault(_place(pattern.parts), []).append(pattern)

    def find(self, verb: str, path: str) -> Found | Missing:
        """The method for a verb and a routed path that begins with ``/``."""
        components = path[1:].split("/")
        if ":" in components[-1]:
            return Missing(404)  # taken for a verb of the path, and no template has one
        found = self._match(verb, components)
        if found is not None:
            return found
        others = (self._match(other, components) for other in self._verbs() if other != verb)
        return Missing(404) if all(other is None for other in others) else Missing(405)

    def _verbs(self) -> set[str]:
        return {*self._by_verb, *self._open_ended}

    def _match(self, verb: str, components: list[str]) -> Found | None:
        found, order = None, 0
        for pattern in self._by_verb.get(verb, {}).get(_place(components), ()):
            found, order = pattern.match(components), pattern.order
            if found is not None:
                break
        for pattern in self._open_ended.get(verb, ()):
            if found is None or pattern.order < order:
                earlier = pattern.match(components)
                if earlier is not None:
                    return earlier
        return found


def _bindings(methods: Iterable[Method]) -> Iterator[tuple[Method, Route]]:
    for method in methods:
        for route in method.routes:
            yield method, route


def _place(parts: list[str] | tuple[str | None, ...]) -> tuple[int, str]:
    """What groups templates: how many components, and the third (``/api/v1/<kind>``)."""
    return len(parts), (parts[2] or "") if len(parts) > 2 else ""


def _compile(order: int, method: Method, route: Route) -> _Pattern:
    parts: list[str | None] = []
    names: list[str] = []
    takes_rest = False
    for part in route.path.removeprefix("/").split("/"):
        if takes_rest:
            raise ValueError(f"{route.path}: nothing may follow a field that takes the rest")
        if not part.startswith("{"):
            parts.append(part)
            continue
        if not part.endswith("}"):
            raise ValueError(f"{route.path}: {part} is not understood")
        name, _, shape = part[1:-1].partition("=")
        names.append(name)
        if shape == "**":
            takes_rest = True
        elif shape in ("", "*"):
            parts.append(None)
        else:
            raise ValueError(f"{route.path}: {part} is not understood")
    return _Pattern(order, tuple(parts), tuple(names), takes_rest, method, route)
