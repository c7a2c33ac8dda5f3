"""Answers of HTTP/1.1 servers, taken out of the bytes of a connection.

Bytes in, at most one :class:`Answer` out: a reader serves one request after the other on one
connection and never more than one at a time. Three ways tell where a body ends (RFC 9112 section 6.3):
chunks, a length, or the end of the connection. What contradicts itself is an error, since after it
nobody knows where the next answer begins.

Only what an API server's ordinary calls need: answers are taken whole; streams are aiohttp's.
"""

import re
import zlib
from collections.abc import Iterator

MAX_HEAD_BYTES = 128 * 1024
MAX_CHUNK_LINE_BYTES = 4096
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")


class BadAnswer(Exception):
    """The bytes are no answer of HTTP/1.1; says why."""


class Answer:
    """A whole answer; its head is looked into when somebody asks."""

    __slots__ = ("_head", "_lowered", "body", "keeps", "status")

    def __init__(self, status: int, head: bytes, keeps: bool) -> None:
        self.status = status
        self.body = b""
        self.keeps = keeps
        """Whether the connection may serve another request."""
        self._head = head
        self._lowered = head.lower()

    def headers(self, name: str) -> Iterator[str]:
        """The values of all fields of that name (in lower case)."""
        wanted = name.encode()
        if b"\r\n" + wanted + b":" not in self._lowered:
            return
        for line in self._head.split(b"\r\n")[1:]:
            field, _, value = line.partition(b":")
            if field.lower() == wanted:
                yield value.strip(b" \t").decode("utf-8", "surrogateescape")

    def header(self, name: str) -> str:
        """The first value of a field, or ``""``."""
        return next(self.headers(name), "")


class AnswerReader:
    """Reads the answers of one connection; :meth:`expect` before each request."""

    def __init__(self) -> None:
        self._expected = False
        self._bodiless = False
        self._answer: Answer | None = None
        self._buffer = bytearray()
        self._body: list[bytes] = []
        self._left: int | None = None  # bytes until the body (or this chunk with its line end) is whole
        self._chunked = False
        self._trailers = False

    def expect(self, *, bodiless: bool = False) -> None:
        """A request is sent; ``bodiless`` for HEAD, whose answers have no body whatever they say."""
        self._expected = True
        self._bodiless = bodiless

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes; the answer once it is whole.

        Raises:
            BadAnswer: these bytes belong to no answer; the connection is of no use any more.
        """
        if not self._expected:
            raise BadAnswer("data that nobody asked for")
        if self._answer is None:
            if self._buffer:
                self._buffer += data
                data = bytes(self._buffer)
                self._buffer.clear()
            rest = self._begin(data)
            if rest is None:
                return None
            data = rest
        return self._go_on(data)

    def end(self) -> Answer | None:
        """The connection ended: the answer whose end this is, else None."""
        if self._answer is None or self._chunked or self._left is not None:
            return None
        return self._finish(b"".join(self._body))

    def _begin(self, data: bytes) -> bytes | None:
        """Take the head off; None while it is not whole."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES:
                    raise BadAnswer("a head that does not end")
                self._buffer += data
                return None
            head = data[:end]
            data = data[end + 4 :]
            line, _, _ = head.partition(b"\r\n")
            found = _STATUS_LINE.fullmatch(line)
            if found is None:
                raise BadAnswer("no status line of HTTP/1.1")
            status = int(found[2])
            if status == 101:
                raise BadAnswer("a protocol that nobody asked for")
            if status >= 200:
                break
            # 100 Continue, 103 Early Hints: the answer is yet to come.
        self._answer = self._understood(status, head, modern=found[1] == b"1")
        return data

    def _understood(self, status: int, head: bytes, *, modern: bool) -> Answer:
        keeps = modern
        length: int | None = None
        chunked = False
        for line in head.split(b"\r\n")[1:]:
            field, colon, value = line.partition(b":")
            if not colon or not field or field[-1:] in b" \t" or field[0] in b" \t":
                raise BadAnswer("a field without a name")
            # Only four fields matter here, and these are their lengths.
            if len(field) not in (10, 14, 17):
                continue
            name = field.lower()
            if name == b"content-length":
                value = value.strip(b" \t")
                if not value.isdigit() or length not in (None, int(value)):
                    raise BadAnswer("a length that is none")
                length = int(value)
            elif name == b"transfer-encoding":
                if chunked or value.strip(b" \t").lower() != b"chunked":
                    raise BadAnswer("a transfer coding that is not understood")
                chunked = True
            elif name == b"connection":
                options = value.lower()
                keeps = b"keep-alive" in options if not modern else b"close" not in options
        if self._bodiless or status in (204, 304):
            chunked, length = False, 0
        elif chunked:
            length = None
        elif length is None:
            keeps = False  # its end is the connection's
        self._chunked = chunked
        self._left = length
        return Answer(status, head, keeps)

    def _go_on(self, data: bytes) -> Answer | None:
        if self._chunked:
            return self._chunks(data)
        if self._left is None:
            self._body.append(data)
            return None
        if len(data) > self._left:
            raise BadAnswer("more than was announced")
        self._left -= len(data)
        if self._left:
            self._body.append(data)
            return None
        if self._body:
            self._body.append(data)
            data = b"".join(self._body)
        return self._finish(data)

    def _chunks(self, data: bytes) -> Answer | None:
        """Chunks: a size, so many bytes, a line end; the last is empty, and trailers may follow."""
        buffer = self._buffer
        buffer += data
        at = 0
        whole = False
        while not whole:
            if self._left is None:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    if len(buffer) - at > MAX_CHUNK_LINE_BYTES:
                        raise BadAnswer("a chunk without a size")
                    break
                line = bytes(buffer[at:end])
                at = end + 2
                if self._trailers:
                    whole = not line
                    continue
                size = line.partition(b";")[0].strip(b" \t")
                if _HEX.fullmatch(size) is None:
                    raise BadAnswer("a chunk without a size")
                self._left = int(size, 16)
                if not self._left:
                    self._left, self._trailers = None, True
                    continue
            if len(buffer) - at < self._left + 2:
                break
            end = at + self._left
            if buffer[end : end + 2] != b"\r\n":
                raise BadAnswer("a chunk without an end")
            self._body.append(bytes(buffer[at:end]))
            at = end + 2
            self._left = None
        del buffer[:at]
        if not whole:
            return None
        if buffer:
            raise BadAnswer("more than was announced")
        return self._finish(b"".join(self._body))

    def _finish(self, body: bytes) -> Answer:
        answer = self._answer
        assert answer is not None
        coding = answer.header("content-encoding") if body else ""
        answer.body = _decompressed(body) if coding.lower() in ("gzip", "x-gzip") else body
        self._answer = None
        self._expected = self._chunked = self._trailers = False
        self._body = []
        self._left = None
        return answer


def _decompressed(body: bytes) -> bytes:
    unpack = zlib.decompressobj(31)
    try:
        plain = unpack.decompress(body)
    except zlib.error:
        raise BadAnswer("compressed data that is none") from None
    if not unpack.eof:
        raise BadAnswer("compressed data without an end")
    return plain
