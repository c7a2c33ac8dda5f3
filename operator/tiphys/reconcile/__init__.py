"""The controllers: from a key on the queue to a written status.

``application`` tells one reconcile from top to bottom, ``operation`` advances a stored sync by
one step, ``deletion`` works through finalizers. The decisions they take are pure functions in
``refresh``, ``autosync``, ``conditions`` and ``statuses``; ``desired`` and ``comparison`` ask the
rooms below for the target and the live state. Knows nothing of HTTP or of how events arrive.
"""
