"""One terminal: a browser and a program tied together until either ends.

Three activities side by side, and the first that ends ends all: what the browser sends goes to the program,
each time after the caller's standing was looked at anew; what the program writes goes to the browser;
pings go both ways, and with them the standing of those who only watch. Nothing is queued: who does not
take what is there makes the other side wait.

Shells are tried in turn until one begins; what was typed into one that did not goes to the next. A
program is asked to end when its browser is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress

from aiohttp import WSCloseCode

from tiphys.kube.errors import KubeError
from tiphys.server.terminal.admission import Standing
from tiphys.server.terminal.browser import Browser, Frame, Gone, Times
from tiphys.server.terminal.remote import Program

DENIED = "Permission denied"
HANG_UP_SECONDS = 1.0
MOST_UNHEARD = 64 * 1024

Start = Callable[[str], AbstractAsyncContextManager[Program]]


class _Over(Exception):
    """The terminal ends as it should."""


class Session:
    """See the module.

    Args:
        start: runs a shell (raises KubeError where the API server does not let us).
        standing: whether the caller may go on.
        shells: to be tried, in order; at least one.
    """

    def __init__(
        self,
        browser: Browser,
        start: Start,
        standing: Callable[[], Awaitable[Standing]],
        shells: Sequence[str],
        times: Times,
    ):
        self._browser = browser
        self._start = start
        self._standing = standing
        self._shells = shells
        self._times = times
        self._program: Program | None = None
        self._stands = asyncio.Event()
        self._size: tuple[int, int] | None = None
        self._unheard = b""

    async def run(self) -> int:
        """Until it is over; the code to close the browser's websocket with."""
        code: int = WSCloseCode.OK
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(), name="terminal: input")
                tasks.create_task(self._play(), name="terminal: output")
                tasks.create_task(self._watch(), name="terminal: pings")
        except* Gone as gone:
            code = next((each.code for each in gone.exceptions if isinstance(each, Gone)), code)
        except* _Over:
            pass
        return code

    async def _listen(self) -> None:
        async for frame in self._browser.frames():
            await self._check()
            with suppress(ConnectionError):  # the program has ended, which its output tells
                await self._take(frame)

    async def _take(self, frame: Frame) -> None:
        if frame.operation == "resize":
            self._size = (frame.rows, frame.cols)
            if self._program is not None:
                await self._program.resize(*self._size)
        elif frame.data:
            await self._type(frame.data.encode())

    async def _type(self, data: bytes) -> None:
        while self._program is None:
            await self._stands.wait()
            await asyncio.sleep(0)
        if not self._program.has_written and len(self._unheard) + len(data) <= MOST_UNHEARD:
            self._unheard += data
        try:
            async with asyncio.timeout(self._times.unread):
                await self._program.type(data)
        except TimeoutError:
            raise _Over from None  # a program that takes no input for so long is lost

    async def _play(self) -> None:
        why = ""
        for shell in self._shells:
            try:
                async with self._start(shell) as program:
                    await self._attend(program)
                    if program.began:
                        if program.complaint:
                            await self._browser.say(f"\r\n{program.complaint}\r\n")
                        raise _Over
                    why = program.ending.message
            except KubeError as error:
                why = str(error)
                break
        await self._browser.say(
            f"Failed to exec container: {why}\r\n" if why else "Failed to exec container\r\n"
        )
        raise _Over

    async def _attend(self, program: Program) -> None:
        """Show what a program writes until it ends."""
        unheard = self._unheard
        self._program = program
        self._stands.set()
        ended = False
        try:
            with suppress(ConnectionError):
                if self._size is not None:
                    await program.resize(*self._size)
                if unheard:
                    await program.type(unheard)
            async for output in program.outputs():
                self._unheard = b""
                await self._browser.show(output)
            ended = True
        finally:
            self._program = None
            self._stands.clear()
            if not ended:
                with suppress(ConnectionError, TimeoutError):
                    async with asyncio.timeout(HANG_UP_SECONDS):
                        await program.hang_up()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._times.ping)
            await self._browser.ping()
            if self._program is not None:
                with suppress(ConnectionError):
                    await self._program.ping()
            await self._check()

    async def _check(self) -> None:
        standing = await self._standing()
        if standing is Standing.GOOD:
            return
        if standing is Standing.DENIED:
            await self._browser.say(DENIED)
        else:
            await self._browser.come_again()
        raise _Over
