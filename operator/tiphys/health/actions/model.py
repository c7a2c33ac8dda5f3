"""What actions are made of: the description of one, what running one impacts, what can go wrong."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from tiphys.resources.identity import Manifest

CREATE = "create"
PATCH = "patch"

DISCOVERING = "error executing Lua discovery script"
GETTING = "error getting Lua resource action"
EXECUTING = "error executing Lua resource action"
SETTINGS = "error getting resource overrides"


class ActionParam(msgspec.Struct, frozen=True):
    """A parameter of an action; values are always text."""

    name: str


class ResourceAction(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What a user can do with an object (health-and-resources.md 5.1), in the JSON of the API."""

    name: str = ""
    params: tuple[ActionParam, ...] = ()
    disabled: bool = False
    icon_class: str = ""
    display_name: str = ""


class Impacted(msgspec.Struct, frozen=True):
    """An object that an action wants created or patched: ``manifest`` is the whole object as it
    shall be, also for a patch."""

    operation: str
    manifest: Manifest


class Call(msgspec.Struct, frozen=True):
    """What an action is run with."""

    params: Mapping[str, str]
    now: datetime


class ActionError(Exception):
    """An action cannot be found, listed or run. ``stage`` is where, ``why`` the bare reason."""

    def __init__(self, stage: str, why: str) -> None:
        super().__init__(f"{stage}: {why}")
        self.stage = stage
        self.why = why
