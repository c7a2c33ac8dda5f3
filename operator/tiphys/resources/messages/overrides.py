"""Customisations of kinds and tools as the API shows them (``SettingsService``, actions)."""

import msgspec

from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.meta import NO_TIME
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class AppHealthStatus(ApiObject, frozen=True):
    """The wire's name for the health of a whole application."""

    status: str = ""
    message: str = ""
    last_transition_time: Timestamp = NO_TIME


class Command(ApiObject, frozen=True):
    """A command with its arguments."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


class ComponentParameter(ApiObject, frozen=True):
    """A parameter of a component (of the reference's description; unused)."""

    component: str = ""
    name: str = always(str)
    value: str = always(str)


class ConfigManagementPlugin(ApiObject, frozen=True):
    """A plugin configured in the settings (unused since plugins are sidecars)."""

    name: str = always(str)
    init: Command | None = None
    generate: Command = always(Command)
    lock_repo: bool = False


class HelmOptions(ApiObject, frozen=True):
    """Options of Helm."""

    values_file_schemes: tuple[str, ...] = ()
    """Permitted schemes of remote value files."""


class KnownTypeField(ApiObject, frozen=True):
    """Says that a field of a custom resource is a Kubernetes type."""

    field: str = ""
    """Path of the field."""
    type: str = ""
    """Type such as ``core/v1/PodSpec``."""


class KustomizeVersion(ApiObject, frozen=True):
    """A further version of Kustomize."""

    name: str = ""
    path: str = ""
    """Path of the program."""
    build_options: str = ""


class KustomizeOptions(ApiObject, frozen=True):
    """Options of Kustomize."""

    build_options: str = ""
    binary_path: str = ""
    versions: tuple[KustomizeVersion, ...] = ()


class OverrideIgnoreDiff(ApiObject, frozen=True):
    """Fields that are left out of comparisons."""

    json_pointers: tuple[str, ...] = always(no_items)
    jq_path_expressions: tuple[str, ...] = always(no_items)
    managed_fields_managers: tuple[str, ...] = always(no_items)


class RefTarget(ApiObject, frozen=True):
    """A source that others refer to by ``$ref``."""

    repo: Repository = always(Repository)
    target_revision: str = ""
    chart: str = ""


class ResourceActionParam(ApiObject, frozen=True):
    """A parameter that an action takes."""

    name: str = ""


class ResourceAction(ApiObject, frozen=True):
    """Something that can be done with an object."""

    name: str = ""
    params: tuple[ResourceActionParam, ...] = ()
    disabled: bool = False
    """Not possible in the object's present state."""
    icon_class: str = ""
    """CSS classes of an icon."""
    display_name: str = ""


class ResourceActionDefinition(ApiObject, frozen=True):
    """An action in Lua."""

    name: str = always(str)
    action_lua: str = msgspec.field(default_factory=str, name="action.lua")


class ResourceActions(ApiObject, frozen=True):
    """The actions of a kind."""

    discovery_lua: str = msgspec.field(default="", name="discovery.lua")
    definitions: tuple[ResourceActionDefinition, ...] = ()
    merge_builtin_actions: bool = False


class ResourceOverride(ApiObject, frozen=True):
    """Customisation of a kind."""

    health_lua: str = ""
    """Health check in Lua."""
    ignore_differences: OverrideIgnoreDiff = always(OverrideIgnoreDiff)
    actions: str = ""
    """Actions as YAML text."""
    known_type_fields: tuple[KnownTypeField, ...] = ()
    use_open_libs: bool = False
    """The health check may use Lua's standard libraries."""
    ignore_resource_updates: OverrideIgnoreDiff = always(OverrideIgnoreDiff)
