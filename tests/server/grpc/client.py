"""A client of the published API that knows it only from ``tests/wire/wire.json``, over gRPC (grpcio) and
gRPC-web (an HTTP client after api.md 5).

    async with Client("localhost:8080", token=…) as client:
        answer = await client.call("application.ApplicationService/Get", {"name": "guestbook"})
        async for event in client.stream("application.ApplicationService/Watch", {}): …

Requests and answers are dicts with the names of the protobuf fields;
int64 are numbers, fields that are not set are absent.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tiphys.server.api.failures import Code

WIRE = Path(__file__).parents[2] / "wire" / "wire.json"

_Proto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Proto, f"TYPE_{name.upper()}")
    for name in ("string", "bool", "bytes", "int32", "int64", "uint32", "uint64", "float", "double")
}
_LABELS = {
    "optional": _Proto.LABEL_OPTIONAL,
    "singular": _Proto.LABEL_OPTIONAL,
    "required": _Proto.LABEL_REQUIRED,
    "repeated": _Proto.LABEL_REPEATED,
    "map": _Proto.LABEL_REPEATED,
}


class CallFailed(Exception):
    """A call ended with another status than OK.

    Attributes:
        code: name as in the reference's texts: ``NotFound``.
        headers, trailers: metadata of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        trailers: Mapping[str, str] | None = None,
    ):
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.trailers = dict(trailers or {})


CODES = tuple(code.title for code in Code)


class Rpc(msgspec.Struct, frozen=True):
    """A method of wire.json."""

    path: str
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """Descriptors of everything in wire.json; one file, so that packages may name each other."""
    packages = json.loads(WIRE.read_bytes())["packages"]
    made = descriptor_pool.DescriptorPool()
    files = {name: _file(name, package) for name, package in packages.items()}
    done: set[str] = set()

    def add(name: str) -> None:
        if name in done:
            return
        done.add(name)
        for other in files[name].dependency:
            add(other.removesuffix(".proto"))
        made.Add(files[name])

    for name in files:
        add(name)
    return made


def _file(name: str, package: Mapping[str, Any]) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto", package=name, syntax=package.get("syntax", "proto2")
    )
    for message, fields in package["messages"].items():
        described = file.message_type.add(name=message)
        for field in fields:
            _field(file, described, field, f".{name}.{message}")
    return file


def _field(file: Any, described: Any, field: Mapping[str, Any], owner: str) -> None:
    made = described.field.add(name=field["name"], number=field["number"], label=_LABELS[field["label"]])
    kind: str = field["type"]
    if kind.startswith("map<"):
        key, value = (part.strip() for part in kind[4:-1].split(",", 1))
        words = field["name"].split("_")
        entry = described.nested_type.add(
            name="".join(word[:1].upper() + word[1:] for word in words) + "Entry"
        )
        entry.options.map_entry = True
        for number, part, part_kind in ((1, "key", key), (2, "value", value)):
            inner = entry.field.add(name=part, number=number, label=_Proto.LABEL_OPTIONAL)
            _type(file, inner, part_kind)
        made.type, made.type_name = _Proto.TYPE_MESSAGE, f"{owner}.{entry.name}"
    else:
        _type(file, made, kind)


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _type(file: Any, made: Any, kind: str) -> None:
    if kind in _SCALARS:
        made.type = _SCALARS[kind]
        return
    made.type, made.type_name = _Proto.TYPE_MESSAGE, f".{kind}"
    other = f"{kind.rpartition('.')[0]}.proto"
    if other != file.name and other not in file.dependency:
        file.dependency.append(other)


@cache
def rpcs() -> dict[str, Rpc]:
    """All methods: ``application.ApplicationService/Get`` → how to call it."""
    found = {}
    for name, package in json.loads(WIRE.read_bytes())["packages"].items():
        for service, methods in (package.get("services") or {}).items():
            for method in methods:
                path = f"{name}.{service}/{method['method']}"
                found[path] = Rpc(
                    path,
                    message_class(method["request"]),
                    message_class(method["response"]),
                    method["client_streaming"],
                    method["server_streaming"],
                )
    return found


def message_class(full_name: str) -> type[Message]:
    """The runtime's class of a message of wire.json."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


def message(kind: type[Message], content: Mapping[str, Any]) -> Message:
    """A message with this content; bytes fields take bytes or str."""
    made = kind()
    _fill(made, content)
    return made


def _fill(made: Any, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        field = made.DESCRIPTOR.fields_by_name[name]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            target = getattr(made, name)
            for key, item in value.items():
                if isinstance(item, Mapping):
                    _fill(target[key], item)
                else:
                    target[key] = item
        elif field.is_repeated:
            for item in value:
                if field.message_type is not None:
                    _fill(getattr(made, name).add(), item)
                else:
                    getattr(made, name).append(_scalar(field, item))
        elif field.message_type is not None:
            getattr(made, name).SetInParent()
            _fill(getattr(made, name), value)
        else:
            setattr(made, name, _scalar(field, value))


def _scalar(field: Any, value: Any) -> Any:
    return value.encode() if field.type == FieldDescriptor.TYPE_BYTES and isinstance(value, str) else value


def content(made: Any) -> dict[str, Any]:
    """What is set in a message; the inverse of :func:`message`."""
    found: dict[str, Any] = {}
    for field, value in made.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"].message_type
            found[field.name] = {key: content(item) if inner else item for key, item in value.items()}
        elif field.is_repeated:
            found[field.name] = [content(item) if field.message_type else item for item in value]
        else:
            found[field.name] = content(value) if field.message_type else value
    return found


class Client:
    """The client; ``web`` chooses gRPC-web, ``root`` its ``--grpc-web-root-path``.

    Attributes:
        headers, trailers: metadata of the last answer.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str = "",
        tls: bytes | None = None,
        server_name: str = "",
        web: bool = False,
        root: str = "",
        metadata: Iterable[tuple[str, str]] = (),
        options: Iterable[tuple[str, Any]] = (),
    ):
        """``tls``: PEM of the certificate to trust; None for plain text."""
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self._metadata = [("token", token), *metadata]
        self._channel: grpc.aio.Channel | None = None
        self._session: aiohttp.ClientSession | None = None
        self._connector: dict[str, Any] = {}
        if web:
            if tls is not None:
                context = ssl.create_default_context(cadata=tls.decode())
                context.check_hostname = False
                self._connector = {"ssl": context}
            scheme = "http" if tls is None else "https"
            self._base = f"{scheme}://{target}{'/' + root.strip('/') if root else ''}"
        else:
            limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), *options]
            if tls is None:
                self._channel = grpc.aio.insecure_channel(target, options=limits)
            else:
                if server_name:
                    limits.append(("grpc.ssl_target_name_override", server_name))
                credentials = grpc.ssl_channel_credentials(tls)
                self._channel = grpc.aio.secure_channel(target, credentials, options=limits)

    async def __aenter__(self) -> Client:
        if self._channel is None:
            connector = aiohttp.TCPConnector(**self._connector)
            self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close()
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        path: str,
        request: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        *,
        seconds: float = 30,
    ) -> dict[str, Any]:
        """A call with one answer; ``request`` is a list for client streams.

        Raises:
            CallFailed: the status is not OK.
        """
        answers = [answer async for answer in self.stream(path, request, seconds=seconds)]
        assert len(answers) == 1, f"{path}: {len(answers)} answers"
        return answers[0]

    async def stream(
        self,
        path: str,
        request: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        *,
        seconds: float = 30,
    ) -> AsyncIterator[dict[str, Any]]:
        """The answers of a call, one by one.

        Raises:
            CallFailed: the status is not OK; before or after answers.
        """
        rpc = rpcs()[path]
        requests = [request or {}] if request is None or isinstance(request, Mapping) else list(request)
        messages = [message(rpc.request, each) for each in requests]
        source = self._web(rpc, messages, seconds) if self._session else self._native(rpc, messages, seconds)
        async for answer in source:
            yield content(answer)

    async def _native(self, rpc: Rpc, messages: list[Message], seconds: float) -> AsyncIterator[Message]:
        assert self._channel is not None
        arguments = {
            "request_serializer": lambda made: made.SerializeToString(),
            "response_deserializer": rpc.response.FromString,
        }
        many_in, many_out = rpc.client_streaming, rpc.server_streaming
        kind = f"{'stream' if many_in else 'unary'}_{'stream' if many_out else 'unary'}"
        make = getattr(self._channel, kind)(f"/{rpc.path}", **arguments)
        call = make(iter(messages) if many_in else messages[0], metadata=self._metadata, timeout=seconds)
        try:
            if many_out:
                async for answer in call:
                    yield answer
            else:
                yield await call
            self.headers = _plain(await call.initial_metadata())
            self.trailers = _plain(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            self.headers = _plain(error.initial_metadata())
            self.trailers = _plain(error.trailing_metadata())
            raise CallFailed(
                CODES[error.code().value[0]], error.details() or "", self.headers, self.trailers
            ) from None
        finally:
            call.cancel()

    async def _web(self, rpc: Rpc, messages: list[Message], seconds: float) -> AsyncIterator[Message]:
        # The published client reads exactly one message (api.md 5).
        assert self._session is not None
        assert len(messages) == 1
        payload = messages[0].SerializeToString()
        headers = [("content-type", "application/grpc-web+proto"), *self._metadata]
        async with self._session.post(
            f"{self._base}/{rpc.path}",
            data=b"\0" + len(payload).to_bytes(4, "big") + payload,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as answer:
            self.headers = {key.lower(): value for key, value in answer.headers.items()}
            if answer.status != 200:
                text = f"POST {answer.url} failed with status code {answer.status}"
                raise CallFailed("Unknown", text, self.headers)
            code = int(answer.headers.get("Grpc-Status", "0"))
            if code:
                raise CallFailed(CODES[code], answer.headers.get("Grpc-Message", ""), self.headers)
            while True:
                try:
                    head = await answer.content.readexactly(5)
                    data = await answer.content.readexactly(int.from_bytes(head[1:], "big"))
                except asyncio.IncompleteReadError:
                    raise CallFailed("Unknown", "unexpected EOF", self.headers) from None
                if head[0] & 0x80:
                    lines = [line.split(": ", 1) for line in data.decode().split("\r\n") if line]
                    self.trailers = dict(lines)
                    return
                yield rpc.response.FromString(data)


def _plain(metadata: Any) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else value.decode("latin-1") for key, value in metadata or ()
    }
