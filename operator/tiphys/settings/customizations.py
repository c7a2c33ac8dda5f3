"""``resource.customizations`` in both forms, merged to overrides (health-and-resources.md 3.1).

The combined form is one YAML map ``group/Kind`` → fields, and may use globs; a split key
``resource.customizations.<type>.<group>_<Kind>`` overwrites the one field it names. What cannot
be read costs that entry only: the others count, and the problem names the key.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tiphys.settings.model import (
    ALWAYS_IGNORED_ON_UPDATE,
    ANY_KIND,
    CompareOptions,
    IgnoreRules,
    KnownTypeField,
    ResourceOverride,
)
from tiphys.settings.problems import Problems, load_yaml, mapping, sequence, texts
from tiphys.settings.values import go_bool

COMBINED = "resource.customizations"
_PREFIX = COMBINED + "."
_CRD = "apiextensions.k8s.io/CustomResourceDefinition"


def ignore_rules(value: Any) -> IgnoreRules:
    """Rules of a decoded map, or of a YAML text holding one.

    Raises:
        ValueError: the shape is wrong.
    """
    fields = mapping(load_yaml(value) if isinstance(value, str) else value)
    return IgnoreRules(
        texts(fields.get("jsonPointers")),
        texts(fields.get("jqPathExpressions")),
        texts(fields.get("managedFieldsManagers")),
    )


def known_type_fields(value: Any) -> tuple[KnownTypeField, ...]:
    """Fields of a decoded list, or of a YAML text holding one.

    Raises:
        ValueError: the shape is wrong.
    """
    entries = sequence(load_yaml(value) if isinstance(value, str) else value)
    found = []
    for entry in entries:
        fields = mapping(entry)
        found.append(KnownTypeField(str(fields.get("field") or ""), str(fields.get("type") or "")))
    return tuple(found)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("expected text")
    return value


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else value is not None and go_bool(str(value))


_COMBINED_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "health.lua": ("health_lua", _text),
    "health.lua.useOpenLibs": ("use_open_libs", _flag),
    "actions": ("actions", _text),
    "ignoreDifferences": ("ignore_differences", ignore_rules),
    "ignoreResourceUpdates": ("ignore_resource_updates", ignore_rules),
    "knownTypeFields": ("known_type_fields", known_type_fields),
}

_SPLIT_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "health": ("health_lua", _text),
    "useOpenLibs": ("use_open_libs", lambda text: go_bool(text)),
    "actions": ("actions", _text),
    "ignoreDifferences": ("ignore_differences", ignore_rules),
    "ignoreResourceUpdates": ("ignore_resource_updates", ignore_rules),
    "knownTypeFields": ("known_type_fields", known_type_fields),
}


def split_group_kind(text: str) -> str:
    """``group_Kind`` → ``group/Kind``, ``Kind`` → ``Kind``, ``all`` → ``*/*``.

    Raises:
        ValueError: more than one underscore.
    """
    if text == "all":
        return ANY_KIND
    if text.count("_") > 1:
        raise ValueError(
            "group kind should be in format `resource.customizations.<type>.<group_kind>`, "
            f"got group kind: '{text}'"
        )
    return text.replace("_", "/")


def read_overrides(
    data: Mapping[str, str], last_good: Mapping[str, ResourceOverride], problems: Problems
) -> dict[str, ResourceOverride]:
    """All overrides of ``argocd-cm``. A field that cannot be read keeps its last good value."""
    fields: dict[str, dict[str, Any]] = {}

    def read(kind: str, name: str, place: str, value: Any, reader: Callable[[Any], Any]) -> None:
        try:
            fields.setdefault(kind, {})[name] = reader(value)
        except ValueError as error:
            problems.add(place, str(error))
            if kind in last_good:
                fields.setdefault(kind, {})[name] = getattr(last_good[kind], name)

    with problems.catching(COMBINED):
        for kind, entry in mapping(load_yaml(data.get(COMBINED, ""))).items():
            place = f"{COMBINED}[{kind}]"
            fields.setdefault(kind, {})
            with problems.catching(place):
                for field, value in mapping(entry).items():
                    if field in _COMBINED_FIELDS:
                        name, reader = _COMBINED_FIELDS[field]
                        read(kind, name, f"{place}.{field}", value, reader)
    if COMBINED in problems.found:
        for kind, override in last_good.items():
            fields[kind] = msgspec.structs.asdict(override)
    for key in sorted(data):
        parts = key.split(".", 3)
        if not key.startswith(_PREFIX) or len(parts) < 4:
            continue
        with problems.catching(key):
            if parts[2] not in _SPLIT_FIELDS:
                raise ValueError(f"resource customization type {parts[2]} not supported")
            name, reader = _SPLIT_FIELDS[parts[2]]
            read(split_group_kind(parts[3]), name, key, data[key], reader)
    return {kind: ResourceOverride(**values) for kind, values in fields.items()}


def with_status_ignored(
    overrides: Mapping[str, ResourceOverride], options: CompareOptions
) -> dict[str, ResourceOverride]:
    """Overrides with ``/status`` ignored where ``resource.compareoptions`` says so (sync.md 5.4)."""
    where = {"all": ANY_KIND, "crd": _CRD}.get(options.ignore_resource_status_field)
    if where is None:
        return dict(overrides)
    override = overrides.get(where, ResourceOverride())
    if "/status" in override.ignore_differences.json_pointers:
        return dict(overrides)
    rules = override.ignore_differences.joined(IgnoreRules(json_pointers=("/status",)))
    return {**overrides, where: msgspec.structs.replace(override, ignore_differences=rules)}


def update_ignores(
    overrides: Mapping[str, ResourceOverride], options: CompareOptions
) -> dict[str, IgnoreRules]:
    """Per kind, what may change in a live object without anybody caring (health-and-resources.md 7.3)."""
    found: dict[str, IgnoreRules] = {}
    for kind, override in overrides.items():
        rules = override.ignore_resource_updates
        if options.ignore_differences_on_resource_updates:
            rules = rules.joined(override.ignore_differences)
        if rules:
            found[kind] = rules
    found[ANY_KIND] = found.get(ANY_KIND, IgnoreRules()).joined(IgnoreRules(ALWAYS_IGNORED_ON_UPDATE))
    return found
