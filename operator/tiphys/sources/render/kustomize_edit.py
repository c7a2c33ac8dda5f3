"""What ``kustomize edit`` would do to a kustomization, done to the parsed file. Pure.

The reference runs up to nine ``kustomize edit`` commands per render (``sources.md`` 10.2); the
file they leave behind decides the output, so it is made here in one step. Each function is one
command; tests compare the builds of both ways with the real binary.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tiphys.resources.source import ApplicationSourceKustomize, KustomizeReplica
from tiphys.sources.errors import SourceError

Kustomization = dict[str, Any]

_FIELDS = (
    "apiVersion",
    "bases",
    "commonAnnotations",
    "commonLabels",
    "components",
    "imageTags",
    "images",
    "kind",
    "labels",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "patches",
    "replicas",
    "resources",
)
_CANONICAL = {field.lower(): field for field in _FIELDS}
_KEEP = "*"
_BAD_IMAGE = """invalid format of image, use one of the following options:
- <image>=<newimage>:<newtag>
- <image>=<newimage>@<digest>
- <image>=<newimage>:<newtag>@<digest>
- <image>=<newimage>
- <image>:<newtag>
- <image>:<newtag>@<digest>
- <image>@<digest>"""
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class EditError(Exception):
    """An edit that kustomize would refuse: the command line and its message."""

    def __init__(self, command: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.command = tuple(command)
        self.message = message

    def as_source_error(self) -> SourceError:
        return SourceError(
            "Unknown", f"`{' '.join(self.command)}` failed exit status 1: Error: {self.message}"
        )


def has_edits(options: ApplicationSourceKustomize) -> bool:
    """Whether the options change the kustomization at all."""
    return bool(
        options.name_prefix
        or options.name_suffix
        or options.namespace
        or options.images
        or options.replicas
        or options.common_labels
        or options.common_annotations
        or options.patches
        or options.components
    )


def edit(value: Any, options: ApplicationSourceKustomize) -> tuple[Kustomization, tuple[str, ...]]:
    """The kustomization after all options, and the command lines for people. ``options`` hold the
    text after substitution and only components that exist. Raises EditError."""
    if value is not None and not isinstance(value, dict):
        raise EditError(["kustomize", "edit"], "invalid Kustomization: not an object")
    result = _normal(value or {})
    commands: list[tuple[str, ...]] = []

    def command(*words: str) -> tuple[str, ...]:
        commands.append(("kustomize", "edit", *words))
        return commands[-1]

    if options.name_prefix:
        command("set", "nameprefix", "--", options.name_prefix)
        result["namePrefix"] = options.name_prefix
    if options.name_suffix:
        command("set", "namesuffix", "--", options.name_suffix)
        result["nameSuffix"] = options.name_suffix
    if options.images:
        line = command("set", "image", *options.images)
        result["images"] = _with_images(_list(result, "images"), options.images, line)
    if options.replicas:
        counts = [(each.name, _count(each)) for each in options.replicas]
        line = command("set", "replicas", *(f"{name}={count}" for name, count in counts))
        result["replicas"] = _with_replicas(_list(result, "replicas"), counts, line)
    if options.common_labels:
        _add_labels(result, options, command("add", "label", *_label_words(options)))
    if options.common_annotations:
        force = options.force_common_annotations
        words = (f"{key}:{text}" for key, text in options.common_annotations.items())
        line = command("add", "annotation", *(["--force"] if force else []), *words)
        annotations = dict(result.get("commonAnnotations") or {})
        _add(annotations, _pairs(options.common_annotations, "annotation", line), "annotation", force, line)
        result["commonAnnotations"] = annotations
    if options.namespace:
        line = command("set", "namespace", "--", options.namespace)
        if len(options.namespace) > 63 or not _NAMESPACE.fullmatch(options.namespace):
            raise EditError(line, f'"{options.namespace}" is not a valid namespace name: invalid DNS label')
        result["namespace"] = options.namespace
    if options.patches:
        _add_patches(result, options)
    if options.components:
        command("add", "component", *options.components)
        present = _list(result, "components")
        result["components"] = present + [
            each for each in dict.fromkeys(options.components) if each not in present
        ]
    lines = [" ".join(each) for each in commands]
    if options.patches:
        lines.append("# kustomization.yaml updated with patches. There is no `kustomize` command for it.")
    return result, tuple(lines)


def _normal(value: Mapping[str, Any]) -> Kustomization:
    """Field names in their usual case (kustomize ignores case), deprecated fields moved, the type
    filled in: what reading and writing the file by kustomize does."""
    result = {_CANONICAL.get(key.lower(), key): each for key, each in value.items()}
    kind = result.get("kind") or "Kustomization"
    result["kind"] = kind
    if not result.get("apiVersion"):
        result["apiVersion"] = (
            "kustomize.config.k8s.io/v1alpha1" if kind == "Component" else "kustomize.config.k8s.io/v1beta1"
        )
    for old, new in (("bases", "resources"), ("imageTags", "images")):
        moved = result.pop(old, None)
        if moved:
            result[new] = [*(result.get(new) or []), *moved]
    return result


def _list(value: Kustomization, field: str) -> list[Any]:
    return list(value.get(field) or [])


def split_image(text: str) -> tuple[str, str, str]:
    """Name, tag and digest; a port in the registry's address is no tag."""
    slash = max(text.find("/"), 0)
    at, colon = text.find("@", slash), text.find(":", slash)
    if at < 0 and colon < 0:
        return text, "", ""
    if at >= 0 and (colon < 0 or at < colon):
        return text[:at], "", text[at + 1 :]
    if at >= 0:
        return text[:colon], text[colon + 1 : at], text[at + 1 :]
    return text[:colon], text[colon + 1 :], ""


def _image(argument: str, line: Sequence[str]) -> dict[str, str]:
    key, separator, value = argument.partition("=")
    if not separator:
        key, value = "", argument
    name, tag, digest = split_image(value)
    if name == argument:
        raise EditError(line, _BAD_IMAGE)
    image = {"name": key or name, "newName": name if key else "", "newTag": tag, "digest": digest}
    return {field: text for field, text in image.items() if text or field == "name"}


def _with_images(present: list[Any], arguments: Sequence[str], line: Sequence[str]) -> list[dict[str, Any]]:
    images: dict[str, dict[str, Any]] = {}
    for argument in arguments:
        image: dict[str, Any] = _image(argument, line)
        images[image["name"]] = image
    for old in present:
        if not isinstance(old, dict):
            raise EditError(line, "invalid Kustomization: images must be objects")
        name = old.get("name", "")
        new = images.get(name)
        if new is None:
            images[name] = old
            continue
        if _KEEP in new.values():
            kept = {field: old.get(field, "") if text == _KEEP else text for field, text in new.items()}
            images[name] = {field: text for field, text in kept.items() if text}
    cleaned = [{field: text for field, text in image.items() if text != _KEEP} for image in images.values()]
    return sorted(cleaned, key=lambda image: str(image.get("name", "")))


def _count(replica: KustomizeReplica) -> int:
    try:
        return int(replica.count)
    except ValueError:
        raise SourceError("Unknown", f"expected integer value for count. Received: {replica.count}") from None


def _with_replicas(
    present: list[Any], counts: Sequence[tuple[str, int]], line: Sequence[str]
) -> list[dict[str, Any]]:
    replicas: dict[str, dict[str, Any]] = {}
    for name, count in counts:
        if "=" in name:
            raise EditError(line, "invalid format of replica, use the following format: <name>=<count>")
        replicas[name] = {"name": name, "count": count}
    for old in present:
        if not isinstance(old, dict):
            raise EditError(line, "invalid Kustomization: replicas must be objects")
        replicas.setdefault(old.get("name", ""), old)
    return sorted(replicas.values(), key=lambda each: str(each.get("name", "")))


def _label_words(options: ApplicationSourceKustomize) -> list[str]:
    words = ["--force"] if options.force_common_labels else []
    if options.label_without_selector:
        words.append("--without-selector")
    if options.label_include_templates:
        words.append("--include-templates")
    return words + [f"{key}:{text}" for key, text in options.common_labels.items()]


def _add_labels(result: Kustomization, options: ApplicationSourceKustomize, line: Sequence[str]) -> None:
    pairs = _pairs(options.common_labels, "label", line)
    force, templates = options.force_common_labels, options.label_include_templates
    if not options.label_without_selector:
        if templates:
            raise EditError(line, "--without-selector flag must be specified for --include-templates to work")
        labels = dict(result.get("commonLabels") or {})
        _add(labels, pairs, "label", force, line)
        result["commonLabels"] = labels
        return
    groups = [dict(group) for group in _list(result, "labels")]
    for group in groups:
        if not group.get("includeSelectors") and bool(group.get("includeTemplates")) == templates:
            break
    else:
        group = {"includeTemplates": True} if templates else {}
        groups.append(group)
    group["pairs"] = dict(group.get("pairs") or {})
    _add(group["pairs"], pairs, "label", force, line)
    result["labels"] = groups


def _pairs(given: Mapping[str, str], kind: str, line: Sequence[str]) -> dict[str, str]:
    """The ``k:v`` arguments as kustomize splits them: at the first colon, quotes trimmed."""
    pairs: dict[str, str] = {}
    for key, text in given.items():
        argument = f"{key}:{text}"
        name, _, value = argument.partition(":")
        if not name:
            raise EditError(line, f"invalid {kind}: '{argument}' (need k:v pair where v may be quoted)")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        pairs[name] = value
    return pairs


def _add(into: dict[str, Any], pairs: Mapping[str, str], kind: str, force: bool, line: Sequence[str]) -> None:
    for key, text in pairs.items():
        if key in into and not force:
            raise EditError(line, f"{kind} {key} already in kustomization file. Use --force to override.")
        into[key] = text


def _add_patches(result: Kustomization, options: ApplicationSourceKustomize) -> None:
    present = result.get("patches")
    if present is not None and not isinstance(present, list):
        raise SourceError(
            "Unknown",
            f"expected 'patches' field in kustomization.yaml to be []any, but got {type(present).__name__}",
        )
    result["patches"] = [*(present or []), *(msgspec.to_builtins(patch) for patch in options.patches)]
