"""The extensions that ``extension.config`` and ``extension.config.<name>`` of ``argocd-cm`` describe.

    texts ──YAML──▶ trees ──$ references──▶ :class:`Extension` by name

Whatever is wrong with one of them makes all of them unreadable (:class:`SettingError`, with the key and the
cure, never a value): the caller keeps what was good. A service is its scheme and host; as in the reference,
a path in its URL means nothing. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiphys.server.extensions.headers import is_settable
from tiphys.settings.problems import SettingError, load_yaml, mapping, sequence, type_name
from tiphys.settings.references import References
from tiphys.settings.secrecy import redacted
from tiphys.settings.values import duration

MAIN = "extension.config"
PREFIX = f"{MAIN}."

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Header(msgspec.Struct, frozen=True):
    """A header that every request to a service gets; its value may be a secret."""

    name: str
    value: str

    def __repr__(self) -> str:
        return redacted(self, frozenset({"value"}))


class Transport(msgspec.Struct, frozen=True):
    """How an extension's services are reached; times in seconds. ``max_idle`` connections are kept open
    without a request, each as long as ``idle_timeout``; negative: any number."""

    connection_timeout: float = 2.0
    keep_alive: float = 15.0
    idle_timeout: float = 60.0
    max_idle: int = 30


class Service(msgspec.Struct, frozen=True):
    """One backend: ``origin`` is ``scheme://host[:port]``; the cluster's name and server say for which
    destinations it is."""

    origin: str
    headers: tuple[Header, ...] = ()
    cluster_name: str = ""
    cluster_server: str = ""


class Extension(msgspec.Struct, frozen=True):
    """An extension, as ``/extensions/<name>`` calls it."""

    name: str
    services: tuple[Service, ...]
    transport: Transport = Transport()

    def service_for(self, name: str, server: str) -> Service | None:
        """The service for an Application's destination, as the Application writes it: the only one there
        is, else the one whose cluster has this name or this server."""
        if len(self.services) == 1:
            return self.services[0]
        for service in self.services:
            by_name = bool(name) and not server and service.cluster_name == name
            if by_name or (bool(server) and not name and service.cluster_server == server):
                return service
        return None


class Extensions(msgspec.Struct, frozen=True):
    """All that is configured; ``unresolved`` are references that name no Secret (their text is used)."""

    by_name: Mapping[str, Extension] = {}
    unresolved: tuple[str, ...] = ()


def read_extensions(raw: Mapping[str, str], references: References) -> Extensions:
    """The extensions of ``argocd-cm``.

    Raises:
        SettingError: any of them is wrong.
    """
    found: dict[str, Extension] = {}
    unresolved: list[str] = []
    for key, name, tree in _trees(raw):
        with _of(key):
            unresolved.extend(references.unresolved(tree))
            tree = mapping(references.resolve_all(tree))
            for extension in _main(tree) if not name else (_extension(name, tree),):
                if extension.name in found:
                    raise ValueError(f'duplicated extension found in the configs for "{extension.name}"')
                found[extension.name] = extension
    return Extensions(found, tuple(sorted(set(unresolved))))


def _trees(raw: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Key, name of the extension (``""``: the tree names them itself) and decoded YAML."""
    for key in sorted(raw):
        if key == MAIN or key.startswith(PREFIX):
            with _of(key):
                tree = load_yaml(raw[key])
            yield key, key.removeprefix(MAIN).removeprefix("."), tree


class _of:
    """A ``ValueError`` inside is one of this key."""

    def __init__(self, key: str):
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ValueError) and not isinstance(error, SettingError):
            raise SettingError(self._key, str(error)) from None


def _main(tree: Mapping[str, Any]) -> Iterator[Extension]:
    for each in sequence(tree.get("extensions")):
        entry = mapping(each)
        yield _extension(_text(entry, "name", "extensions.name"), mapping(entry.get("backend")))


def _extension(name: str, backend: Mapping[str, Any]) -> Extension:
    if not name:
        raise ValueError("extensions.name must be configured")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "invalid extensions.name: only alphanumeric characters, hyphens, and underscores are allowed"
        )
    entries = [mapping(each) for each in sequence(backend.get("services"))]
    if not entries:
        raise ValueError(f"no backend service configured for extension {name}")
    services = tuple(_service(entry, alone=len(entries) == 1) for entry in entries)
    if len(services) > 1:
        _refuse_twins(name, services)
    return Extension(name, services, _transport(backend))


def _service(entry: Mapping[str, Any], *, alone: bool) -> Service:
    url = _text(entry, "url", "extensions.backend.services.url")
    if not url:
        raise ValueError("extensions.backend.services.url must be configured")
    given = entry.get("cluster")
    if given is None and not alone:
        raise ValueError(
            "extensions.backend.services.cluster must be configured when defining more than one service "
            "per extension"
        )
    cluster = mapping(given)
    name, server = (_text(cluster, each, f"cluster.{each}") for each in ("name", "server"))
    if given is not None and not (name or server):
        raise ValueError(
            "cluster.name or cluster.server must be defined when cluster is provided in the configuration"
        )
    headers = tuple(_header(mapping(each)) for each in sequence(entry.get("headers")))
    return Service(_origin(url), tuple(each for each in headers if is_settable(each.name)), name, server)


def _origin(url: str) -> str:
    """Scheme and host of a service.

    Raises:
        ValueError: it has none, or another scheme; without the URL, which may be a secret.
    """
    what = "extensions.backend.services.url must be an http or https URL with a host"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(what) from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]|[^\x21-\x7e]", parts.netloc):
        raise ValueError(what)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _header(entry: Mapping[str, Any]) -> Header:
    header = Header(_text(entry, "name", "header.name"), _text(entry, "value", "header.value"))
    for what, text in (("name", header.name), ("value", header.value)):
        if not text:
            raise ValueError(
                f"header.{what} must be defined when providing service headers in the configuration"
            )
    if not _TOKEN.fullmatch(header.name):
        raise ValueError("header.name is not the name of a header")
    if _UNPRINTABLE.search(header.value):
        raise ValueError(f"the value of the header {header.name} has a line break or another control in it")
    return header


def _refuse_twins(name: str, services: tuple[Service, ...]) -> None:
    """No destination may mean two services."""
    for kind in ("cluster_name", "cluster_server"):
        given = [each for each in (getattr(service, kind) for service in services) if each]
        for each in given:
            if given.count(each) > 1:
                raise ValueError(
                    f"duplicated proxy configuration found for extension {name}: "
                    f"more than one service has {kind.replace('_', '.')} {each}"
                )


def _transport(backend: Mapping[str, Any]) -> Transport:
    """What is not set, or zero, has its default."""
    fallback = Transport()
    idle = backend.get("maxIdleConnections") or fallback.max_idle
    if isinstance(idle, bool) or not isinstance(idle, int):
        raise ValueError(f"maxIdleConnections must be a number, not {type_name(idle)}")
    return Transport(
        _seconds(backend, "connectionTimeout") or fallback.connection_timeout,
        _seconds(backend, "keepAlive") or fallback.keep_alive,
        _seconds(backend, "idleConnectionTimeout") or fallback.idle_timeout,
        idle,
    )


def _seconds(backend: Mapping[str, Any], key: str) -> float:
    """A duration: Go's spelling, or a number of nanoseconds, which is how Go counts them."""
    value = backend.get(key)
    if value is None:
        return 0.0
    try:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"expected a duration, not {type_name(value)}")
        seconds = value / 1e9 if isinstance(value, int) else duration(value)
        if seconds < 0:
            raise ValueError("must not be negative")
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    return seconds


def _text(entry: Mapping[str, Any], key: str, what: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise ValueError(f"{what} must be a text, not {type_name(value)}")
    return str(value).lower() if isinstance(value, bool) else str(value)
