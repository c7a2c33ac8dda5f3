"""gzip of answers for those who accept it (api.md 1). Large ones are compressed beside the event loop."""

import asyncio
import zlib
from collections.abc import Mapping

SMALLEST_BYTES = 1024
"""Below this, headers cost more than the body."""

IN_LOOP_BYTES = 32 * 1024
"""Up to this, a thread costs more than compressing."""

LEVEL = 3
"""Three quarters of what the best level saves on lists of Applications, at a third of its time."""


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Whether a client wants gzip, and did not say ``q=0``."""
    for offer in headers.get("Accept-Encoding", "").split(","):
        name, _, quality = offer.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return quality.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def gzipped(body: bytes) -> bytes:
    """The compressed body."""
    return _gzip(body) if len(body) <= IN_LOOP_BYTES else await asyncio.to_thread(_gzip, body)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
