"""HTTP/2 frames as they arrive, before anything works on them: whole ones only, none too large, and not
more useless ones than patience allows.

The HTTP/2 library keeps the rules of the protocol; it does not ask what a legal frame costs. Here each
frame that carries no progress (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, resets, empty and tiny DATA,
unknown types) costs from a budget that time and work done for the client fill again: floods and rapid
resets (CVE-2019-9511 to 9518, CVE-2023-44487) end after a few hundred frames. Header blocks are counted
over all their frames while they arrive (CVE-2024-27316), since nobody may decode a block before its end.
"""

import msgspec

from tiphys.server.grpc.limits import Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16384

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
_END_STREAM = 0x1
_TINY = 256

_COST = {
    HEADERS: 0,
    PRIORITY: 2,
    RST_STREAM: 5,
    SETTINGS: 10,
    PING: 5,
    GOAWAY: 10,
    WINDOW_UPDATE: 1,
    CONTINUATION: 1,
}
_COST_UNKNOWN = 5
COST_REFUSED = 5
"""Of a stream beyond those that a client may have open."""

# What work done for a client gives back: clients answer DATA with WINDOW_UPDATE, and probe with PING.
EARNED_BY_DATA = 3
EARNED_BY_CALL = 20


class Abuse(Exception):
    """The connection has to end.

    Attributes:
        code: HTTP/2 error code of the GOAWAY frame.
        reason: its debug text.
    """

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code = code
        self.reason = reason


PROTOCOL_ERROR, INTERNAL_ERROR, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 0x1, 0x2, 0x6, 0xB


class Arrived(msgspec.Struct, frozen=True):
    """What a read brought.

    Attributes:
        frames: whole frames, as bytes, without GOAWAY frames (the library would take one for the end,
            although calls on the way may finish).
        leaving: the client sent GOAWAY.
    """

    frames: bytes
    leaving: bool = False


class FrameGate:
    """The gate of one connection; see the module."""

    __slots__ = ("_block", "_block_frames", "_budget", "_filled", "_limits", "_preface", "_rest")

    def __init__(self, limits: Limits, now: float):
        self._limits = limits
        self._budget = float(limits.patience)
        self._filled = now
        self._rest = b""
        self._preface = len(PREFACE)
        self._block = 0
        self._block_frames = 0

    def earn(self, amount: int) -> None:
        """Work was done for the client: forgive that much."""
        self._budget = min(self._budget + amount, self._limits.patience)

    def spend(self, amount: int, now: float) -> None:
        """Something useless was asked for by a frame that costs nothing by itself.

        Raises:
            Abuse: it was once too often.
        """
        self._budget -= amount
        if self._budget < 0:
            earned = (now - self._filled) * self._limits.forgiven
            self._filled = now
            self._budget = min(self._budget + earned, self._limits.patience)
            if self._budget < 0:
                raise Abuse(ENHANCE_YOUR_CALM, "too many frames without use")

    def take(self, data: bytes, now: float) -> Arrived:
        """The whole frames that ``data`` completes; ``now`` in seconds.

        Raises:
            Abuse: what arrived goes beyond the limits; nothing more may be read.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        position = 0
        if self._preface:
            if not PREFACE.startswith(data[: self._preface]):
                raise Abuse(PROTOCOL_ERROR, "no HTTP/2 preface")
            if len(data) < self._preface:
                self._rest = bytes(data)
                return Arrived(b"")
            position = self._preface
            self._preface = 0
        begin = position
        end = len(data)
        kept: list[bytes] = [PREFACE] if position else []
        leaving = False
        while end - position >= 9:
            length = data[position] << 16 | data[position + 1] << 8 | data[position + 2]
            kind, flags = data[position + 3], data[position + 4]
            if length > MAX_FRAME:
                raise Abuse(FRAME_SIZE_ERROR, "frame too large")
            if kind in (HEADERS, CONTINUATION):
                self._count_headers(kind, flags, length)
            if end - position < 9 + length:
                if kind in (HEADERS, CONTINUATION):
                    self._uncount_headers(length)
                break
            self._pay(kind, flags, length, now)
            if kind == GOAWAY:
                leaving = True
                kept.append(data[begin:position])
                begin = position + 9 + length
            position += 9 + length
        if position < end:
            self._rest = bytes(data[position:])
        if not kept and position == end and begin == 0:
            return Arrived(data)
        kept.append(data[begin:position])
        return Arrived(b"".join(kept), leaving)

    def _pay(self, kind: int, flags: int, length: int, now: float) -> None:
        if kind == DATA:
            cost = 1 if length < _TINY and not flags & _END_STREAM else 0
        else:
            cost = _COST.get(kind, _COST_UNKNOWN)
        if cost:
            self.spend(cost, now)

    def _count_headers(self, kind: int, flags: int, length: int) -> None:
        if kind == HEADERS:
            self._block = self._block_frames = 0
        self._block += length
        self._block_frames += 1
        if self._block > self._limits.header_block or self._block_frames > self._limits.header_frames:
            raise Abuse(ENHANCE_YOUR_CALM, "header block too large")

    def _uncount_headers(self, length: int) -> None:
        self._block -= length
        self._block_frames -= 1
