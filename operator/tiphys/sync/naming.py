"""Names of objects that leave their name to the server (``generateName``).

A step may be repeated after a kill, and later steps have to find what earlier ones made. So the name
is not left to the server but follows from the operation: the same in every step of one attempt,
another in the next. Hooks get the reference's names (sync.md 10.2); other objects, which only a
create accepts (``Replace=true``), names that look like the server's. Pure.
"""

import hashlib

from tiphys.resources.identity import Manifest
from tiphys.resources.times import from_timestamp
from tiphys.sync.tasks import Phase

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_RANDOM = 5
_LONGEST_BASE = 63 - _RANDOM
"""The server's lengths and letters."""


def named_hook(hook: Manifest, phase: Phase, revision: str, started_at: str, number: int = 1) -> Manifest:
    """A hook without name gets one.

    ``generateName`` + lower(``<rev>-<phase>-<startedAt in Unix seconds>``); the revision is cut to
    7 characters if it has at least 8 (sync.md 10.2). The second of the same ``generateName`` and phase
    and those after it have their ``number`` behind it.
    """
    metadata = hook.get("metadata") or {}
    if metadata.get("name"):
        return hook
    short = revision[:7] if len(revision) >= 8 else revision
    seconds = int(from_timestamp(started_at).timestamp())
    suffix = f"{short}-{phase}-{seconds}".lower()
    if number > 1:
        suffix += f"-{number}"
    return _with_name(hook, f"{metadata.get('generateName') or ''}{suffix}")


def named_object(target: Manifest, attempt: str, number: int) -> Manifest:
    """An object without name gets one.

    Args:
        attempt: names this attempt of this operation.
        number: of the objects of its kind, namespace and ``generateName``.
    """
    base = (target.get("metadata") or {}).get("generateName") or ""
    seed = f"{attempt}/{target.get('apiVersion')}/{target.get('kind')}/{base}/{number}"
    digest = hashlib.blake2b(seed.encode(), digest_size=_RANDOM).digest()
    return _with_name(
        target, base[:_LONGEST_BASE] + "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)
    )


def is_unnamed(manifest: Manifest) -> bool:
    """Whether an object has a ``generateName`` only."""
    metadata = manifest.get("metadata") or {}
    return bool(metadata.get("generateName")) and not metadata.get("name")


def _with_name(manifest: Manifest, name: str) -> Manifest:
    return {**manifest, "metadata": {**(manifest.get("metadata") or {}), "name": name}}
