"""The browser's side: JSON texts over a websocket (api.md 14).

In: ``{"operation":"stdin"|"resize","data":"","rows":n,"cols":n}``. Out: the same shape with ``stdout``.
What cannot be understood ends the terminal, as in the reference. Output is cut where characters end, so
that a letter that arrives in two pieces stays one.

A client has to be there: it answers pings, and it takes what it is sent, each within its time.
"""

import asyncio
import codecs
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, Literal

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

MAX_FRAME_BYTES = 1024 * 1024
"""Of what is typed or pasted at once."""

Size = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Frame(msgspec.Struct, frozen=True):
    """One message, either way; the fields in the order in which they are sent."""

    operation: Literal["stdin", "resize", "stdout"]
    data: str = ""
    rows: Size = 0
    cols: Size = 0


class Times(msgspec.Struct, frozen=True):
    """Seconds: between pings; without anything from the client; for it to take what it is sent."""

    ping: float = 5.0
    silence: float = 60.0
    unread: float = 60.0


class Gone(Exception):
    """The client is not there any more; ``code`` is what it, or nobody, is told."""

    def __init__(self, code: int):
        super().__init__(f"the client of a terminal is gone ({code})")
        self.code = code


class Browser:
    """See the module; made over a websocket that stands."""

    def __init__(self, socket: web.WebSocketResponse, times: Times):
        self._socket = socket
        self._times = times
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def frames(self) -> AsyncIterator[Frame]:
        """What the client sends.

        Raises:
            Gone: it left, fell silent, or sent what is no frame.
        """
        while True:
            try:
                async with asyncio.timeout(self._times.silence):
                    message = await self._socket.receive()
            except TimeoutError:
                raise Gone(WSCloseCode.GOING_AWAY) from None
            if message.type is WSMsgType.PING:
                await self._within(self._socket.pong(message.data))
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield _frame(message.data)
            elif message.type is not WSMsgType.PONG:
                raise Gone(self._socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)

    async def show(self, output: bytes) -> None:
        """Output of the program. Raises Gone."""
        text = self._decoder.decode(output)
        if text:
            await self.say(text)

    async def say(self, text: str) -> None:
        """A text in the terminal. Raises Gone."""
        frame = msgspec.json.encode(Frame("stdout", text))
        await self._within(self._socket.send_str(frame.decode()))

    async def come_again(self) -> None:
        """Tell the client that its token is over: it connects anew with the one it has then. Raises Gone."""
        await self.say("\nReconnect because the token was refreshed...\n")
        await self._within(self._socket.send_str('{"Code":1}'))

    async def ping(self) -> None:
        """Raises Gone."""
        await self._within(self._socket.ping())

    async def _within(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._times.unread):
                await sending
        except (TimeoutError, ConnectionError):
            raise Gone(WSCloseCode.GOING_AWAY) from None


def _frame(data: str | bytes) -> Frame:
    try:
        frame = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError):
        raise Gone(WSCloseCode.UNSUPPORTED_DATA) from None
    if frame.operation == "stdout":
        raise Gone(WSCloseCode.UNSUPPORTED_DATA)
    return frame


_decoder = msgspec.json.Decoder(Frame)
