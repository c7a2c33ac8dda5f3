"""Users' actions: Lua in ``argocd-cm`` under the contract of health-and-resources.md 5.1 and 5.2.

Scripts run in the default sandbox, without the string library, as the reference's do.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.health.actions.editing import with_empty_maps
from tiphys.health.actions.model import (
    CREATE,
    DISCOVERING,
    EXECUTING,
    PATCH,
    SETTINGS,
    ActionError,
    ActionParam,
    Impacted,
    ResourceAction,
)
from tiphys.health.lua import LuaHost, ScriptError
from tiphys.resources.identity import Manifest
from tiphys.settings.problems import load_yaml


class CustomActions(msgspec.Struct, frozen=True):
    """The ``actions`` of one kind in the settings."""

    discovery: str = ""
    definitions: Mapping[str, str] = {}
    merges_builtin: bool = False


def read_actions(text: str) -> CustomActions:
    """The decoded YAML of an override.

    Raises:
        ActionError: it is not of that form.
    """
    try:
        value = load_yaml(text) or {}
        if not isinstance(value, dict):
            raise ValueError("actions must be a map")
        entries = value.get("definitions") or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("definitions must be a list of maps")
        definitions: dict[str, str] = {}
        for entry in entries:
            definitions.setdefault(str(entry.get("name") or ""), str(entry.get("action.lua") or ""))
        merges = value.get("mergeBuiltinActions") or False
        if not isinstance(merges, bool):
            raise ValueError("mergeBuiltinActions must be true or false")
        return CustomActions(str(value.get("discovery.lua") or ""), definitions, merges)
    except ValueError as error:
        raise ActionError(SETTINGS, str(error)) from None


def discover(script: str, obj: Manifest, host: LuaHost) -> list[ResourceAction]:
    """What a discovery script offers.

    Raises:
        ActionError: it failed, or what it returned is no table of actions.
    """
    try:
        value = host.evaluate(script, obj, nothing=False)
    except ScriptError as error:
        raise ActionError(DISCOVERING, str(error)) from None
    if value == []:
        return []
    if not isinstance(value, dict):
        raise ActionError(DISCOVERING, "expect a table of actions by name, not a list")
    return [_action(name, attributes) for name, attributes in value.items()]


def _action(name: str, value: Any) -> ResourceAction:
    if value == []:
        return ResourceAction(name)
    if not isinstance(value, dict):
        raise ActionError(DISCOVERING, f"the attributes of action {name} are no table")
    params = value.get("params") or []
    if not isinstance(params, list) or not all(isinstance(param, dict) for param in params):
        raise ActionError(DISCOVERING, f"the params of action {name} are no list of tables")
    return ResourceAction(
        _text(name, value, "name") or name,
        tuple(ActionParam(_text(name, param, "name")) for param in params),
        _disabled(name, value.get("disabled")),
        _text(name, value, "iconClass"),
        _text(name, value, "displayName"),
    )


def _text(action: str, value: Mapping[str, Any], field: str) -> str:
    found = value.get(field)
    if found is not None and not isinstance(found, str):
        raise ActionError(DISCOVERING, f"{field} of action {action} is no text")
    return found or ""


def _disabled(action: str, value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ActionError(DISCOVERING, f"disabled of action {action} is not true or false")
    return bool(value)


def run(script: str, obj: Manifest, params: Mapping[str, str], host: LuaHost) -> tuple[Impacted, ...]:
    """What an action script impacts: one object (patched), or a list of operations.

    Raises:
        ActionError: it failed, or what it returned is neither.
    """
    try:
        value = host.evaluate(script, obj, params=params, nothing=False)
    except ScriptError as error:
        raise ActionError(EXECUTING, str(error)) from None
    if isinstance(value, dict):
        return (Impacted(PATCH, with_empty_maps(value, obj)),)
    return tuple(_impacted(entry, obj) for entry in value)


def _impacted(entry: Any, obj: Manifest) -> Impacted:
    operation = entry.get("operation") if isinstance(entry, dict) else None
    if operation not in (CREATE, PATCH):
        raise ActionError(EXECUTING, f'unsupported operation: "{operation or ""}"')
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        raise ActionError(EXECUTING, f"the resource to {operation} is no object")
    return Impacted(operation, with_empty_maps(resource, obj) if operation == PATCH else resource)
