"""Which actions an object has and what running one means (health-and-resources.md 5.1, 5.2).

The admin's scripts for exactly this kind come first; built-in actions join when there are no
scripts or the admin merges them. An action that the scripts do not define is looked for among the
built-in ones, whether merged or not. Everything here is pure: an object in, objects out; who may
run an action and how objects get to the cluster is the server's business.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from tiphys.health.actions import builtin, custom
from tiphys.health.actions.model import GETTING, ActionError, Call, Impacted, ResourceAction
from tiphys.health.lua import LuaHost
from tiphys.resources.identity import Manifest, gvk_of


class ActionOverride(Protocol):
    """The part of ``settings.model.ResourceOverride`` that actions need."""

    @property
    def actions(self) -> str: ...


Overrides = Mapping[str, ActionOverride]


def discover_actions(
    manifest: Manifest, overrides: Overrides | None = None, *, host: LuaHost | None = None
) -> list[ResourceAction]:
    """The actions of a live object, by name.

    Args:
        overrides: ``Settings.overrides``; only the exact key of the kind counts.
        host: runs users' scripts; one per process unless given.

    Raises:
        ActionError: the settings or a script are wrong.
    """
    kind = gvk_of(manifest).group_kind
    own = _own(str(kind), overrides)
    found: dict[str, ResourceAction] = {}
    if own is not None and own.discovery:
        for action in custom.discover(own.discovery, manifest, host or _default_host()):
            found.setdefault(action.name, action)
    if own is None or own.merges_builtin:
        for action in builtin.offered(kind, manifest):
            found.setdefault(action.name, action)
    return [found[name] for name in sorted(found)]


def run_action(
    manifest: Manifest,
    name: str,
    params: Mapping[str, str] | None = None,
    overrides: Overrides | None = None,
    *,
    now: datetime,
    host: LuaHost | None = None,
) -> tuple[Impacted, ...]:
    """What an action does with a live object, in order; empty when a script returns nothing to do.

    Whether discovery offers the action or disables it is not looked at, as in the reference.

    Args:
        now: the moment that built-in actions write (an aware datetime); users' scripts have a clock.

    Raises:
        ActionError: there is no such action, or it failed.
    """
    kind = gvk_of(manifest).group_kind
    own = _own(str(kind), overrides)
    if own is not None and name in own.definitions:
        return custom.run(own.definitions[name], manifest, params or {}, host or _default_host())
    action = builtin.find(kind, name)
    if action is None:
        raise ActionError(GETTING, "built-in script does not exist")
    return action.run(manifest, Call(params or {}, now))


def _own(kind: str, overrides: Overrides | None) -> custom.CustomActions | None:
    override = overrides.get(kind) if overrides else None
    return custom.read_actions(override.actions) if override is not None and override.actions else None


@lru_cache(maxsize=1)
def _default_host() -> LuaHost:
    """Made at the first script, so that installations without scripts never start Lua."""
    return LuaHost()
