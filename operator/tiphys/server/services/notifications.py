"""NotificationService: names of triggers, templates and services (api.md 9; operations.md 3.1).

They are keys of ``argocd-notifications-cm``: ``trigger.<name>``, ``template.<name>``,
``service.<type>`` and ``service.<type>.<name>``. The old form, all in ``config.yaml``, counts, too.
Only names leave here; values may quote secrets. Whoever is logged in may ask.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml

from tiphys.kube.errors import NotFound
from tiphys.resources.identity import GVK
from tiphys.resources.messages.notification import (
    Service,
    ServiceList,
    ServicesListRequest,
    Template,
    TemplateList,
    TemplatesListRequest,
    Trigger,
    TriggerList,
    TriggersListRequest,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.state import State

CONFIG_MAP = GVK("", "v1", "ConfigMap")
NAME = "argocd-notifications-cm"
PATH = "/api/v1/notifications"


class Names(msgspec.Struct, frozen=True):
    """What is configured, each sorted."""

    triggers: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


class NotificationService:
    """See the module."""

    package, service = "notification", "NotificationService"

    def __init__(self, state: State):
        self._state = state

    @rpc("ListTriggers", Route("GET", f"{PATH}/triggers"))
    async def list_triggers(self, call: Call, request: TriggersListRequest) -> TriggerList:
        """Names of triggers."""
        names = await self._names()
        return TriggerList(items=tuple(Trigger(name=name) for name in names.triggers))

    @rpc("ListTemplates", Route("GET", f"{PATH}/templates"))
    async def list_templates(self, call: Call, request: TemplatesListRequest) -> TemplateList:
        """Names of templates."""
        names = await self._names()
        return TemplateList(items=tuple(Template(name=name) for name in names.templates))

    @rpc("ListServices", Route("GET", f"{PATH}/services"))
    async def list_services(self, call: Call, request: ServicesListRequest) -> ServiceList:
        """Names of services."""
        names = await self._names()
        return ServiceList(items=tuple(Service(name=name) for name in names.services))

    async def _names(self) -> Names:
        try:
            found = await self._state.client.get(CONFIG_MAP, self._state.namespace, NAME)
        except NotFound:
            return Names()
        return names_of(found.get("data") or {})


def names_of(data: Mapping[str, str]) -> Names:
    """The names in the ConfigMap's data.

    Raises:
        ApiFailure: Unknown, a key of a service has a wrong shape.
    """
    triggers, templates, services = _old_names(data.get("config.yaml", ""))
    for key in data:
        kind, dot, name = key.partition(".")
        if kind == "trigger" and dot:
            triggers.add(name)
        elif kind == "template" and dot:
            templates.add(name)
        elif kind == "service" and dot:
            parts = name.split(".")
            if len(parts) > 2:
                raise unknown(f"invalid service key; expected 'service.<type>(.<name>)' but got '{key}'")
            services.add(parts[-1])
    return Names(_sorted(triggers), _sorted(templates), _sorted(services))


def _old_names(text: str) -> tuple[set[str], set[str], set[str]]:
    """Names in the form that is not written any more; one that cannot be read names nothing."""
    try:
        config: Any = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict):
        return set(), set(), set()
    lists = (config.get("triggers"), config.get("templates"))
    triggers, templates = (
        {str(each["name"]) for each in entries if isinstance(each, dict) and each.get("name")}
        if isinstance(entries, list)
        else set()
        for entries in lists
    )
    return triggers, templates, set()


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
