"""What people are shown of an application's live objects: tree, differences, state of its cluster.

Everything is worked out when somebody asks, from what the controllers hold anyway (the status, the
last render, the live cache); nothing is stored for each application, and an application that nobody
looks at costs nothing. :class:`Inspector` is the door; ``trees`` and ``differences`` do the work.
"""

from tiphys.reconcile.inspecting.inspector import Inspector

__all__ = ["Inspector"]
