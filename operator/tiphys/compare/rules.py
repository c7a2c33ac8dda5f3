"""The rules of one application's comparison, compiled once and asked per object.

``build_rules`` takes the application's ``ignoreDifferences``, the system's overrides and compare
options, and the strategy flags; what it returns answers two questions: what is left out for an
object (``exclusion``), and how an apply would be made (``applies_server_side``). ``digest`` names
the rules: verdicts are remembered under it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from tiphys.compare.hooks import sync_options
from tiphys.compare.ignore import Exclusion, KnownField, Pointer, known_field, parse_pointer
from tiphys.compare.jqpaths import DEFAULT_TIMEOUT, JqPath, compile_path
from tiphys.compare.tracking import Tracking
from tiphys.resources.identity import GroupKind, Manifest, ResourceKey
from tiphys.settings.globs import glob_matches
from tiphys.settings.model import CompareOptions, ResourceOverride

_ROLLOUT = GroupKind("argoproj.io", "Rollout")
_ROLLOUT_FIELDS = (("spec.template.spec", "core/v1/PodSpec"),)
_ROLES = frozenset(
    (GroupKind("rbac.authorization.k8s.io", "Role"), GroupKind("rbac.authorization.k8s.io", "ClusterRole"))
)
_CRD_KIND = "CustomResourceDefinition"
_STATUS: Pointer = ("status",)


class IgnoreRuleError(ValueError):
    """An ignore rule cannot be compiled: ``expression`` is the rule, ``why`` what is wrong with it,
    ``where`` who wrote it (the application, or a resource customization)."""

    def __init__(self, expression: str, why: str, where: str):
        super().__init__(f"invalid jq path expression {expression!r} in {where}: {why}")
        self.expression = expression
        self.why = why
        self.where = where


class IgnoreDifferences(Protocol):
    """One rule of ``spec.ignoreDifferences`` (sync.md 5.1)."""

    @property
    def group(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def json_pointers(self) -> tuple[str, ...]: ...
    @property
    def jq_path_expressions(self) -> tuple[str, ...]: ...
    @property
    def managed_fields_managers(self) -> tuple[str, ...]: ...


class _Rule(Struct, frozen=True):
    """A compiled rule and what it applies to. ``exact_managers``: managers count only for exactly
    this group and kind (system overrides, sync.md 5.3)."""

    group: str
    kind: str
    name: str
    namespace: str
    pointers: tuple[Pointer, ...]
    paths: tuple[JqPath, ...]
    managers: frozenset[str]
    exact_managers: bool = False

    def matches_kind(self, kind: GroupKind) -> bool:
        return glob_matches(self.group, kind.group) and glob_matches(self.kind, kind.kind)

    def trusted(self, kind: GroupKind) -> frozenset[str]:
        if not self.exact_managers or (self.group, self.kind) in (kind, ("*", "*")):
            return self.managers
        return frozenset()


class Rules:
    """Compiled rules; never changes.

    Attributes:
        server_side_diff: differences are decided by a dry run of a server-side apply (sync.md 7),
            which is spared where ``managedFields`` prove that it would change nothing.
        server_side_apply: the application applies server-side.
        include_mutation_webhook: what admission webhooks change counts as a difference.
        tracking: when given, objects are read as if stamped by this method (sync.md 2.6).
        digest: equal digests are equal rules.
        may_wait: a comparison may have to wait for a process (users' jq).
    """

    def __init__(
        self,
        rules: tuple[_Rule, ...],
        known_fields: Mapping[GroupKind, tuple[KnownField, ...]],
        *,
        status: str,
        aggregated_roles: bool,
        server_side_diff: bool,
        server_side_apply: bool,
        include_mutation_webhook: bool,
        tracking: Tracking | None,
        jq_timeout: float,
        digest: str,
    ):
        self._rules = rules
        self._known_fields = known_fields
        self._status = status
        self._aggregated_roles = aggregated_roles
        self._jq_timeout = jq_timeout
        self._by_kind: dict[GroupKind, tuple[_Rule, ...]] = {}
        self._unnamed: dict[GroupKind, Exclusion] = {}
        self.server_side_diff = server_side_diff
        self.server_side_apply = server_side_apply
        self.include_mutation_webhook = include_mutation_webhook
        self.tracking = tracking
        self.digest = digest
        self.may_wait = any(path.may_wait for rule in rules for path in rule.paths)

    def applies_server_side(self, target: Manifest) -> bool:
        """Whether a target is compared as a server-side apply would see it (sync.md 4.2).

        An object's ``ServerSideApply=false`` does not turn that off (sync.md 23.18)."""
        return (
            self.server_side_diff
            or self.server_side_apply
            or sync_options(target).has("ServerSideApply=true")
        )

    def exclusion(self, key: ResourceKey) -> Exclusion:
        """What is left out for one object."""
        kind = key.group_kind
        rules = self._by_kind.get(kind)
        if rules is None:
            rules = self._by_kind[kind] = tuple(rule for rule in self._rules if rule.matches_kind(kind))
        if all(not rule.name and not rule.namespace for rule in rules):
            made = self._unnamed.get(kind)
            if made is None:
                made = self._unnamed[kind] = self._compile(kind, rules)
            return made
        chosen = tuple(
            rule for rule in rules if rule.name in ("", key.name) and rule.namespace in ("", key.namespace)
        )
        return self._compile(kind, chosen)

    def ignores_status(self, kind: GroupKind) -> bool:
        """Whether top-level ``status`` never counts (sync.md 5.4)."""
        return self._status == "all" or (self._status == "crd" and kind.kind == _CRD_KIND)

    def _compile(self, kind: GroupKind, rules: tuple[_Rule, ...]) -> Exclusion:
        pointers = [pointer for rule in rules for pointer in rule.pointers]
        if self.ignores_status(kind):
            pointers.append(_STATUS)
        return Exclusion(
            pointers=tuple(dict.fromkeys(pointers)),
            paths=tuple(dict.fromkeys(path for rule in rules for path in rule.paths)),
            managers=frozenset(manager for rule in rules for manager in rule.trusted(kind)),
            known_fields=self._known_fields.get(kind, ()),
            aggregated_roles=self._aggregated_roles and kind in _ROLES,
            jq_timeout=self._jq_timeout,
        )


def build_rules(
    app_rules: Iterable[IgnoreDifferences],
    overrides: Mapping[str, ResourceOverride],
    compare_options: CompareOptions,
    *,
    server_side_diff: bool = False,
    server_side_apply: bool = False,
    include_mutation_webhook: bool = False,
    tracking: Tracking | None = None,
    jq_timeout: float = DEFAULT_TIMEOUT,
) -> Rules:
    """Compile rules: the application's first, the system's appended (sync.md 5.1).

    ``jq_timeout`` is in seconds; 0 means the default of one second.

    Raises:
        IgnoreRuleError: an expression is no jq; nothing can be compared then.
    """
    own = tuple(
        _rule(
            (rule.group, rule.kind, rule.name, rule.namespace),
            rule.json_pointers,
            rule.jq_path_expressions,
            rule.managed_fields_managers,
            where=f"spec.ignoreDifferences for {rule.group or 'core'}/{rule.kind}",
        )
        for rule in app_rules
    )
    system: list[_Rule] = []
    known: dict[GroupKind, list[KnownField]] = {}
    fields: dict[GroupKind, tuple[tuple[str, str], ...]] = {_ROLLOUT: _ROLLOUT_FIELDS}
    for key, override in overrides.items():
        # core kinds are "Kind"; "/Kind" is what the reference wants for managers (sync.md 23.16)
        group, _, kind = key.rpartition("/")
        if override.ignore_differences:
            ignored = override.ignore_differences
            system.append(
                _rule(
                    (group, kind, "", ""),
                    ignored.json_pointers,
                    ignored.jq_path_expressions,
                    ignored.managed_fields_managers,
                    exact_managers=True,
                    where=f"resource customization {key}",
                )
            )
        if override.known_type_fields:
            fields[GroupKind(group, kind)] = tuple(
                (item.field, item.type) for item in override.known_type_fields
            )
    for group_kind, items in fields.items():
        for field, type_name in items:
            compiled = known_field(field, type_name)
            if compiled is not None:
                known.setdefault(group_kind, []).append(compiled)
    rules = (*own, *system)
    status = compare_options.ignore_resource_status_field
    described = repr(
        (
            [_described(rule) for rule in rules],
            sorted((str(kind), items) for kind, items in fields.items()),
            status,
            compare_options.ignore_aggregated_roles,
            server_side_diff,
            server_side_apply,
            include_mutation_webhook,
            tracking,
            jq_timeout,
        )
    )
    return Rules(
        rules,
        {kind: tuple(items) for kind, items in known.items()},
        status=status,
        aggregated_roles=compare_options.ignore_aggregated_roles,
        server_side_diff=server_side_diff,
        server_side_apply=server_side_apply,
        include_mutation_webhook=include_mutation_webhook,
        tracking=tracking,
        jq_timeout=jq_timeout or DEFAULT_TIMEOUT,
        digest=hashlib.blake2b(described.encode(), digest_size=12).hexdigest(),
    )


def _rule(
    scope: tuple[str, str, str, str],
    pointers: tuple[str, ...],
    expressions: tuple[str, ...],
    managers: tuple[str, ...],
    *,
    where: str,
    exact_managers: bool = False,
) -> _Rule:
    paths = []
    for expression in expressions or ():
        try:
            paths.append(compile_path(expression))
        except ValueError as error:
            raise IgnoreRuleError(expression, str(error), where) from error
    group, kind, name, namespace = scope
    return _Rule(
        group,
        kind,
        name or "",
        namespace or "",
        tuple(parsed for text in pointers or () if (parsed := _pointer(text)) is not None),
        tuple(paths),
        frozenset(managers or ()),
        exact_managers,
    )


@lru_cache(maxsize=2048)
def _pointer(text: str) -> Pointer | None:
    return parse_pointer(text)


def _described(rule: _Rule) -> tuple[object, ...]:
    return (
        rule.group,
        rule.kind,
        rule.name,
        rule.namespace,
        rule.pointers,
        tuple(path.expression for path in rule.paths),
        sorted(rule.managers),
    )
