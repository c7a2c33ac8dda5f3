"""The controllers: from a key on the queue to a written status.

``controller`` turns what happened into keys and works them off; ``application`` tells one look from
top to bottom, ``operation`` advances a stored sync by one pass (``ending`` stores its end), and
``deletion`` works through finalizers. ``loading`` asks the rooms below for the target and the live
state. What they decide with is pure: ``concern``, ``refresh``, ``autosync``, ``retrying``,
``pairs``, ``conditions``, ``statuses``, ``assembling``. Knows nothing of HTTP or of how events arrive.
"""
