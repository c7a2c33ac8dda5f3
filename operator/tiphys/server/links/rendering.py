"""What the settings say of deep links, and the links that it makes for some objects (api.md 14).

A text of the settings is understood once. A link that cannot be understood, whose condition fails or is
no boolean, or whose template fails is left out and told in the log; the others are shown. Templates are
bounded by the engines; they run in a thread, since users write them.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from tiphys.resources.messages.application import LinkInfo, LinksResponse
from tiphys.server.links.data import Objects
from tiphys.sources.yamlgo import YamlError, load_value
from tiphys.telemetry.logs import get_logger
from tiphys.templating.expr import ExpressionError, Program
from tiphys.templating.gotemplate import Template, TemplateError, from_kubernetes
from tiphys.templating.sprig import functions

log = get_logger(__name__)


class _Link(msgspec.Struct, frozen=True):
    title: str
    url: Template
    description: str | None = None
    icon_class: str | None = None
    condition: Program | None = None


class Links:
    """Makes links.

    Args:
        clock: what ``now`` gives in templates and conditions.
    """

    def __init__(self, clock: Callable[[], datetime]):
        self._clock = clock
        self._understood = lru_cache(maxsize=16)(self._understand)

    async def of(self, text: str, objects: Objects) -> LinksResponse:
        """The links that one key of the settings makes for objects, in its order."""
        links = self._understood(text)
        if not links:
            return LinksResponse()
        return await asyncio.to_thread(self._made, links, objects)

    def _made(self, links: tuple[_Link, ...], objects: Objects) -> LinksResponse:
        items = []
        for link in links:
            try:
                data = from_kubernetes(objects)  # anew: functions such as set change what they get
                if link.condition is not None:
                    wanted = link.condition.run(data, self._clock)
                    if not isinstance(wanted, bool):
                        raise ExpressionError("the condition is no boolean")
                    if not wanted:
                        continue
                items.append(
                    LinkInfo(
                        title=link.title,
                        url=link.url.render(data),
                        description=link.description,
                        icon_class=link.icon_class,
                    )
                )
            except (ExpressionError, TemplateError) as error:
                log.warning("a deep link was left out: %s", error, extra={"link": link.title})
        return LinksResponse(items=tuple(items))

    def _understand(self, text: str) -> tuple[_Link, ...]:
        try:
            entries = load_value(text.encode(), "deep links") if text.strip() else None
        except YamlError as error:
            log.warning("deep links cannot be read: %s", error)
            return ()
        if not isinstance(entries, list):
            if entries is not None:
                log.warning("deep links cannot be read: they are no list")
            return ()
        known = functions(self._clock)
        found = []
        for entry in entries:
            try:
                found.append(_link(entry, known))
            except (ExpressionError, TemplateError, ValueError) as error:
                log.warning("a deep link was left out: %s", error)
        return tuple(found)


def _link(entry: Any, known: Mapping[str, Any]) -> _Link:
    if not isinstance(entry, dict):
        raise ValueError("it is no mapping")
    texts = {name: entry.get(name) for name in ("title", "url", "description", "icon.class", "if")}
    wrong = [name for name, value in texts.items() if value is not None and not isinstance(value, str)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: no text")
    condition = texts["if"]
    return _Link(
        title=texts["title"] or "",
        url=Template.parse(texts["url"] or "", "deep-link", functions=known),
        description=texts["description"],
        icon_class=texts["icon.class"],
        condition=Program.compile(condition) if condition else None,
    )
