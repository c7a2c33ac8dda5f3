"""What a connection's socket is told."""

import socket
from asyncio.trsock import TransportSocket
from typing import Any

_KEEP_ALIVE = 15
"""Seconds between probes of TCP, as in the reference's runtime."""


def keep_alive(socket_: Any) -> None:
    """A client that is gone without a word must not keep its connection for ever."""
    if isinstance(socket_, (socket.socket, TransportSocket)) and socket_.family != socket.AF_UNIX:
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_ALIVE)
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEP_ALIVE)
