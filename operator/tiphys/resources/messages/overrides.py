"""Customisations of kinds and tools as the API shows them (``SettingsService``, actions)."""

import msgspec

from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.meta import NO_TIME
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class AppHealthStatus(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    status: str = ""
    message: str = ""
    last_transition_time: Timestamp = NO_TIME


class Command(ApiObject, frozen=True):
    """Part of ``ConfigManagementPlugin``."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


class ComponentParameter(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    component: str = ""
    name: str = always(str)
    value: str = always(str)


class ConfigManagementPlugin(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    name: str = always(str)
    init: Command | None = None
    generate: Command = always(Command)
    lock_repo: bool = False


class HelmOptions(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    values_file_schemes: tuple[str, ...] = ()


class KnownTypeField(ApiObject, frozen=True):
    """Part of ``ResourceOverride``."""

    field: str = ""
    type: str = ""


class KustomizeVersion(ApiObject, frozen=True):
    """Part of ``KustomizeOptions``."""

    name: str = ""
    path: str = ""
    build_options: str = ""


class KustomizeOptions(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    build_options: str = ""
    binary_path: str = ""
    versions: tuple[KustomizeVersion, ...] = ()


class OverrideIgnoreDiff(ApiObject, frozen=True):
    """Part of ``ResourceOverride``."""

    json_pointers: tuple[str, ...] = always(no_items)
    jq_path_expressions: tuple[str, ...] = always(no_items)
    managed_fields_managers: tuple[str, ...] = always(no_items)


class RefTarget(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    repo: Repository = always(Repository)
    target_revision: str = ""
    chart: str = ""


class ResourceActionParam(ApiObject, frozen=True):
    """Part of ``ResourceAction``."""

    name: str = ""


class ResourceAction(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    name: str = ""
    params: tuple[ResourceActionParam, ...] = ()
    disabled: bool = False
    icon_class: str = ""
    display_name: str = ""


class ResourceActionDefinition(ApiObject, frozen=True):
    """Part of ``ResourceActions``."""

    name: str = always(str)
    action_lua: str = msgspec.field(default_factory=str, name="action.lua")


class ResourceActions(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    discovery_lua: str = msgspec.field(default="", name="discovery.lua")
    definitions: tuple[ResourceActionDefinition, ...] = ()
    merge_builtin_actions: bool = False


class ResourceOverride(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    health_lua: str = ""
    ignore_differences: OverrideIgnoreDiff = always(OverrideIgnoreDiff)
    actions: str = ""
    known_type_fields: tuple[KnownTypeField, ...] = ()
    use_open_libs: bool = False
    ignore_resource_updates: OverrideIgnoreDiff = always(OverrideIgnoreDiff)
