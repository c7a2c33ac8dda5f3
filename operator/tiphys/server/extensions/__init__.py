"""Proxy extensions: ``/extensions/<name>/…`` goes on to a service that the administrator named (api.md 14).

``config`` reads the settings, ``asking`` and ``headers`` decide about a request (both pure), ``admission``
knows who may, ``backends`` holds connections, ``proxy`` and ``websocket`` pass bytes on; ``routes`` is the
story.
"""
