"""From rendered manifests to targets: what is compared and applied, prepared once per render.

``prepare_targets`` gives every object its namespace, drops repeated and excluded ones (saying so
in conditions), stamps tracking, brings it into the form in which the API server would store it
(``normalize``; that form is also what gets applied) and sorts hooks from resources. A ``Target``
keeps the JSON only and decodes it on use: thousands of applications hold their targets in memory.
"""

import hashlib
from collections.abc import Callable, Iterable

import orjson
from msgspec import Struct

from tiphys.compare import hooks
from tiphys.compare.normalize import normalize
from tiphys.compare.tracking import Tracking, TrackingError
from tiphys.resources.identity import GVK, Manifest, ResourceKey, gvk_of, key_of

REPEATED_RESOURCE_WARNING = "RepeatedResourceWarning"
EXCLUDED_RESOURCE_WARNING = "ExcludedResourceWarning"
INVALID_SPEC_ERROR = "InvalidSpecError"


class TargetError(ValueError):
    """An object cannot be prepared; the text is what follows ``Failed to normalize target state: ``."""


class Target(Struct, frozen=True, weakref=False):
    """One desired object.

    Attributes:
        digest: hash of ``body``; equal digests are equal objects.
        body: compact JSON of the normalised, stamped object.
        is_hook: a hook of any type (sync.md 9.1).
        is_skipped: ``hook: Skip``: never synced, no status.
        wave: sync wave (sync.md 9.1).
        sync_options: the object's own options.
    """

    key: ResourceKey
    gvk: GVK
    digest: str
    body: bytes
    is_hook: bool = False
    is_skipped: bool = False
    wave: int = 0
    sync_options: tuple[str, ...] = ()

    def manifest(self) -> Manifest:
        """The object, decoded anew on each call."""
        decoded: Manifest = orjson.loads(self.body)
        return decoded


class PreparedTargets(Struct, frozen=True):
    """The desired set.

    Attributes:
        targets: what is compared; ``hook: Skip`` objects are among them, hooks are not.
        hooks: hooks of sync phases, in the order of the sources.
        delete_hooks: hooks of ``PreDelete`` or ``PostDelete`` only.
        conditions: (type, message) warnings.
    """

    targets: tuple[Target, ...]
    hooks: tuple[Target, ...] = ()
    delete_hooks: tuple[Target, ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()


def make_target(manifest: Manifest) -> Target:
    """A target of a manifest that is prepared already (or needs no preparation: it is taken as it is)."""
    body = orjson.dumps(manifest)
    return Target(
        key=key_of(manifest),
        gvk=gvk_of(manifest),
        digest=hashlib.blake2b(body, digest_size=16).hexdigest(),
        body=body,
        is_hook=hooks.is_hook(manifest),
        is_skipped=hooks.is_skipped(manifest),
        wave=hooks.wave(manifest),
        sync_options=hooks.sync_options(manifest),
    )


def prepare_targets(
    manifests: Iterable[Manifest],
    *,
    is_namespaced: Callable[[str, str], bool | None],
    destination_namespace: str,
    tracking: Tracking,
    instance: str,
    is_excluded: Callable[[str, str], bool],
) -> PreparedTargets:
    """Prepare what was rendered (sync.md 3.1 steps 4, 5 and 9, and 3.2).

    Of several objects with one key the last one stays; objects with only a ``generateName`` are
    never merged.

    Raises:
        TargetError: an object cannot be stamped.
    """
    chosen: dict[tuple[ResourceKey, int], Manifest] = {}
    counts: dict[tuple[ResourceKey, int], int] = {}
    for index, manifest in enumerate(manifests):
        placed = _place(manifest, is_namespaced, destination_namespace, tracking, instance)
        key = key_of(placed)
        identity = (key, -1 if key.name else index)
        counts[identity] = counts.get(identity, 0) + 1
        chosen.pop(identity, None)
        chosen[identity] = placed
    conditions = [
        (
            REPEATED_RESOURCE_WARNING,
            f"Resource {key} appeared {count} times among application resources.",
        )
        for (key, _), count in counts.items()
        if count > 1
    ]
    targets: list[Target] = []
    sync_hooks: list[Target] = []
    delete_hooks: list[Target] = []
    for (key, _), manifest in chosen.items():
        if is_excluded(key.group, key.kind):
            conditions.append(
                (
                    EXCLUDED_RESOURCE_WARNING,
                    f"Resource {key.group}/{key.kind} {key.name} is excluded in the settings",
                )
            )
            continue
        if not key.namespace and is_namespaced(key.group, key.kind):
            version = gvk_of(manifest).version
            text = f"Namespace for {key.name} {key.group}/{version}, Kind={key.kind} is missing."
            conditions.append((INVALID_SPEC_ERROR, text))
        if hooks.is_sync_hook(manifest):
            sync_hooks.append(make_target(normalize(manifest)))
        elif hooks.is_delete_hook(manifest):
            delete_hooks.append(make_target(normalize(manifest)))
        elif not hooks.is_hook(manifest):
            targets.append(make_target(normalize(manifest)))
    return PreparedTargets(tuple(targets), tuple(sync_hooks), tuple(delete_hooks), tuple(conditions))


def _place(
    manifest: Manifest,
    is_namespaced: Callable[[str, str], bool | None],
    destination_namespace: str,
    tracking: Tracking,
    instance: str,
) -> Manifest:
    """Namespace and tracking marks. Unknown scope counts as namespaced (sync.md 3.2)."""
    key = key_of(manifest)
    namespace = key.namespace
    if is_namespaced(key.group, key.kind) is False:
        namespace = ""
    elif not namespace:
        namespace = destination_namespace
    moved = namespace != key.namespace
    if moved:
        metadata = dict(manifest.get("metadata") or {})
        if namespace:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        manifest = {**manifest, "metadata": metadata}
    try:
        if moved and instance:
            # even a CRD gets tracking marks here, as in the reference (sync.md 2.3)
            return tracking.stamp_always(manifest, instance, destination_namespace)
        return tracking.stamp(manifest, instance, destination_namespace)
    except TrackingError as error:
        raise TargetError(
            f"failed to set app instance label on resource {key.kind}/{key.name}: {error}"
        ) from error
