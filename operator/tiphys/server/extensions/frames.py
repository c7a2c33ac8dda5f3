"""Where the frames of a websocket begin and end, by their heads alone (RFC 6455, 5.2).

What is in a frame is nobody's business here: it passes as it comes, whatever its size. Only whoever wants to
say something in between must know whether a frame is on its way. Pure.
"""

MAX_HEAD_BYTES = 14
CLOSE = 0x88


class Frames:
    """Follows the bytes of one direction."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    @property
    def is_between(self) -> bool:
        """Whether no frame is on its way: another one may be put in."""
        return not self._head and not self._left

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        at = 0
        while at < len(data):
            if self._left:
                passed = min(self._left, len(data) - at)
                self._left -= passed
                at += passed
                continue
            before = len(self._head)
            head = self._head + data[at : at + MAX_HEAD_BYTES - before]
            size = head_size(head)
            if size > len(head):
                self._head = head
                return
            at += size - before
            self._head = b""
            self._left = payload_size(head)


def head_size(head: bytes) -> int:
    """How many bytes a head has that begins so."""
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    return 2 + {126: 2, 127: 8}.get(length, 0) + (4 if head[1] & 0x80 else 0)


def payload_size(head: bytes) -> int:
    """How many bytes follow a whole head."""
    length = head[1] & 0x7F
    if length < 126:
        return length
    return int.from_bytes(head[2 : 4 if length == 126 else 10], "big")


def close_frame(code: int, *, masked: bool) -> bytes:
    """A good-bye. ``masked``: as clients must send it; with a mask that changes nothing."""
    return bytes((CLOSE, 0x82 if masked else 2)) + (b"\0\0\0\0" if masked else b"") + code.to_bytes(2, "big")
