"""What a method of a service is, and how a service declares its methods.

A service is a class with ``package``, ``service`` and methods marked :func:`rpc`; types and streaming
are read from the signature, so a method is defined in one place for every transport::

    class VersionService:
        package, service = "version", "VersionService"

        @rpc("Version", Route("GET", "/api/version"), tolerant=True)
        async def version(self, call: Call, request: Empty) -> VersionMessage: ...

An ``async def`` that returns a message is unary; one that returns ``AsyncIterator[message]`` (an
asynchronous generator) streams; a request of type ``AsyncIterator[message]`` is a client stream.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Route(msgspec.Struct, frozen=True):
    """A REST binding: verb, path template (``{name}``, ``{a.b}``, ``{rest=**}``), body.

    ``body``: ``""`` none, ``"*"`` the whole request, else the JSON name of the field that is the body.
    """

    verb: str
    path: str
    body: str = ""


class Encoded(msgspec.Struct, frozen=True):
    """An answer that is encoded already (a list joined out of fragments, an event told to many).

    Attributes:
        json: the JSON text; a list may have its newline at the end already (one copy less).
        proto: makes the protobuf bytes; only one of both is ever asked for.
        subject: name of the object an event is about (equal events in a row are sent once, api.md 3).
        select: makes the JSON text of only some ``fields`` (api.md 3), cheaper than filtering ``json``;
            None: filter ``json``.
        pieces: the parts that ``json`` joins; None where the answer is small. What can write them one after
            the other needs no room for the whole.
        etag: names this state of the answer (without quotes), or ``""``. A GET whose sender has it
            already (``If-None-Match``) is answered 304, and no text is made.
    """

    json: Callable[[], bytes]
    proto: Callable[[], bytes]
    subject: str = ""
    select: Callable[[Sequence[str]], bytes] | None = None
    pieces: Callable[[], Sequence[bytes]] | None = None
    etag: str = ""


class Method(msgspec.Struct, frozen=True):
    """One method of one service, bound to its implementation.

    Attributes:
        tolerant: callers whose credentials are missing or bad are let in as nobody (api.md 11).
        deprecated: shares its REST route with a successor.
        quiet: its payload holds secrets and is never logged (api.md 2).
    """

    package: str
    service: str
    name: str
    request: type[msgspec.Struct]
    response: type[msgspec.Struct]
    handler: Callable[..., Any]
    routes: tuple[Route, ...] = ()
    client_streaming: bool = False
    server_streaming: bool = False
    tolerant: bool = False
    deprecated: bool = False
    quiet: bool = False

    @property
    def path(self) -> str:
        """The gRPC path: ``/version.VersionService/Version``."""
        return f"/{self.package}.{self.service}/{self.name}"


class _Declared(msgspec.Struct, frozen=True):
    name: str
    routes: tuple[Route, ...]
    tolerant: bool
    deprecated: bool
    quiet: bool


def rpc(
    name: str, *routes: Route, tolerant: bool = False, deprecated: bool = False, quiet: bool = False
) -> Callable[[F], F]:
    """Declare a method of a service; see :class:`Method`."""

    def mark(function: F) -> F:
        function.__dict__.setdefault("__rpc__", []).append(
            _Declared(name, routes, tolerant, deprecated, quiet)
        )
        return function

    return mark


def methods_of(service: Any) -> Iterator[Method]:
    """All methods that a service object declares, in the order of their definition.

    Raises:
        TypeError: a signature says no message types.
    """
    for attribute in vars(type(service)):
        function = getattr(type(service), attribute)
        for declared in getattr(function, "__rpc__", ()):
            hints = get_type_hints(function)
            request, client_streaming = _message(hints.get("request"))
            response, server_streaming = _message(hints.get("return"))
            yield Method(
                package=service.package,
                service=service.service,
                name=declared.name,
                request=request,
                response=response,
                handler=getattr(service, attribute),
                routes=declared.routes,
                client_streaming=client_streaming,
                server_streaming=server_streaming,
                tolerant=declared.tolerant,
                deprecated=declared.deprecated,
                quiet=declared.quiet,
            )


def _message(hint: Any) -> tuple[type[msgspec.Struct], bool]:
    streaming = get_origin(hint) is not None and issubclass(get_origin(hint) or object, AsyncIterator)
    inner = get_args(hint)[0] if streaming else hint
    choices = [
        choice
        for choice in (get_args(inner) or (inner,))
        if isinstance(choice, type) and issubclass(choice, msgspec.Struct) and choice is not Encoded
    ]
    if len(choices) != 1:
        raise TypeError(f"{hint!r} names no message")
    return choices[0], streaming
