"""Deadlines of hooks (opt-in; docs/differences.md).

The reference waits for a hook as long as the sync may take, and that is for ever unless the whole
installation has a time limit. Whoever writes a hook knows better, so its annotation may say how long
it has. A hook that still runs then has failed: it is deleted, and the sync goes on as after any
failed hook. Pure; the age of a hook is given.
"""

from tiphys.resources.identity import Manifest, annotations_of
from tiphys.resources.times import go_duration

HOOK_TIMEOUT = "tiphys.io/hook-timeout"
"""Annotation of hooks: a Go duration (``10m``) or seconds."""


def time_limit(hook: Manifest) -> float | None:
    """Seconds that the hook has; None: no limit, or none that can be read."""
    text = annotations_of(hook).get(HOOK_TIMEOUT)
    if not isinstance(text, str) or not text:
        return None
    try:
        seconds = float(int(text)) if text.isdecimal() else go_duration(text)
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def time_left(hook: Manifest, age: float) -> float | None:
    """Seconds until the hook's deadline, 0 or less when it is over; None: it has none."""
    limit = time_limit(hook)
    return None if limit is None else limit - age


def is_late(hook: Manifest, age: float) -> bool:
    """Whether the hook had its time."""
    left = time_left(hook, age)
    return left is not None and left <= 0


def late_text(hook: Manifest) -> str:
    """The message of a hook that did not end in time."""
    return f"did not end within {annotations_of(hook).get(HOOK_TIMEOUT)} ({HOOK_TIMEOUT})"
