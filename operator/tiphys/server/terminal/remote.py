"""The API server's side: one program in a container, over the ``exec`` subresource's websocket.

Frames are binary; the first byte is the channel: 0 its input, 1 and 2 its output, 3 how it ended (a
Status), 4 the size of the terminal. ``v5.channel.k8s.io`` is ``v4`` with a way to end one channel, which
a terminal does not need: its input ends with the character that says so.

:meth:`Program.outputs` gives the output piece by piece and, at the end, fills :attr:`Program.ending`.
Nothing is kept beyond the frame on the way: who does not read slows the program down, as any terminal does.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
import msgspec

from tiphys.kube.client import ClusterClient

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
END_OF_TRANSMISSION = b"\x04"

_MOST_AT_ONCE = 16 * 1024
_NOT_FOUND = ("126", "127")
_MOST_STATUS = 64 * 1024


class Cause(msgspec.Struct, frozen=True):
    """One of the causes in a Status."""

    reason: str = ""
    message: str = ""


class Details(msgspec.Struct, frozen=True):
    """The part of a Status that holds the exit code."""

    causes: tuple[Cause, ...] | None = None


class Ending(msgspec.Struct, frozen=True):
    """How a program ended: the Status of the error channel."""

    status: str = ""
    reason: str = ""
    message: str = ""
    details: Details | None = None

    @property
    def exit_code(self) -> str:
        """``""`` when it was not the program that ended, or it ended well."""
        causes = self.details.causes or () if self.details else ()
        return next((cause.message for cause in causes if cause.reason == "ExitCode"), "")

    def began(self, *, was_used: bool, has_written: bool) -> bool:
        """Whether there was such a program: a runtime that finds none says so with a failure of its own
        and nothing else, or (after a text) with the codes that shells use for it; but what is typed after
        some output is typed into a shell."""
        if self.status != "Failure" or was_used:
            return True
        return self.exit_code not in _NOT_FOUND if self.exit_code else has_written


BROKEN = Ending("Failure", "Broken", "the connection to the cluster broke")


class Program:
    """See the module."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self._socket = socket
        self.ending: Ending = BROKEN
        self._was_used = False
        self.has_written = False

    @property
    def began(self) -> bool:
        """Once it ended: whether it ever ran."""
        return self.ending.began(was_used=self._was_used, has_written=self.has_written)

    @property
    def complaint(self) -> str:
        """Once it ended: what went wrong beside the program itself, or ``""``."""
        return self.ending.message if self.ending.status == "Failure" and not self.ending.exit_code else ""

    async def outputs(self) -> AsyncIterator[bytes]:
        """Everything it writes, until it ends."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            channel, data = message.data[:1], message.data[1:]
            if not data:
                continue  # the greeting of a channel
            if channel[0] in (STDOUT, STDERR):
                self.has_written = True
                yield data
            elif channel[0] == ERROR:
                self.ending = _ending(data)
                return

    async def type(self, data: bytes) -> None:
        """Give it input. Raises ConnectionError."""
        self._was_used = self._was_used or self.has_written
        await self._type(data)

    async def resize(self, rows: int, columns: int) -> None:
        """Tell it the size of the terminal. Raises ConnectionError."""
        await self._send(RESIZE, msgspec.json.encode({"Width": columns, "Height": rows}))

    async def hang_up(self) -> None:
        """Ask it to end: nobody is there any more. Raises ConnectionError."""
        await self._type(END_OF_TRANSMISSION)

    async def ping(self) -> None:
        """Keep those between us and it from thinking that nobody is there. Raises ConnectionError."""
        await self._socket.ping()

    async def _type(self, data: bytes) -> None:
        for start in range(0, len(data), _MOST_AT_ONCE):
            await self._send(STDIN, data[start : start + _MOST_AT_ONCE])

    async def _send(self, channel: int, data: bytes) -> None:
        await self._socket.send_bytes(bytes((channel,)) + data)


@asynccontextmanager
async def program(
    client: ClusterClient, namespace: str, pod: str, container: str, command: str
) -> AsyncIterator[Program]:
    """Run a command in a container; the connection ends with the block.

    Raises:
        ApiError: the API server refuses.
        ClusterUnreachable: no answer.
    """
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/exec"
    params: Mapping[str, str] = {
        "container": container,
        "command": command,
        "stdin": "true",
        "stdout": "true",
        "tty": "true",
    }
    async with client.raw_websocket(path, protocols=PROTOCOLS, params=params, resource="pods/exec") as socket:
        yield Program(socket)


def _ending(data: bytes) -> Ending:
    try:
        if len(data) <= _MOST_STATUS:
            return _status.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return BROKEN


_status = msgspec.json.Decoder(Ending)
