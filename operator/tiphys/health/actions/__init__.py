"""Actions on live objects: discovery, parameters, execution; built-in ones and users' Lua."""

from tiphys.health.actions.editing import merge_patch
from tiphys.health.actions.model import (
    CREATE,
    PATCH,
    ActionError,
    ActionParam,
    Impacted,
    ResourceAction,
)
from tiphys.health.actions.resolving import discover_actions, run_action

__all__ = [
    "CREATE",
    "PATCH",
    "ActionError",
    "ActionParam",
    "Impacted",
    "ResourceAction",
    "discover_actions",
    "merge_patch",
    "run_action",
]
