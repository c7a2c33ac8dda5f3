"""Syncing: what a stored operation does next, and doing it.

``tasks``, ``ordering``, ``plan``, ``options``, ``messages`` and ``rbac`` are pure: pairs of desired
and live objects, hooks and the results recorded so far go in, an ordered list of tasks comes out.
``engine`` advances the stored operation by one step: it finds out what is running, and then runs
at most one wave through ``apply``. ``terminate`` ends an operation early, ``deletion`` runs delete
hooks and the cascade when an Application is deleted. Nothing here knows HTTP or the Application
object; all it may do to a cluster is in the protocol of ``cluster``.
"""
