"""Large answers written piece by piece: a list of tens of megabytes is never joined into one text.

The pieces are fragments that exist anyway (``server.streams``), so what an answer needs beside them is
one group at a time. A client that does not read is given up.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aiohttp import web

GROUP_BYTES = 128 * 1024
"""Written at a stretch: large enough to be few, small enough for the processor's cache."""


async def send_pieces(
    request: web.Request,
    headers: Mapping[str, str],
    pieces: Sequence[bytes],
    *,
    write_seconds: float,
) -> web.StreamResponse:
    """Write an answer whose body is the pieces joined.

    Args:
        headers: all of them but the length.
        write_seconds: how long the client may leave a group unread.
    """
    response = web.StreamResponse(headers=headers)
    response.content_length = sum(map(len, pieces))
    try:
        await response.prepare(request)
        for group in grouped(pieces):
            async with asyncio.timeout(write_seconds):
                await response.write(group)
        await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the client is gone; so is what was for it
    return response


def grouped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces joined to groups of some size; larger ones stay as they are."""
    group: list[bytes] = []
    size = 0
    for piece in pieces:
        group.append(piece)
        size += len(piece)
        if size >= GROUP_BYTES:
            yield group[0] if len(group) == 1 else b"".join(group)
            group, size = [], 0
    if group:
        yield b"".join(group)
