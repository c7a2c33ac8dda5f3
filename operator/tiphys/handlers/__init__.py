"""Kopf handlers: they turn watch events into calls on the controllers' triggers, nothing else.

Only low-level ``on.event`` handlers are used, so Kopf leaves no annotation, finalizer or status in
anybody's objects. What the triggers do with an event is none of this room's business.
"""
