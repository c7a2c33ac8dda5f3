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


def object_problem(manifest: Manifest) -> str:
    """Why an object cannot be told from others, or ``""``.

    The API server refuses all of these; here the file can still be named.
    """
    if not isinstance(manifest.get("kind"), str) or not manifest["kind"]:
        return "Object 'Kind' is missing"
    if not isinstance(manifest.get("apiVersion") or "", str):
        return "apiVersion is not a text"
    metadata = manifest.get("metadata") or {}
    if not isinstance(metadata, dict):
        return "metadata is not a mapping"
    for field in ("name", "generateName", "namespace"):
        if not isinstance(metadata.get(field) or "", str):
            return f"metadata.{field} is not a text: put it in quotes"
    for field in ("labels", "annotations"):
        marks = metadata.get(field) or {}
        if not isinstance(marks, dict):
            return f"metadata.{field} is not a mapping"
        for key, value in marks.items():
            if not isinstance(value, str | None):
                return f"metadata.{field}: the value of {key} is not a text: put it in quotes"
    if not metadata.get("name") and not metadata.get("generateName"):
        return "metadata.name is missing"
    return ""


def dump(objects: Iterable[Manifest]) -> tuple[bytes, ...]:
    """JSON of each object. Raises SourceError for what is no object, or what JSON cannot hold."""
    found = list(flattened(objects))
    for each in found:
        if problem := object_problem(each):
            raise SourceError("FailedPrecondition", f"invalid object {_shown(each)}: {problem}")
    try:
        return tuple(orjson.dumps(each) for each in found)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise SourceError("Unknown", f"failed to marshal object: {error}") from None


def _shown(manifest: Manifest) -> str:
    """``ConfigMap "name"``, as far as it is there."""
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    return f'{manifest.get("kind") or "without kind"} "{name or ""}"'


async def objects_of(output: bytes, tool: str) -> tuple[bytes, ...]:
    """JSON of the objects that a tool printed. Raises SourceError."""

    def work() -> tuple[bytes, ...]:
        return dump(load_documents(output, tool))

    try:
        return await asyncio.to_thread(work) if len(output) > IN_THREAD else work()
    except YamlError as error:
        raise SourceError("Unknown", f"failed to unmarshal output of {tool}: {error}") from None
