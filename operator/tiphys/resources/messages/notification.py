"""Messages of the API package ``notification``."""

from tiphys.resources.shape import ApiObject


class Service(ApiObject, frozen=True):
    """A notification service of the settings."""

    name: str | None = None


class ServiceList(ApiObject, frozen=True):
    """The notification services."""

    items: tuple[Service, ...] = ()


class ServicesListRequest(ApiObject, frozen=True):
    """Asks for all services."""


class Template(ApiObject, frozen=True):
    """A template of the settings."""

    name: str | None = None


class TemplateList(ApiObject, frozen=True):
    """The templates."""

    items: tuple[Template, ...] = ()


class TemplatesListRequest(ApiObject, frozen=True):
    """Asks for all templates."""


class Trigger(ApiObject, frozen=True):
    """A trigger of the settings."""

    name: str | None = None


class TriggerList(ApiObject, frozen=True):
    """The triggers."""

    items: tuple[Trigger, ...] = ()


class TriggersListRequest(ApiObject, frozen=True):
    """Asks for all triggers."""
