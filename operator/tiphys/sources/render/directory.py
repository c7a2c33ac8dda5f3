"""A directory of plain manifests: YAML and JSON files straight from the repository's objects.

``sources.md`` 4. No checkout, no process: a listing chooses the files, one batch reads them.
The key is the chosen files' names and contents and the options that choose them; nothing of the
application or the cluster is in it, so applications that share a directory share the render.
"""

import asyncio
import re
from collections.abc import Mapping

import msgspec

from tiphys.resources.identity import Manifest
from tiphys.resources.source import ApplicationSourceDirectory, ApplicationSourceJsonnet
from tiphys.settings.globs import glob_matches
from tiphys.sources.errors import SourceError
from tiphys.sources.render.cache import ParsedFiles
from tiphys.sources.render.files import Child, Entry, Files, OutsideRoot
from tiphys.sources.render.jsonnet import evaluate, jsonnet_job
from tiphys.sources.render.objects import IN_THREAD, dump, flattened, object_problem
from tiphys.sources.render.request import Output, Plan
from tiphys.sources.render.tools import Tools
from tiphys.sources.yamlgo import YamlError, iterate_documents, load_json

_MANIFEST = re.compile(r".*\.(yaml|yml|json|jsonnet)", re.DOTALL)
_TOP_LEVEL = re.compile(rb"^(apiVersion|kind|metadata):", re.MULTILINE)
_SKIP_MARK = b"+argocd:skip-file-rendering"


class ChosenFile(msgspec.Struct, frozen=True):
    """``name`` is relative to the application's directory."""

    name: str
    entry: Entry


async def plan_directory(
    tools: Tools,
    files: Files,
    directory: Entry,
    children: Mapping[str, Child],
    options: ApplicationSourceDirectory,
    environment: Mapping[str, str],
    *,
    parsed: ParsedFiles,
    max_size: int,
    jsonnet: bool,
) -> Plan:
    """``max_size``: bytes of all files together, 0: unlimited; ``jsonnet``: whether that tool is
    enabled. Raises SourceError."""
    chosen = await _chosen(files, directory, children, options)
    if not jsonnet:
        chosen = [each for each in chosen if not each.name.endswith(".jsonnet")]

    evaluated = {each.name: each.entry.path for each in chosen if each.name.endswith(".jsonnet")}
    job = jsonnet_job(directory.path, options.jsonnet or ApplicationSourceJsonnet(), environment)

    async def run() -> Output:
        plain = [each for each in chosen if each.name not in evaluated]
        contents = await files.read([each.entry for each in plain], max_size or 1 << 60)
        generated = await evaluate(tools, files, evaluated, job) if evaluated else {}
        texts = {each.name: text for each, text in zip(plain, contents, strict=True)}

        # A directory of one file has another content whenever it is rendered.
        keys: dict[str, bytes] = {}
        if len(plain) > 1:
            keys = {name: parsed.key(text, is_json=name.endswith(".json")) for name, text in texts.items()}
        known = {name: found for name, key in keys.items() if (found := parsed.get(key)) is not None}

        def work() -> dict[str, tuple[bytes, ...]]:
            objects: dict[str, list[Manifest]] = {}
            for each in chosen:
                if each.name in known:
                    continue
                if each.name in generated:
                    objects[each.name] = generated[each.name]
                elif _SKIP_MARK not in texts[each.name]:
                    objects[each.name] = _objects(each.name, texts[each.name])
            return {name: dump(found) for name, found in objects.items()}

        large = sum(len(text) for name, text in texts.items() if name not in known) > IN_THREAD
        dumped = await asyncio.to_thread(work) if large else work()
        for name, key in keys.items():
            if name in dumped:
                parsed.put(key, dumped[name])
        made = known | dumped
        return Output(tuple(body for each in chosen for body in made.get(each.name, ())))

    parts = [str(max_size)]
    for each in chosen:
        parts += (each.name, each.entry.oid)
    if evaluated:
        parts += ("jsonnet", directory.path, files.whole, msgspec.json.encode(job).decode())
    return Plan("Directory", tuple(parts), run, everything=bool(evaluated))


async def _chosen(
    files: Files,
    directory: Entry,
    children: Mapping[str, Child],
    options: ApplicationSourceDirectory,
) -> list[ChosenFile]:
    skip = len(directory.path) + 1 if directory.path else 0
    candidates = await files.below(directory) if options.recurse else children.values()
    chosen: list[ChosenFile] = []
    for child in candidates:
        name = child.path[skip:]
        if not options.disable_extension_filter and not _MANIFEST.fullmatch(name):
            continue
        # A link that leads out is an error even where the globs would refuse it.
        entry = await _target(files, child, name) if child.is_link else child.entry
        if entry is None or entry.is_directory:
            continue
        if options.exclude and glob_matches(options.exclude, name):
            continue
        if options.include and not glob_matches(options.include, name):
            continue
        chosen.append(ChosenFile(name, entry))
    return chosen


async def _target(files: Files, child: Child, name: str) -> Entry | None:
    try:
        found = await files.find(child.path)
    except OutsideRoot:
        raise SourceError(
            "Unknown",
            "failed to get potentially valid manifests: invalid manifest file "
            f'"{name}": illegal filepath in symlink at "{name}"',
        ) from None
    return found.entry if found else None


def _objects(name: str, text: bytes) -> list[Manifest]:
    if name.endswith(".json"):
        return [_json_object(name, text)]
    objects: list[Manifest] = []
    try:
        for each in iterate_documents(text, name):
            objects.append(each)
    except YamlError as error:
        if objects or _looks_like_manifest(text):
            raise SourceError("FailedPrecondition", f'Failed to unmarshal "{name}": {error}') from None
        return []
    for each in flattened(objects):
        if problem := object_problem(each):
            raise SourceError("FailedPrecondition", f'Failed to unmarshal "{name}": {problem}')
    return objects


def _looks_like_manifest(text: bytes) -> bool:
    """Stray values files are no manifests; what looks like one must be readable.

    The reference wants all three words. A manifest that only lost its ``kind`` would then count as
    no file at all, and its object would be pruned.
    """
    if all(word in text for word in (b"apiVersion:", b"kind:", b"metadata:")):
        return True
    return len(set(_TOP_LEVEL.findall(text))) > 1


def _json_object(name: str, text: bytes) -> Manifest:
    try:
        value = load_json(text, name)
    except YamlError as error:
        if error.document > 1:
            raise SourceError(
                "FailedPrecondition",
                f'Found multiple objects in "{name}". Only single objects are allowed in JSON files.',
            ) from None
        raise SourceError("FailedPrecondition", f'Failed to unmarshal "{name}": {error}') from None
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or not value["kind"]:
        raise SourceError(
            "FailedPrecondition", f"Failed to unmarshal \"{name}\": Object 'Kind' is missing in the object"
        )
    return value
