"""Whether Kopf's watches are alive, seen from the requests that Kopf sends.

Kopf tells nobody whether its streams stand. But it sends its requests through a session of ours, so
we can look on: a watch is live from the moment its request was answered until the next request for
the same kind begins. A second list of a kind means that the history in between is lost (410): what
was deleted then will never be told, so whoever keeps objects of that kind must compare.
"""

from collections.abc import Callable, Iterable
from types import SimpleNamespace

import aiohttp


class Liveness:
    """State of each watched kind (by its plural name).

    Args:
        kinds: plural names of what must be watched for us to be ready.
        on_gap: called with a plural name when its history was lost and it is listed anew.
    """

    def __init__(self, kinds: Iterable[str], on_gap: Callable[[str], None] = lambda kind: None):
        self._live = dict.fromkeys(kinds, False)
        self._lists = dict.fromkeys(kinds, 0)
        self._on_gap = on_gap

    def missing(self) -> str:
        """``""`` when every watch stands, else a sentence that names those that do not."""
        down = [kind for kind, live in sorted(self._live.items()) if not live]
        return f"no live watch of {', '.join(down)}" if down else ""

    def tracing(self) -> aiohttp.TraceConfig:
        """For the session that Kopf uses."""
        trace = aiohttp.TraceConfig()

        async def begins(
            _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
        ) -> None:
            kind = params.url.path.rsplit("/", 1)[-1]
            context.kind = kind if params.method == "GET" and kind in self._live else ""
            if context.kind:
                context.watch = params.url.query.get("watch") == "true"
                self._live[kind] = False
                context.first_page = "continue" not in params.url.query

        async def answered(
            _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
        ) -> None:
            if not context.kind or params.response.status != 200:
                return
            if context.watch:
                self._live[context.kind] = True
            elif context.first_page:
                self._lists[context.kind] += 1
                if self._lists[context.kind] > 1:
                    self._on_gap(context.kind)

        trace.on_request_start.append(begins)
        trace.on_request_end.append(answered)
        return trace
