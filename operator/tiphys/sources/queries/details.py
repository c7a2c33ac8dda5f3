"""What a source can be parametrised with: a chart's values, a kustomization's images.

``sources.md`` 16, ``GetAppDetails``. The tools are the real ones: ``helm show values`` reads the
chart, and the images are those of a real build. Value files are found by the renderer's own rules,
so what the answer shows is what a render would use; variables of the build environment are empty
here, and value files at URLs are not fetched.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tiphys.resources.messages.repository import (
    DirectoryAppSpec,
    HelmAppSpec,
    KustomizeAppSpec,
    RepoAppDetailsResponse,
)
from tiphys.resources.source import ApplicationSourceHelm, HelmParameter
from tiphys.sources.errors import AppPathMissing, RevisionNotFound, SourceError
from tiphys.sources.render.files import Child, Files, OutsideRoot, join
from tiphys.sources.render.helm_charts import read_chart
from tiphys.sources.render.helm_values import ValueFiles
from tiphys.sources.render.request import RenderRequest
from tiphys.sources.render.tools import hide_paths
from tiphys.sources.rendering import Renderer, Seen
from tiphys.sources.yamlgo import YamlError, load_value

_MAX_VALUES = 10 << 20
_VALUES = "values.yaml"


async def app_details(renderer: Renderer, request: RenderRequest) -> RepoAppDetailsResponse:
    """The details of one source at a resolved revision.

    Raises:
        SourceError: InvalidArgument where path or revision do not exist; what the tools say otherwise.
    """
    try:
        async with renderer.inspect(request) as seen:
            match seen.source_type:
                case "Helm":
                    return RepoAppDetailsResponse(type="Helm", helm=await _helm(renderer, request, seen))
                case "Kustomize":
                    pass
                case "Plugin":
                    raise SourceError("Unimplemented", "config management plugins are not supported yet")
                case other:
                    return RepoAppDetailsResponse(type=other, directory=DirectoryAppSpec())
        rendered = await renderer.render(request)
        images = images_of(orjson.loads(each) for each in rendered.manifests)
        return RepoAppDetailsResponse(type="Kustomize", kustomize=KustomizeAppSpec(images=images))
    except (AppPathMissing, RevisionNotFound) as error:
        raise SourceError(
            "InvalidArgument", error.message, repository=error.repository, revision=error.revision
        ) from error


def images_of(objects: Iterable[Any]) -> tuple[str, ...]:
    """Every ``image`` below ``containers`` and ``initContainers``, sorted, duplicates kept
    (``sources.md`` 10.2)."""
    found: list[str] = []
    todo: list[Any] = list(objects)
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
            continue
        if not isinstance(value, dict):
            continue
        for key, each in value.items():
            if key in ("containers", "initContainers") and isinstance(each, list):
                found += [str(one["image"]) for one in each if isinstance(one, dict) and "image" in one]
            else:
                todo.append(each)
    return tuple(sorted(found))


# --- Helm ----------------------------------------------------------------------------------------


async def _helm(renderer: Renderer, request: RenderRequest, seen: Seen) -> HelmAppSpec:
    files, options = seen.roots[""], seen.source.helm or ApplicationSourceHelm()
    below = await files.below(seen.directory)
    parameters = _parameters_of(await _chart_values(renderer, seen), _VALUES)
    for name, text in await _selected(request, seen, options):
        parameters |= _parameters_of(text, name)
    return HelmAppSpec(
        name=await _chart_name(files, seen),
        value_files=_value_files(below, seen.directory.path),
        values=await _text(files, join(seen.directory.path, _VALUES)),
        parameters=tuple(HelmParameter(name=name, value=parameters[name]) for name in sorted(parameters)),
        file_parameters=options.file_parameters,
    )


def _value_files(below: Iterable[Child], directory: str) -> tuple[str, ...]:
    """Files under the application's directory whose name speaks of values."""
    prefix = f"{directory}/" if directory else ""
    return tuple(
        child.path.removeprefix(prefix)
        for child in below
        if "values" in (name := child.path.rpartition("/")[2]) and name.lower().endswith((".yaml", ".yml"))
    )


async def _chart_values(renderer: Renderer, seen: Seen) -> bytes:
    """``helm show values``: the chart's defaults, once the chart can be loaded at all."""
    files, tools = seen.roots[""], renderer.tools
    chart = await read_chart(files, seen.directory, seen.children)
    wanted = sorted(set(chart.directories) | set(chart.links))
    async with files.materialize(wanted) as root, tools.folder() as folder:
        argv = [tools.helm, "show", "values", "."]
        done = await tools.run(argv, cwd=root / seen.directory.path, home=folder / "home")
        if done.code != 0:
            errors = hide_paths(done.errors.strip(), root, (folder,))
            raise SourceError(
                "Unknown",
                f"failed running helm: `helm show values .` failed exit status {done.code}: {errors}",
            )
        return done.output


async def _selected(
    request: RenderRequest, seen: Seen, options: ApplicationSourceHelm
) -> list[tuple[str, bytes]]:
    """Name and content of the value files that the source names, in its order."""
    resolver = ValueFiles(seen.roots, seen.directory, {}, request.settings.helm_value_file_schemes)
    try:
        resolved = await resolver.resolve(
            options.value_files, ignore_missing=options.ignore_missing_value_files
        )
    except SourceError as error:
        raise error.with_prefix("failed to resolve value files: ") from error
    result: list[tuple[str, bytes]] = []
    for each in resolved:
        if each.url:
            continue
        found = await seen.roots[each.ref].find(each.path)
        if found is None or found.entry.is_directory:
            raise SourceError("Unknown", f"failed to read value file {each.path}: no such file or directory")
        (content,) = await seen.roots[each.ref].read([found.entry], _MAX_VALUES)
        result.append((each.path, content))
    return result


def _parameters_of(text: bytes, name: str) -> dict[str, str]:
    try:
        value = load_value(text, name)
    except YamlError as error:
        raise SourceError("Unknown", f"failed to parse values: {error}") from None
    found: dict[str, str] = {}
    if isinstance(value, Mapping):
        _flatten(value, "", found)
    return found


def _flatten(value: Any, name: str, found: dict[str, str]) -> None:
    """Nested keys joined by dots, list elements as ``key[i]``; scalars in Go's spelling."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _flatten(each, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _flatten(each, f"{name}[{index}]", found)
    elif value is None:
        found[name] = "<nil>"
    elif isinstance(value, bool):
        found[name] = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer():
        found[name] = str(int(value))
    else:
        found[name] = str(value)


async def _chart_name(files: Files, seen: Seen) -> str:
    try:
        value = load_value(
            (await _text(files, join(seen.directory.path, "Chart.yaml"))).encode(), "Chart.yaml"
        )
    except YamlError:
        return ""
    return str(value.get("name") or "") if isinstance(value, Mapping) else ""


async def _text(files: Files, path: str) -> str:
    """The text of a file; ``""`` where there is none in the repository."""
    try:
        found = await files.find(path)
    except OutsideRoot:
        return ""
    if found is None or found.entry.is_directory:
        return ""
    (content,) = await files.read([found.entry], _MAX_VALUES)
    return content.decode("utf-8", "replace")
