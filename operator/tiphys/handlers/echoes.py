"""What Kopf need not be told: objects in a state that we hold already.

Most events of our own kinds are echoes of our own writes, whose answers were taken in before, and the
list that Kopf begins with is what was read a moment earlier. Kopf makes a task, a body, causes and
loggers of each event (about half a millisecond) for a handler that would find nothing new. So the session
that it sends its requests through is given answers that leave such objects out.

Left out is only what the handler would leave alone: an object that is held in this or a newer state. What
cannot be read in passing is passed on as it is; so are deletions and bookmarks.

Errors in a stream (etcd without a leader, a storage that begins anew) would end Kopf, and the process with
it, unless they say that the history is lost. All of them are told as that: everything is listed again.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import msgspec
import orjson

from tiphys.kube.streaming import LineSplitter
from tiphys.resources.identity import Manifest

Known = Callable[[Manifest], bool]
"""Whether an object (its metadata are given) is held in this or a newer state."""


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    uid: str
    resource_version: str
    namespace: str = ""

    def as_manifest(self) -> Manifest:
        return {
            "name": self.name,
            "namespace": self.namespace,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
        }


class _Object(msgspec.Struct):
    metadata: _Metadata


class _Event(msgspec.Struct):
    type: str
    object: _Object


_event = msgspec.json.Decoder(_Event)


def is_echo(line: bytes, known: Known) -> bool:
    """Whether a line of a watch tells nothing new."""
    try:
        event = _event.decode(line)
    except msgspec.MsgspecError:
        return False
    return event.type in ("ADDED", "MODIFIED") and known(event.object.metadata.as_manifest())


LOST = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"list again"}}'


def survivable(line: bytes) -> bytes:
    """A line of a watch; an error of any kind as one that Kopf lists again for."""
    return LOST if b'"ERROR"' in line[:20] else line


def without_known(body: Any, known: Known) -> Any:
    """A list (as read from the API) without what is held already."""
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        return body
    news = [item for item in body["items"] if not (isinstance(item, dict) and _is_known(item, known))]
    return {**body, "items": news}


def _is_known(item: Mapping[str, Any], known: Known) -> bool:
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and "name" in metadata and known(metadata)


def listening(known: Mapping[str, Known]) -> type[aiohttp.ClientResponse]:
    """Answers for the session that Kopf uses.

    Args:
        known: by plural name; kinds that are not in it are passed on whole.
    """

    class Answer(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.status == 200 and self.url.query.get("watch") == "true":
                # Kopf reads chunks only
                self.content = _Lines(self.content, self._known())  # type: ignore[assignment]
            return self

        async def json(self, **options: Any) -> Any:
            held = self._known()
            if held is None or self.status != 200:
                return await super().json(**options)
            return without_known(orjson.loads(await self.read()), held)

        def _known(self) -> Known | None:
            return known.get(self.url.path.rsplit("/", 1)[-1]) if self.method == "GET" else None

    return Answer


class _Lines:
    """The content of a watch without the lines that tell nothing new, and without errors to die of."""

    def __init__(self, content: aiohttp.StreamReader, known: Known | None) -> None:
        self._content = content
        self._known = known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Whole lines, as they come."""
        lines = LineSplitter()
        async for data in self._content.iter_chunked(size):
            news = [
                survivable(line)
                for line in lines.feed(data)
                if self._known is None or not is_echo(line, self._known)
            ]
            if news:
                yield b"\n".join((*news, b""))
