"""Messages inside a gRPC stream: a flag, four bytes of length, and the message; in both directions, and
in gRPC-web as well.
"""

import msgspec

from tiphys.server.api.failures import ApiFailure, Code

PREFIX = 5
TRAILERS = 0x80
"""Flag of the frame that carries the trailers in gRPC-web (api.md 5)."""


class Sized(msgspec.Struct, frozen=True):
    """A message whose length is known and whose bytes are still to come."""

    length: int


def framed(payload: bytes, flag: int = 0) -> bytes:
    """One message as it travels."""
    return prefix(len(payload), flag) + payload


def prefix(size: int, flag: int = 0) -> bytes:
    """What stands before a message."""
    return bytes((flag,)) + size.to_bytes(4, "big")


def too_large_to_send(size: int, limit: int) -> ApiFailure:
    """An answer beyond the limit."""
    return ApiFailure(
        Code.RESOURCE_EXHAUSTED, f"grpc: trying to send message larger than max ({size} vs. {limit})"
    )


class MessageReader:
    """Puts the messages of one stream together out of pieces of any size."""

    __slots__ = ("_encoding", "_limit", "_pieces", "_wanted", "held")

    def __init__(self, limit: int, encoding: str = ""):
        """``encoding``: the ``grpc-encoding`` of the call; nothing but none and ``identity`` is offered."""
        self._limit = limit
        self._encoding = encoding
        self._pieces: list[bytes] = []
        self._wanted: int | None = None
        self.held = 0

    @property
    def is_between(self) -> bool:
        """Whether no message is begun."""
        return not self.held and self._wanted is None

    @property
    def missing(self) -> int:
        """Bytes that the message begun still lacks; 0 while its length is not known."""
        return 0 if self._wanted is None else self._wanted - self.held

    def feed(self, data: bytes) -> None:
        """More bytes of the stream."""
        if data:
            self._pieces.append(data)
            self.held += len(data)

    def next(self) -> bytes | None:
        """The next message, or None until more bytes arrive.

        Raises:
            ApiFailure: what arrived cannot become a message.
        """
        if self._wanted is None:
            if self.held < PREFIX:
                return None
            data = self._joined()
            self._wanted = self._check(data[0], int.from_bytes(data[1:PREFIX], "big"))
            self._keep(data[PREFIX:])
        if self.held < self._wanted:
            return None
        data = self._joined()
        message = data[: self._wanted]
        self._keep(data[self._wanted :])
        self._wanted = None
        return message

    def _check(self, flag: int, length: int) -> int:
        if flag == 1:
            if self._encoding in ("", "identity"):
                raise ApiFailure(Code.INTERNAL, "grpc: compressed flag set with identity or empty encoding")
            raise no_decompressor(self._encoding)
        if flag:
            raise ApiFailure(Code.INTERNAL, f"grpc: received unexpected payload format {flag}")
        if length > self._limit:
            raise ApiFailure(
                Code.RESOURCE_EXHAUSTED,
                f"grpc: received message larger than max ({length} vs. {self._limit})",
            )
        return length

    def _joined(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _keep(self, data: bytes) -> None:
        self._pieces = [data] if data else []
        self.held = len(data)


def no_decompressor(encoding: str) -> ApiFailure:
    """The client compresses in a way that is not offered (none is: api.md 2)."""
    return ApiFailure(
        Code.UNIMPLEMENTED, f'grpc: Decompressor is not installed for grpc-encoding "{encoding}"'
    )
