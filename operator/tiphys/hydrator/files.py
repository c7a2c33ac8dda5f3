"""What a branch of hydrated manifests holds (``sources.md`` 21.4).

A path counts as changed when its ``manifest.yaml`` does; only then are its own notes written anew, so
that a commit touches no Application but those whose objects it changes. If none is changed, nothing is
written at all.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tiphys.compare.tracking import (
    ANNOTATION_AND_LABEL,
    DEFAULT_LABEL,
    INSTALLATION_ANNOTATION,
    LABEL,
    TRACKING_ANNOTATION,
)
from tiphys.hydrator.metadata import DryCommit, fields_of, to_text
from tiphys.hydrator.texts import readme
from tiphys.hydrator.yamltext import to_documents

MANIFEST, METADATA, README = "manifest.yaml", "hydrator.metadata", "README.md"
ATTRIBUTES_FILE = ".gitattributes"
ATTRIBUTES = "**/README.md linguist-generated=true\n**/hydrator.metadata linguist-generated=true"


class HydratedPath(msgspec.Struct, frozen=True):
    """What one Application writes.

    Attributes:
        path: from the root, clean.
        manifest: text of ``manifest.yaml``.
        commands: for people, without secrets.
    """

    path: str
    manifest: str
    commands: tuple[str, ...] = ()

    def file(self, name: str) -> str:
        """The place of one of its files."""
        return f"{self.path}/{name}"


def manifest_text(manifests: Sequence[bytes], method: str) -> str:
    """``manifest.yaml`` of rendered objects (JSON, in order); none carries tracking of ours.

    Args:
        method: ``application.resourceTrackingMethod``.
    """
    return to_documents(untracked(json.loads(each), method) for each in manifests)


def untracked(manifest: dict[str, Any], method: str) -> dict[str, Any]:
    """An object without what a controller marks its objects with (``sync.md`` 2.3)."""
    labels = (DEFAULT_LABEL,) if method in (LABEL, ANNOTATION_AND_LABEL) else ()
    annotations = (TRACKING_ANNOTATION, INSTALLATION_ANNOTATION) if method != LABEL else ()
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        return manifest
    changed = dict(metadata)
    for field, names in (("labels", labels), ("annotations", annotations)):
        held = metadata.get(field)
        if not isinstance(held, dict) or not any(name in held for name in names):
            continue
        if rest := {name: value for name, value in held.items() if name not in names}:
            changed[field] = rest
        else:
            del changed[field]
    return {**manifest, "metadata": changed}


def manifest_files(paths: Sequence[HydratedPath]) -> tuple[str, ...]:
    """The files that decide whether anything changed."""
    return tuple(path.file(MANIFEST) for path in paths)


def changed_files(
    paths: Sequence[HydratedPath],
    present: Mapping[str, bytes | None],
    urls: tuple[str, str],
    commit: DryCommit,
    readme_template: str,
    clock: Callable[[], datetime],
) -> dict[str, bytes]:
    """What to write over a branch, by place; empty: no manifest changed.

    Args:
        present: the branch's :func:`manifest_files`.
        urls: of the dry repository and of the one that is written to.

    Raises:
        TextProblem: the README's template fails.
    """
    dry_url, url = urls
    changed = [path for path in paths if present.get(path.file(MANIFEST)) != path.manifest.encode()]
    if not changed:
        return {}
    files = {METADATA: to_text(fields_of(url, commit)).encode(), ATTRIBUTES_FILE: ATTRIBUTES.encode()}
    short = DryCommit(commit.sha)
    for path in changed:
        told = {**fields_of(url, commit), "commands": list(path.commands)}
        files[path.file(MANIFEST)] = path.manifest.encode()
        files[path.file(METADATA)] = to_text(fields_of(url, short, path.commands)).encode()
        files[path.file(README)] = readme(readme_template, dry_url, told, clock).encode()
    return files
