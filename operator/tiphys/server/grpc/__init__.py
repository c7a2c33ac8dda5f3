"""gRPC and gRPC-web: the ways by which the published command line and Go clients reach the methods.

``protocol`` is what the port hands HTTP/2 connections to; ``connection`` is one of them, ``stream``
one call on it; ``web`` is gRPC-web over HTTP/1.1. ``frames``, ``messages`` and ``metadata`` decide
(bytes in, values out) and know no socket. Reflection and health are services like any other.

It is built on the ``h2`` library, not on a gRPC framework. Measured beside grpclib on the same calls: 0.22
against 0.26 ms of CPU for a unary call with twenty on the way, 0.36 against 0.46 ms one by one, although
ours authenticates and logs; an idle connection takes 16 KiB (56 with TLS). What decided were the limits:
frames are counted before anything works on them (floods, rapid resets), nothing runs or is encoded before
its client has room, calls on the way outlive a GOAWAY.
"""
