"""From parsed documents to the JSON of single objects: lists flattened, nothing else touched.

``sources.md`` 6. Large texts are parsed in a thread, so that the event loop goes on.
"""

import asyncio
from collections.abc import Iterable, Iterator

import orjson

from tiphys.resources.identity import Manifest
from tiphys.sources.errors import SourceError
from tiphys.sources.yamlgo import YamlError, load_documents

IN_THREAD = 64 * 1024
"""Bytes of text from which on parsing leaves the event loop."""


def flattened(objects: Iterable[Manifest]) -> Iterator[Manifest]:
    """Objects, with the members of every list in its place. Raises SourceError."""
    for each in objects:
        items = each.get("items", each)
        if isinstance(items, list):
            for item in items:
                if not isinstance(item, dict):
                    raise SourceError("Unknown", "items member is not an object")
                yield item
        elif items is None and "spec" not in each and "status" not in each:
            continue
        else:
            yield each


def dump(objects: Iterable[Manifest]) -> tuple[bytes, ...]:
    """JSON of each object. Raises SourceError for what JSON cannot hold."""
    try:
        return tuple(orjson.dumps(each) for each in flattened(objects))
    except (TypeError, orjson.JSONEncodeError) as error:
        raise SourceError("Unknown", f"failed to marshal object: {error}") from None


async def objects_of(output: bytes, tool: str) -> tuple[bytes, ...]:
    """JSON of the objects that a tool printed. Raises SourceError."""

    def work() -> tuple[bytes, ...]:
        return dump(load_documents(output, tool))

    try:
        return await asyncio.to_thread(work) if len(output) > IN_THREAD else work()
    except YamlError as error:
        raise SourceError("Unknown", f"failed to unmarshal output of {tool}: {error}") from None
