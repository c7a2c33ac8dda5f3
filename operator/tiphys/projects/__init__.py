"""What a project permits: pure decisions, values in and values out.

``effective`` completes a stored project by what it inherits; ``permission`` answers whether a
source, destination, kind, live object or namespace is permitted; ``windows`` when syncing is;
``validate`` turns all this into the conditions of an Application; ``orphans``,
``impersonation``, ``integrity`` and ``tokens`` read the remaining parts of the spec, and
``validate_project`` is what the API checks before it writes a project. Nothing here does
I/O or reads a clock.
"""
