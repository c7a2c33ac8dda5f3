"""Which tool a source is for: overrides in the repository, the explicit type, what lies there.

``sources.md`` 3 and 8. Only the application's own directory decides, so one listing suffices.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from tiphys.resources.source import ApplicationSource, ApplicationSourceDirectory, ApplicationSourceJsonnet
from tiphys.sources.errors import AppPathMissing, SourceError
from tiphys.sources.render.files import Entry, Files, OutsideRoot, clean
from tiphys.sources.render.request import SourceType
from tiphys.sources.yamlgo import YamlError, load_value

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_KEPT = ("chart", "path", "repoURL", "targetRevision")


async def app_directory(files: Files, path: str) -> Entry:
    """The application's directory. Raises SourceError with the reference's texts."""
    if path.startswith("/"):
        raise SourceError("Unknown", f"{path}: app path is absolute")
    try:
        found = await files.find(clean(path))
    except OutsideRoot:
        raise SourceError("Unknown", f"{path}: app path outside root") from None
    if found is None:
        raise AppPathMissing("Unknown", f"{path}: app path does not exist")
    if not found.entry.is_directory:
        raise SourceError("Unknown", f"{path}: app path is not a directory")
    return found.entry


async def with_overrides(
    files: Files, directory: Entry, names: Collection[str], source: ApplicationSource, app_name: str
) -> ApplicationSource:
    """The source with ``.argocd-source.yaml`` and ``.argocd-source-<app>.yaml`` merged in."""
    wanted = [".argocd-source.yaml", *([f".argocd-source-{app_name}.yaml"] if app_name else [])]
    for name in wanted:
        if name not in names:
            continue
        found = await files.find(f"{directory.path}/{name}")
        if found is None or found.entry.is_directory:
            continue
        (text,) = await files.read([found.entry], 10 << 20)
        source = _merged(source, text, name)
    return source


def _merged(source: ApplicationSource, text: bytes, name: str) -> ApplicationSource:
    try:
        patch = load_value(text, name)
        if patch is None:
            return source
        if not isinstance(patch, dict):
            raise SourceError("Unknown", f"error while parsing source parameters: {name}: not an object")
        before = msgspec.to_builtins(source)
        merged = _merge_patch(before, patch)
        for field in _KEPT:
            merged.pop(field, None)
            if field in before:
                merged[field] = before[field]
        return msgspec.convert(merged, ApplicationSource, strict=False)
    except (YamlError, msgspec.ValidationError) as error:
        raise SourceError("Unknown", f"error while parsing source parameters: {name}: {error}") from None


def _merge_patch(value: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7386, except that ``null`` does not clear an existing object (the merged text is decoded
    into a struct that already holds it)."""
    result = dict(value) if isinstance(value, dict) else {}
    for key, each in patch.items():
        if each is None:
            if not isinstance(result.get(key), dict):
                result.pop(key, None)
        elif isinstance(each, dict):
            result[key] = _merge_patch(result.get(key), each)
        else:
            result[key] = each
    return result


def source_type(source: ApplicationSource, names: Collection[str], enabled: frozenset[str]) -> SourceType:
    """The explicit type, else what the names in the application's directory say. Raises
    SourceError for several explicit types."""
    explicit: list[SourceType] = []
    if source.kustomize is not None and _is_set(source.kustomize):
        explicit.append("Kustomize")
    if source.helm is not None and _is_set(source.helm):
        explicit.append("Helm")
    if source.directory is not None and _is_set(source.directory):
        explicit.append("Directory")
    if source.plugin is not None:
        explicit.append("Plugin")
    if len(explicit) > 1:
        raise SourceError(
            "Unknown",
            "error getting app source type: error determining app source type: "
            f"multiple application sources defined: {','.join(explicit)}",
        )
    if explicit:
        found = explicit[0]
    elif any(name in KUSTOMIZATION_NAMES for name in names):
        found = "Kustomize"
    elif any(name.endswith("Chart.yaml") for name in names):
        found = "Helm"
    else:
        found = "Directory"
    if found in ("Kustomize", "Helm") and found.lower() not in enabled:
        return "Directory"
    return found


def _is_set(options: msgspec.Struct) -> bool:
    """Empty options are no choice of a tool; neither is a directory's empty ``jsonnet``."""
    if isinstance(options, ApplicationSourceDirectory) and options.jsonnet == ApplicationSourceJsonnet():
        options = msgspec.structs.replace(options, jsonnet=None)
    return options != type(options)()
