"""Messages of the API package ``notification``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.shape import ApiObject


class Service(ApiObject, frozen=True):
    """Part of ``ServiceList``."""

    name: str | None = None


class ServiceList(ApiObject, frozen=True):
    """Answer of ``NotificationService.ListServices``."""

    items: tuple[Service, ...] = ()


class ServicesListRequest(ApiObject, frozen=True):
    """Request of ``NotificationService.ListServices``."""


class Template(ApiObject, frozen=True):
    """Part of ``TemplateList``."""

    name: str | None = None


class TemplateList(ApiObject, frozen=True):
    """Answer of ``NotificationService.ListTemplates``."""

    items: tuple[Template, ...] = ()


class TemplatesListRequest(ApiObject, frozen=True):
    """Request of ``NotificationService.ListTemplates``."""


class Trigger(ApiObject, frozen=True):
    """Part of ``TriggerList``."""

    name: str | None = None


class TriggerList(ApiObject, frozen=True):
    """Answer of ``NotificationService.ListTriggers``."""

    items: tuple[Trigger, ...] = ()


class TriggersListRequest(ApiObject, frozen=True):
    """Request of ``NotificationService.ListTriggers``."""
