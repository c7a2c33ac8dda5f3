"""What one connection and all of them together may cost; everything beyond ends in a status or a closed
connection.

The values are generous for clients (the published command line opens one connection and a few
streams) and finite for everybody else. Sizes are bytes, times seconds.
"""

import msgspec

KIB = 1024
MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True):
    """See the module.

    Attributes:
        max_message: largest message received or sent (api.md 2: 200 MiB).
        small_message: larger ones are received only from callers that are authenticated.
        unfinished: bytes of requests a connection may have on the way that are not larger than that.
        large_messages: bytes of larger requests that all connections may have on the way.
        all_unfinished: bytes of unfinished small requests of all connections; the heaviest
            connection is closed when they grow beyond.
        max_streams: calls at the same time on one connection.
        strangers_streams: the same before the first successful call of somebody authenticated.
        header_list: decoded size of a request's headers.
        header_block: encoded size, over all its frames.
        header_frames: frames of one header block.
        window: bytes a client may send on the connection ahead of us.
        unsent: bytes of encoded answers a connection may hold; the next is encoded below that.
        stalled_after: a client that takes nothing for so long is given up.
        unasked_after: a call whose request is not complete by then fails (api.md 2: 300 s).
        ping_interval: a client may ping this often (api.md 2: 10 s).
        idle_ping_interval: and this often without a call on the way.
        patience: frames without use that a connection may send at once, and how many of them are
            forgiven each second.
    """

    max_message: int = 200 * MIB
    small_message: int = 256 * KIB
    unfinished: int = 8 * MIB
    large_messages: int = 400 * MIB
    all_unfinished: int = 64 * MIB
    max_streams: int = 1000
    strangers_streams: int = 100
    header_list: int = 64 * KIB
    header_block: int = 64 * KIB
    header_frames: int = 8
    window: int = MIB
    unsent: int = 4 * MIB
    stalled_after: float = 120
    unasked_after: float = 300
    ping_interval: float = 10
    idle_ping_interval: float = 7200
    patience: int = 1000
    forgiven: int = 100
