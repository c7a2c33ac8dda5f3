"""Jsonnet files of a directory, evaluated in a worker process with limits (``sources.md`` 4).

What a file imports is known only by evaluating it, so the key of a directory with Jsonnet files
holds the whole tree of the repository.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tiphys.resources.identity import Manifest
from tiphys.resources.source import ApplicationSourceJsonnet, JsonnetVar
from tiphys.sources.errors import SourceError
from tiphys.sources.render.environment import substitute
from tiphys.sources.render.files import Files, OutsideRoot, clean
from tiphys.sources.render.tools import Tools, hide_paths
from tiphys.sources.yamlgo import YamlError, load_json

_WORKER = Path(__file__).with_name("jsonnet_worker.py")


class JsonnetJob(msgspec.Struct, frozen=True):
    """Options after substitution; ``libraries`` are paths from the repository's root."""

    libraries: tuple[str, ...]
    ext: dict[str, str]
    ext_code: dict[str, str]
    tla: dict[str, str]
    tla_code: dict[str, str]


def jsonnet_job(
    directory: str, options: ApplicationSourceJsonnet, environment: Mapping[str, str]
) -> JsonnetJob:
    """Import path: the application's directory, then each library. Raises SourceError."""

    def chosen(given: Sequence[JsonnetVar], code: bool) -> dict[str, str]:
        return {each.name: substitute(each.value, environment) for each in given if each.code is code}

    try:
        libraries = tuple(clean(each) for each in options.libs)
    except OutsideRoot as error:
        text = f"error getting jsonnet import path: file '{error}' resolved to outside repository root"
        raise SourceError("Unknown", text) from None
    return JsonnetJob(
        (directory, *libraries),
        chosen(options.ext_vars, False),
        chosen(options.ext_vars, True),
        chosen(options.tlas, False),
        chosen(options.tlas, True),
    )


async def evaluate(
    tools: Tools, files: Files, names: Mapping[str, str], job: JsonnetJob
) -> dict[str, list[Manifest]]:
    """Objects of each file; ``names``: name for people → path in the repository. Raises SourceError."""
    result: dict[str, list[Manifest]] = {}
    async with files.materialize(("",)) as root, tools.folder() as folder:
        for name, path in names.items():
            body = {"root": str(root), "file": path, **msgspec.to_builtins(job)}
            done = await tools.run(
                [sys.executable, "-I", str(_WORKER)],
                cwd=folder,
                home=folder / "home",
                stdin=orjson.dumps(body),
            )
            if done.code != 0:
                why = hide_paths(done.errors.strip(), root, (folder,))
                raise SourceError("FailedPrecondition", f'Failed to evaluate jsonnet "{name}": {why}')
            result[name] = _objects(name, done.output)
    return result


def _objects(name: str, output: bytes) -> list[Manifest]:
    try:
        value: Any = load_json(output, name)
    except YamlError as error:
        raise _no_object(name, str(error)) from None
    objects = value if isinstance(value, list) else [value]
    for each in objects:
        if not isinstance(each, dict):
            raise _no_object(name, "not an object or an array of objects")
        if not isinstance(each.get("kind"), str) or not each["kind"]:
            raise _no_object(name, "Object 'Kind' is missing")
    return objects


def _no_object(name: str, why: str) -> SourceError:
    return SourceError("FailedPrecondition", f'Failed to unmarshal generated json "{name}": {why}')
