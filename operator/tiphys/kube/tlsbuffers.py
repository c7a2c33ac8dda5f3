"""Smaller read buffers for TLS connections.

asyncio gives every TLS connection a buffer of 256 KiB. A cluster cache holds about sixty watches
open, each on a connection of its own (HTTP/1.1): measured, that is 16 of 27 MB of a fresh cache.
A TLS record has at most 16 KiB, so 20 KiB lose nothing; starting is even a little faster, and an idle
connection of an API client takes 56 KiB instead of 68 (benchmarks, API).
"""

from asyncio import sslproto

READ_BUFFER_BYTES = 20 * 1024


def shrink_tls_buffers() -> None:
    """Make TLS connections of this process that are opened from now on use small read buffers.

    The buffer's size is an attribute of asyncio's class and cannot be given for one connection.
    Without effect on other event loops (uvloop has buffers of its own).
    """
    protocol = getattr(sslproto, "SSLProtocol", None)
    if protocol is not None and getattr(protocol, "max_size", 0) > READ_BUFFER_BYTES:
        protocol.max_size = READ_BUFFER_BYTES
