"""Kustomize: the real ``kustomize build``, on the files it can read and nothing else.

``sources.md`` 10. Planning finds the closure in the repository's objects; the work materialises it
(shared, read-only), puts the application's options into a private copy of the kustomization
(``kustomize_edit``), and builds. Without options it builds the shared folder as it is.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import orjson

from tiphys.resources.source import ApplicationSourceKustomize
from tiphys.settings.model import RenderSettings
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.credentials import Handover
from tiphys.sources.git.process import redact
from tiphys.sources.outgoing import proxy_environment
from tiphys.sources.render.detection import KUSTOMIZATION_NAMES
from tiphys.sources.render.environment import substitute
from tiphys.sources.render.files import Child, Entry, Files, OutsideRoot, digest, join
from tiphys.sources.render.kustomize_closure import Closure, find_closure
from tiphys.sources.render.kustomize_edit import EditError, edit, has_edits
from tiphys.sources.render.objects import objects_of
from tiphys.sources.render.request import Output, Plan, RenderRequest
from tiphys.sources.render.tools import NO_NETWORK, Tools, copy_tree, hide_paths, replace_file
from tiphys.sources.yamlgo import YamlError, load_value


class _Build(msgspec.Struct, frozen=True):
    """Everything ``run`` needs."""

    tools: Tools
    files: Files
    directory: Entry
    closure: Closure
    options: ApplicationSourceKustomize
    binary: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    repository: Repository


async def plan_kustomize(
    tools: Tools,
    files: Files,
    directory: Entry,
    children: Mapping[str, Child],
    request: RenderRequest,
    options: ApplicationSourceKustomize,
    environment: Mapping[str, str],
) -> Plan:
    """Raises SourceError."""
    binary = _binary(tools, request.settings, options.version)
    options = _substituted(options, environment)
    options = await _existing_components(files, directory, options)
    extra = [*options.components, *(patch.path for patch in options.patches if patch.path)]
    closure = await find_closure(files, directory, children, extra)
    arguments = _build_arguments(request, options)
    parts = [binary, directory.path, *arguments, digest(str(msgspec.json.encode(options)))]
    if closure.remote or closure.whole:
        parts += ("whole", files.whole, request.revision if closure.remote else "")
    else:
        for path in sorted(closure.entries):
            parts += (path, closure.entries[path])
    build = _Build(
        tools, files, directory, closure, options, binary, tuple(arguments), environment, request.repository
    )
    return Plan(
        "Kustomize", tuple(parts), lambda: _run(build), uses_revision=closure.remote, everything=closure.whole
    )


def _binary(tools: Tools, settings: RenderSettings, version: str) -> str:
    if not version:
        return tools.kustomize
    known = settings.kustomize_version(version)
    if known is None:
        raise SourceError("Unknown", f"kustomize version {version} is not registered")
    return known.path


def _substituted(
    options: ApplicationSourceKustomize, environment: Mapping[str, str]
) -> ApplicationSourceKustomize:
    """``sources.md`` 7: images and label values always, annotation values when asked."""
    annotations = options.common_annotations
    if options.common_annotations_envsubst:
        annotations = {key: substitute(text, environment) for key, text in annotations.items()}
    return msgspec.structs.replace(
        options,
        images=tuple(substitute(image, environment) for image in options.images),
        common_labels={key: substitute(text, environment) for key, text in options.common_labels.items()},
        common_annotations=annotations,
    )


async def _existing_components(
    files: Files, directory: Entry, options: ApplicationSourceKustomize
) -> ApplicationSourceKustomize:
    if not options.ignore_missing_components or not options.components:
        return options
    present: list[str] = []
    for component in options.components:
        try:
            found = await files.find(join(directory.path, component))
        except OutsideRoot:
            continue
        if found is not None or "://" in component:
            present.append(component)
    return msgspec.structs.replace(options, components=tuple(present))


def _build_arguments(request: RenderRequest, options: ApplicationSourceKustomize) -> list[str]:
    """Build options of the settings; Helm versions only where Helm is enabled there."""
    text = request.settings.kustomize_build_options
    arguments = text.split()
    if "--enable-helm" in text:
        if version := options.kube_version or request.kube_version:
            arguments += ["--helm-kube-version", version]
        for each in sorted(options.api_versions or request.api_versions):
            arguments += ["--helm-api-versions", each]
    return arguments


async def _run(build: _Build) -> Output:
    closure = build.closure
    paths = ("",) if closure.remote or closure.whole else tuple(closure.entries)
    async with build.files.materialize(paths) as shared, build.tools.folder() as folder:
        root, commands = shared, tuple[str, ...]()
        if closure.charts or has_edits(build.options):
            # Helm unpacks charts beside the kustomization; options change it: on a private copy.
            root = folder / "files"
            await copy_tree(shared, root)
            commands = _edited(root / build.directory.path, build.options)
        argv = [build.binary, "build", str(root / build.directory.path), *build.arguments]
        async with _reaching(build) as reach:
            environment = dict(build.environment) | dict(reach.env)
            done = await build.tools.run(argv, cwd=root, home=folder / "home", environment=environment)
        shown = " ".join(["kustomize", *argv[1:]])
        if done.code != 0:
            errors = redact(done.errors.strip(), reach.secrets, reach.paths)
            text = f"`{shown}` failed exit status {done.code}: {errors}"
            raise SourceError("Unknown", hide_paths(text, root, (shared, folder)))
        return Output(
            await objects_of(done.output, "kustomize"), (*commands, hide_paths(shown, root, (shared, folder)))
        )


@asynccontextmanager
async def _reaching(build: _Build) -> AsyncIterator[Handover]:
    """The network, as far as the build needs it: remote bases with the repository's credentials."""
    if build.closure.remote and build.tools.lend is not None:
        async with build.tools.lend(build.repository) as handover:
            yield handover
    elif build.closure.remote or build.closure.charts:
        yield Handover(proxy_environment(build.repository), ())
    else:
        yield Handover(NO_NETWORK, ())


def _edited(directory: Path, options: ApplicationSourceKustomize) -> tuple[str, ...]:
    if not has_edits(options):
        return ()
    present = [name for name in KUSTOMIZATION_NAMES if os.path.lexists(directory / name)]
    if not present:
        raise SourceError("Unknown", "kustomization file not found in the path")
    if len(present) > 1:
        raise SourceError("Unknown", f"Found multiple kustomization file: [{' '.join(present)}]")
    path = directory / present[0]
    try:
        value = load_value(path.read_bytes(), present[0])
        result, commands = edit(value, options)
    except YamlError as error:
        raise SourceError("Unknown", f"invalid Kustomization: {error}") from None
    except EditError as error:
        raise error.as_source_error() from None
    replace_file(path, orjson.dumps(result, option=orjson.OPT_INDENT_2))
    return commands
