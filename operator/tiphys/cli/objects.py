"""What the commands about objects share: reading objects and settings, writing JSON lines.

Objects come as YAML or JSON, many in a file, Lists and JSON arrays taken apart, and are handed on
as soon as they are complete, so that a pipe (``kubectl get -w -o json``) is answered while it runs.
A document that cannot be read, or is no object of Kubernetes, is told on stderr and costs the exit
status, not the objects around it.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from tiphys.resources.identity import Manifest, key_of
from tiphys.settings.customizations import read_overrides
from tiphys.settings.model import ResourceOverride
from tiphys.settings.problems import Problems
from tiphys.sources.yamlgo import YamlError, iterate_documents

FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
SETTINGS = click.option(
    "--settings",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An argocd-cm (a ConfigMap) whose resource.customizations are to be tried.",
)


class Output:
    """JSON lines on stdout, complaints on stderr; ``failed`` after the first complaint."""

    def __init__(self) -> None:
        self.failed = False
        self._stream = sys.stdout.buffer

    def line(self, value: Mapping[str, Any]) -> None:
        try:
            written = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # halves of surrogate pairs, numbers beyond 64 bits
            written = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self._stream.write(written)

    def flush(self) -> None:
        self._stream.flush()

    def complain(self, text: str) -> None:
        self.failed = True
        click.echo(text, err=True)


def names_of(manifest: Manifest) -> dict[str, str]:
    """The four names that lines begin with."""
    key = key_of(manifest)
    return {"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name}


def read_settings(path: Path | None) -> Mapping[str, ResourceOverride]:
    """The customisations of an ``argocd-cm``.

    Raises:
        click.ClickException: it cannot be read; the text names the keys.
    """
    if path is None:
        return {}
    try:
        found = list(iterate_documents(path.read_bytes(), str(path)))
    except YamlError as error:
        raise click.ClickException(f"{path}: {error}") from None
    if len(found) != 1 or found[0].get("kind") != "ConfigMap":
        raise click.ClickException(f"{path}: expected one ConfigMap")
    data = found[0].get("data") or {}
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise click.ClickException(f"{path}: the data of a ConfigMap are texts by key")
    problems = Problems()
    overrides = read_overrides(data, {}, problems)
    if problems.found:
        lines = [f"{key}: {why}" for key, why in problems.found.items()]
        raise click.ClickException("\n".join([f"{path} cannot be used:", *lines]))
    return overrides


def read_objects(files: Iterable[str], output: Output) -> Iterator[Manifest]:
    """Every object of the files in order; ``-`` is stdin. Output is flushed between documents."""
    for file in files:
        with click.open_file(file, "rb") as stream:
            for number, chunk in enumerate(_chunks(stream), 1):
                try:
                    for manifest in _documents(chunk, file):
                        for found in _taken_apart(manifest):
                            if isinstance(found, str):
                                output.complain(f"{file}: part {number}: {found}")
                            else:
                                yield found
                except YamlError as error:
                    output.complain(f"{file}: part {number}: {error}")
                output.flush()


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Parts of a stream that are complete: JSON objects that end a line, or YAML between ``---``.

    Of JSON that is broken into lines without indentation, an object's end shows when the next begins.
    """
    held: list[bytes] = []
    is_json = False
    for line in lines:
        if line.startswith(b"---"):
            if held:
                yield b"".join(held)
            held, is_json = [line], False
            continue
        if not held or (len(held) == 1 and held[0].startswith(b"---")):
            is_json = is_json or line.startswith(b"{")
        if not held and not line.strip():
            continue
        if is_json and line.startswith(b"{") and held and held[-1].rstrip() == b"}":
            yield b"".join(held)
            held = []
        held.append(line)
        if is_json and line.rstrip().endswith(b"}") and line.startswith((b"}", b"{")):
            first = 1 if held[0].startswith(b"---") else 0
            below = held[first + 1 : first + 2]
            if below and held[first].rstrip() == b"{" and not below[0].startswith((b" ", b"\t")):
                continue
            yield b"".join(held)
            held, is_json = [], False
    if held:
        yield b"".join(held)


def _documents(chunk: bytes, where: str) -> Iterator[Manifest]:
    """Objects of a part; plain JSON takes the fast way, everything else is read as Go reads it."""
    if chunk.startswith((b"{", b"[", b"---")):
        try:
            value = orjson.loads(chunk.removeprefix(b"---"))
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict) and isinstance(value.get("kind"), str) and value["kind"]:
            yield value
            return
        if isinstance(value, list):
            yield {"apiVersion": "v1", "kind": "List", "items": value}
            return
    yield from iterate_documents(chunk, where)


def _taken_apart(manifest: Manifest) -> Iterator[Manifest | str]:
    """The objects of a List, also of Lists in it, or the object itself; a text says what is none."""
    problem = _problem(manifest)
    if problem:
        yield problem
        return
    kind, items = manifest["kind"], manifest.get("items")
    if kind == "List" and items is None:
        return
    if not kind.endswith("List") or not isinstance(items, list):
        yield manifest
        return
    if kind != "List" and not all(isinstance(item, dict) for item in items):  # a kind of this name
        yield manifest
        return
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            yield f"items[{position}] is no object"
            continue
        if not item.get("kind") and kind != "List":
            item = {"apiVersion": manifest.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        yield from _taken_apart(item)


def _problem(manifest: Manifest) -> str:
    """Why a map is no object of Kubernetes; empty when it is one."""
    if not isinstance(manifest.get("kind"), str) or not manifest["kind"]:
        return "an object without kind"
    if not isinstance(manifest.get("apiVersion") or "", str):
        return f"apiVersion of a {manifest['kind']} is no text"
    metadata = manifest.get("metadata") or {}
    if not isinstance(metadata, dict):
        return f"metadata of a {manifest['kind']} is no object"
    for name in ("name", "namespace"):
        if not isinstance(metadata.get(name) or "", str):
            return f"metadata.{name} of a {manifest['kind']} is no text"
    return ""
