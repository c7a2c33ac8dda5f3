"""The one port of the API: TLS and certificates, telling protocols apart, guarding connections.

``listener.ApiPort`` is the entry. A connection is looked at before anything is read from it
(``arriving``): TLS or plain (a silent connection costs 0.9 KiB). Decrypted bytes or ALPN then say HTTP/1
or HTTP/2 (``choosing``), and the connection goes to ``http1`` or to the gRPC room. ``certificates`` keeps
the server's certificate, as a Secret and in use: a new one counts for the next connection. HTTP/1 is
aiohttp's protocol with limits for heads; an idle connection takes 8 KiB (50 with TLS). Metrics have a
listener of their own (``metrics``).
"""
