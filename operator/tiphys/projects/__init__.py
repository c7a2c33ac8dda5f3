"""What a project permits: pure decisions, values in and values out.

``effective`` completes a stored project by what it inherits; ``permission`` answers whether a
source, destination, kind, live object or namespace is permitted; ``windows`` when syncing is;
``validate`` turns all this into the conditions of an Application; ``orphans`` and
``impersonation`` read the remaining parts of the spec. Nothing here does I/O or reads a clock.
"""
