"""The mark on hook objects that tells which run of which operation made them.

Without it a step that is repeated after a kill could not tell a hook it created a moment ago from
one that an earlier sync left behind, and would delete and run it again. With it the repeated step
adopts its own hook. Pure.
"""

from collections.abc import Iterable

from tiphys.compare.hooks import HOOK_FINALIZER
from tiphys.resources.identity import Manifest, annotations_of

HOOK_STAMP = "tiphys.io/hook-run"
"""Annotation on hook objects: ``<app uid>/<startedAt>/<retryCount>/<phase>``."""


def stamp_of(app_uid: str, started_at: str, retry_count: int, phase: str) -> str:
    return f"{app_uid}/{started_at}/{retry_count}/{phase}"


def is_stamped(manifest: Manifest | None, stamp: str) -> bool:
    return manifest is not None and annotations_of(manifest).get(HOOK_STAMP) == stamp


def with_hook_marks(manifest: Manifest, stamp: str) -> Manifest:
    """The hook with our annotation and the hook finalizer; the argument is not changed."""
    metadata = dict(manifest.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), HOOK_STAMP: stamp}
    finalizers = list(metadata.get("finalizers") or ())
    if HOOK_FINALIZER not in finalizers:
        finalizers.append(HOOK_FINALIZER)
    metadata["finalizers"] = finalizers
    return {**manifest, "metadata": metadata}


def has_hook_finalizer(manifest: Manifest | None) -> bool:
    return manifest is not None and HOOK_FINALIZER in finalizers_of(manifest)


def finalizers_of(manifest: Manifest) -> Iterable[str]:
    return (manifest.get("metadata") or {}).get("finalizers") or ()


def is_terminating(manifest: Manifest | None) -> bool:
    return manifest is not None and bool((manifest.get("metadata") or {}).get("deletionTimestamp"))
