"""The health of one object: who decides, in which order (health-and-resources.md 1.2).

1. being deleted → Progressing, whatever anybody customised (a hook under its finalizer excepted);
2. the admin's script for exactly this kind, 3. the admin's script whose glob matches;
4. and 5. the bundled rules, for exactly this kind or by pattern (``bundled/``);
6. the built-in check; 7. no health at all.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from tiphys.health.builtin import builtin
from tiphys.health.bundled import find_check
from tiphys.health.hooks import HOOK_FINALIZER
from tiphys.health.lua import LuaHost, Override, find_override
from tiphys.health.model import PROGRESSING, Health
from tiphys.resources.identity import Manifest, gvk_of

Bundled = Callable[[Manifest], Health | None]
"""Other rules in place of the bundled ones: the health of an object, ``None`` when no rule is for
its kind."""


def assess(
    manifest: Manifest,
    overrides: Mapping[str, Override] | None = None,
    *,
    host: LuaHost | None = None,
    bundled: Bundled | None = None,
) -> Health | None:
    """The health of a live object, ``None`` when nothing assesses its kind.

    Never raises for what an object or a script does: that is ``Unknown`` with ``error`` set.

    Args:
        overrides: ``Settings.overrides``.
        host: runs scripts; one per process unless given.
        bundled: rules in place of the bundled tables.
    """
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict) and metadata.get("deletionTimestamp"):
        finalizers = metadata.get("finalizers")
        if not isinstance(finalizers, list) or HOOK_FINALIZER not in finalizers:
            return Health(PROGRESSING, "Pending deletion")
    gvk = gvk_of(manifest)
    if overrides:
        override = find_override(gvk.group_kind, overrides)
        if override is not None:
            runner = host or _default_host()
            return runner.health(override.health_lua, manifest, open_libs=override.use_open_libs)
    if bundled is not None:
        verdict = bundled(manifest)
        if verdict is not None:
            return verdict
    else:
        check = find_check(gvk.group_kind)
        if check is not None:
            return check(manifest)
    return builtin(manifest, gvk)


@lru_cache(maxsize=1)
def _default_host() -> LuaHost:
    """Made at the first script, so that installations without scripts never start Lua."""
    return LuaHost()
