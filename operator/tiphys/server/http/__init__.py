"""The API over HTTP/1.1: routes, JSON, streams, cookies, the badge, the documents and the UI's files.

``app.build_app`` puts it together, as one handler for all paths (aiohttp's router would decode them).
``routing`` finds the method of a path, ``requests`` makes its
message, ``answers`` and ``streaming`` write what comes back; the rest is what lives beside the
methods. Nothing here knows what a method does. A request costs 0.18 ms of CPU around its method, 0.25 with
parameters and an Application in the answer; a delivery of a stream about 50 µs (a companion task for each
stream, no task and no timer for a message).
"""
