"""gRPC and gRPC-web: the ways by which the published command line and Go clients reach the methods.

``protocol`` is what the port hands HTTP/2 connections to; ``connection`` is one of them, ``stream``
one call on it; ``web`` is gRPC-web over HTTP/1.1. ``frames``, ``messages`` and ``metadata`` decide
(bytes in, values out) and know no socket. Reflection and health are services like any other.
"""
