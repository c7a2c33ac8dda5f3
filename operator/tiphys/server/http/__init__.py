"""The API over HTTP/1.1: routes, JSON, streams, cookies, the badge, the documents and the UI's files.

``app.build_app`` puts it together. ``routing`` finds the method of a path, ``requests`` makes its
message, ``answers`` and ``streaming`` write what comes back; the rest is what lives beside the
methods. Nothing here knows what a method does.
"""
