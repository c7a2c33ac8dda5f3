"""What a chart stored in a repository depends on, read from its ``Chart.yaml``.

``sources.md`` 9.5. A chart whose dependencies lie in ``charts/`` renders as it is; otherwise they
are built first, from ``file://`` neighbours (part of the closure) or chart repositories.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.sources.errors import SourceError
from tiphys.sources.render.files import Child, Entry, Files, OutsideRoot, join
from tiphys.sources.yamlgo import YamlError, load_value

_MAX_FILE = 5 << 20
_MAX_CHARTS = 200


class Dependency(msgspec.Struct, frozen=True):
    """One entry of ``dependencies``."""

    name: str
    version: str
    repository: str


class Chart(msgspec.Struct):
    """A chart's closure. ``directories``: path → oid of every chart directory that is read;
    ``links``: further paths that symbolic links lead to; ``missing``: dependencies to be built."""

    directories: dict[str, str]
    links: dict[str, str]
    dependencies: list[Dependency]
    missing: bool = False


async def read_chart(files: Files, directory: Entry, children: Mapping[str, Child]) -> Chart:
    """Raises SourceError."""
    chart = Chart({}, {}, [])
    await _collect(files, directory, children, chart, top=True)
    return chart


async def _collect(
    files: Files, directory: Entry, children: Mapping[str, Child], chart: Chart, *, top: bool
) -> None:
    if directory.path in chart.directories:
        return
    chart.directories[directory.path] = directory.oid
    if len(chart.directories) > _MAX_CHARTS:
        raise SourceError("Unknown", f"chart reaches more than {_MAX_CHARTS} file:// dependencies")
    await _collect_links(files, directory, chart)
    dependencies = await _dependencies(files, directory, children)
    if not dependencies:
        return
    vendored = await _vendored(files, directory, children)
    missing = [each for each in dependencies if not _is_vendored(each, vendored)]
    if top:
        chart.dependencies = dependencies
        chart.missing = bool(missing)
    elif missing:
        # Helm packs a neighbour as it is; its own missing neighbours are built with it.
        chart.dependencies += missing
    for each in dependencies if missing else ():
        if not each.repository.startswith("file://"):
            continue
        try:
            found = await files.find(join(directory.path, each.repository.removeprefix("file://")))
        except OutsideRoot:
            raise SourceError(
                "Unknown", f"chart dependency '{each.name}' resolved to outside repository root"
            ) from None
        if found is not None and found.entry.is_directory:
            for link in found.links:
                chart.links[link] = "link"
            await _collect(files, found.entry, await files.children(found.entry), chart, top=False)


async def _collect_links(files: Files, directory: Entry, chart: Chart) -> None:
    for child in await files.below(directory):
        if not child.is_link:
            continue
        try:
            found = await files.find(child.path)
        except OutsideRoot:
            raise SourceError(
                "Unknown", f"repository contains out-of-bounds symlinks. file: {child.path}"
            ) from None
        if found is not None:
            chart.links[found.entry.path] = found.entry.oid
            for link in found.links:
                chart.links[link] = "link"


async def _dependencies(files: Files, directory: Entry, children: Mapping[str, Child]) -> list[Dependency]:
    result: list[Dependency] = []
    for name in ("Chart.yaml", "requirements.yaml"):
        if name not in children:
            continue
        found = await files.find(join(directory.path, name))
        if found is None or found.entry.is_directory:
            continue
        (text,) = await files.read([found.entry], _MAX_FILE)
        try:
            value = load_value(text, name)
        except YamlError:
            continue  # helm says it better
        listed: Any = value.get("dependencies") if isinstance(value, dict) else None
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict):
                result.append(
                    Dependency(
                        str(each.get("name") or ""),
                        str(each.get("version") or ""),
                        str(each.get("repository") or ""),
                    )
                )
    return result


async def _vendored(files: Files, directory: Entry, children: Mapping[str, Child]) -> set[str]:
    if "charts" not in children:
        return set()
    found = await files.find(join(directory.path, "charts"))
    if found is None or not found.entry.is_directory:
        return set()
    return set(await files.children(found.entry))


def _is_vendored(dependency: Dependency, vendored: set[str]) -> bool:
    return dependency.name in vendored or any(
        name.startswith(f"{dependency.name}-") and name.endswith((".tgz", ".tar.gz")) for name in vendored
    )
