"""``ApplicationService`` (api.md 8): one module for each concern, ``access`` first.

Every method reaches its Application through :class:`access.AppAccess`, which decides what a caller may
know of it. ``listing`` and ``watching`` answer from caches and shared encodings; ``creating``,
``updating``, ``deleting`` and ``syncing`` write Applications (``validation`` says what may be written,
``writing`` how); ``windows`` shows sync windows. ``resources/`` is about the objects that an
Application manages.
"""
