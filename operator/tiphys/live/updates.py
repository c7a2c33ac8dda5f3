"""Which updates of a live object count (health-and-resources.md 7.3).

Controllers write status and counters all the time. Of objects that are tracked (or ask for it by
annotation) a hash is kept of what remains after the ignored paths are removed; an update with the
same hash and the same health status changes the record but is nobody's business.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tiphys.compare.jqpaths import DEFAULT_TIMEOUT, JqError, JqPath, compile_path
from tiphys.live.depth import CRD
from tiphys.resources.identity import GroupKind, Manifest, annotations_of
from tiphys.settings.globs import glob_matches
from tiphys.settings.model import CompareOptions, ResourceOverride

IGNORE_UPDATES_ANNOTATION = "argocd.argoproj.io/ignore-resource-updates"
APPLICATION = GroupKind("argoproj.io", "Application")
TRUE_TEXTS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
ALWAYS_IGNORED = frozenset({"resourceVersion", "generation", "managedFields"})
"""Members of ``metadata`` that never count."""


class UpdateDigest:
    """Hashes what counts of an object. Called by the readers of live objects.

    Args:
        overrides: per ``group/Kind`` (globs), from the settings.
        enabled: ``resource.ignoreResourceUpdatesEnabled``.
        jq_timeout: seconds that one jq expression has for one object, asked for each time; 0: one.
    """

    def __init__(
        self,
        overrides: Mapping[str, ResourceOverride],
        compare_options: CompareOptions,
        enabled: bool = True,
        jq_timeout: Callable[[], float] = lambda: DEFAULT_TIMEOUT,
    ) -> None:
        self._overrides = overrides
        self._options = compare_options
        self._enabled = enabled
        self._jq_timeout = jq_timeout
        self._rules: dict[GroupKind, _KindRules] = {}

    def __call__(self, kind: GroupKind, manifest: Manifest, tracked: bool) -> int:
        """A number that is good for this process, or 0: every update counts."""
        if not self._enabled:
            return 0
        asks = annotations_of(manifest).get(IGNORE_UPDATES_ANNOTATION) in TRUE_TEXTS
        if not tracked and kind != APPLICATION and not asks:
            return 0
        rules = self._rules.get(kind)
        if rules is None:
            rules = self._rules[kind] = self._compile(kind)
        return rules.digest(manifest, self._jq_timeout() or DEFAULT_TIMEOUT)

    def _compile(self, kind: GroupKind) -> "_KindRules":
        pointers: list[str] = []
        paths: list[str] = []
        status = self._options.ignore_resource_status_field
        if self._options.ignore_differences_on_resource_updates and (
            status == "all" or (status == "crd" and kind == CRD)
        ):
            pointers.append("/status")
        for name, override in self._overrides.items():
            group, _, wanted = name.rpartition("/")
            if not (glob_matches(wanted, kind.kind) and glob_matches(group, kind.group)):
                continue
            chosen = [override.ignore_resource_updates]
            if self._options.ignore_differences_on_resource_updates:
                chosen.append(override.ignore_differences)
            for rules in chosen:
                pointers.extend(rules.json_pointers)
                paths.extend(rules.jq_path_expressions)
        return _KindRules(tuple(dict.fromkeys(pointers)), tuple(dict.fromkeys(paths)))


class _KindRules:
    """What is ignored of one kind."""

    def __init__(self, pointers: tuple[str, ...], paths: tuple[str, ...]) -> None:
        self._pointers = tuple(
            tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
            for pointer in pointers
            if pointer.startswith("/")
        )
        self._paths: list[JqPath] = []
        for path in paths:
            try:
                self._paths.append(compile_path(path))
            except ValueError:
                continue  # reported where the settings are read; an unusable rule ignores nothing

    def digest(self, manifest: Manifest, jq_timeout: float) -> int:
        metadata = manifest.get("metadata") or {}
        kept = {name: value for name, value in metadata.items() if name not in ALWAYS_IGNORED}
        remaining: Any = {**manifest, "metadata": kept}
        for pointer in self._pointers:
            remaining = without(remaining, pointer)
        for path in self._paths:
            try:
                remaining = path.delete_from(remaining, jq_timeout)
            except JqError:
                continue  # the path does not fit this object, or would take too long
        # Python's own hash (SipHash with a key of this process) costs a fifth of the shortest digest.
        return hash(orjson.dumps(remaining, option=orjson.OPT_SORT_KEYS))


def without(value: Any, path: tuple[str, ...]) -> Any:
    """``value`` without what is at ``path``; the same value if nothing is there."""
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        if head not in value:
            return value
        if not rest:
            return {name: each for name, each in value.items() if name != head}
        inner = without(value[head], rest)
        return value if inner is value[head] else {**value, head: inner}
    if isinstance(value, list) and head.isdigit() and int(head) < len(value):
        index = int(head)
        if not rest:
            return value[:index] + value[index + 1 :]
        inner = without(value[index], rest)
        return value if inner is value[index] else [*value[:index], inner, *value[index + 1 :]]
    return value
