"""What the operator is told: one immutable snapshot of every setting.

``store.py`` reads ConfigMaps and Secrets and builds a ``Settings`` from them; every other room
takes a snapshot, uses it for one piece of work and never sees it change under its hands. The
structs say what a setting means after parsing; how it is spelled in ``argocd-cm`` stays in
``parsing.py``, so a caller never meets a key or a default.

May know: names of kinds and labels. May not know: who uses a setting. Nothing here prints a
secret (``secrecy.py``).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from tiphys.settings.clusters import Clusters
from tiphys.settings.globs import glob_matches
from tiphys.settings.params import Params
from tiphys.settings.references import References
from tiphys.settings.repositories import Repositories
from tiphys.settings.secrecy import Quiet

ANY_KIND = "*/*"
"""Key of the override for every group and kind (written ``all`` in a split key)."""

ALWAYS_IGNORED_ON_UPDATE = ("/metadata/resourceVersion", "/metadata/generation", "/metadata/managedFields")
"""Pointers that never make a live update interesting (sync.md 5.4)."""


class IgnoreRules(msgspec.Struct, frozen=True):
    """Fields that a comparison leaves out (sync.md 5.2)."""

    json_pointers: tuple[str, ...] = ()
    jq_path_expressions: tuple[str, ...] = ()
    managed_fields_managers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.json_pointers or self.jq_path_expressions or self.managed_fields_managers)

    def joined(self, other: "IgnoreRules") -> "IgnoreRules":
        """These rules followed by the other's."""
        return IgnoreRules(
            self.json_pointers + other.json_pointers,
            self.jq_path_expressions + other.jq_path_expressions,
            self.managed_fields_managers + other.managed_fields_managers,
        )


class KnownTypeField(msgspec.Struct, frozen=True):
    """A field of a custom resource that holds a built-in type (sync.md 5.2)."""

    field: str
    type: str


class ResourceOverride(msgspec.Struct, frozen=True):
    """What the admin changed for one kind; ``actions`` is the YAML text as given."""

    health_lua: str = ""
    use_open_libs: bool = False
    actions: str = ""
    ignore_differences: IgnoreRules = IgnoreRules()
    ignore_resource_updates: IgnoreRules = IgnoreRules()
    known_type_fields: tuple[KnownTypeField, ...] = ()


class CompareOptions(msgspec.Struct, frozen=True):
    """``resource.compareoptions`` (sync.md 5.4); ``ignore_resource_status_field`` is one of
    ``all``, ``crd``, ``none``."""

    ignore_aggregated_roles: bool = False
    ignore_resource_status_field: str = "all"
    ignore_differences_on_resource_updates: bool = True


class FilterRule(msgspec.Struct, frozen=True):
    """One entry of ``resource.exclusions``; an empty list matches everything."""

    api_groups: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()

    def matches(self, group: str, kind: str, server: str) -> bool:
        return (
            _any_glob(self.api_groups, group)
            and (not self.kinds or any(wanted in ("*", kind) for wanted in self.kinds))
            and self.matches_cluster(server)
        )

    def matches_cluster(self, server: str) -> bool:
        return _any_glob(self.clusters, server)


def _any_glob(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(glob_matches(pattern, text) for pattern in patterns)


BUILT_IN_EXCLUSIONS = (
    FilterRule(api_groups=("events.k8s.io", "metrics.k8s.io")),
    FilterRule(api_groups=("",), kinds=("Event",)),
    FilterRule(api_groups=("coordination.k8s.io",), kinds=("Lease",)),
)


class ResourceFilter(msgspec.Struct, frozen=True, cache_hash=True):
    """Which kinds the operator looks at (health-and-resources.md 7.1)."""

    exclusions: tuple[FilterRule, ...] = ()
    inclusions: tuple[FilterRule, ...] = ()

    def is_excluded(self, group: str, kind: str, server: str) -> bool:
        """Exclusions win (the built-in ones first); then a matching inclusion allows; then any
        inclusion that applies to this cluster excludes everything else."""
        return _is_excluded(self, group, kind, server)


@lru_cache(maxsize=16384)
def _is_excluded(rules: ResourceFilter, group: str, kind: str, server: str) -> bool:
    for rule in (*BUILT_IN_EXCLUSIONS, *rules.exclusions):
        if rule.matches(group, kind, server):
            return True
    if any(rule.matches(group, kind, server) for rule in rules.inclusions):
        return False
    return any(rule.matches_cluster(server) for rule in rules.inclusions)


class SelectorRequirement(msgspec.Struct, frozen=True):
    """One ``matchExpressions`` entry: operator ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
        return False


class LabelSelector(msgspec.Struct, frozen=True):
    """A Kubernetes label selector; an empty one matches everything."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[SelectorRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.match_labels) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )


class GlobalProject(msgspec.Struct, frozen=True):
    """Projects whose labels match inherit from the named project (applications.md 20)."""

    project_name: str
    label_selector: LabelSelector = LabelSelector()


class KustomizeVersion(msgspec.Struct, frozen=True):
    """A further Kustomize binary (sources.md 10.3)."""

    name: str
    path: str
    build_options: str = ""


class RenderSettings(msgspec.Struct, frozen=True):
    """What rendering depends on; ``enabled_tools`` is out of ``kustomize``, ``helm``, ``jsonnet``."""

    kustomize_build_options: str = ""
    kustomize_versions: tuple[KustomizeVersion, ...] = ()
    helm_value_file_schemes: tuple[str, ...] = ("https", "http")
    enabled_tools: frozenset[str] = frozenset({"kustomize", "helm", "jsonnet"})

    def kustomize_version(self, name: str) -> KustomizeVersion | None:
        """The version registered under this name."""
        return next((version for version in self.kustomize_versions if version.name == name), None)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, at one moment. Durations are seconds."""

    control_namespace: str
    params: Params = Params()
    tracking_method: str = "annotation"
    instance_label_key: str = "app.kubernetes.io/instance"
    installation_id: str = ""
    resource_filter: ResourceFilter = ResourceFilter()
    overrides: Mapping[str, ResourceOverride] = {}
    compare_options: CompareOptions = CompareOptions()
    ignore_resource_updates_enabled: bool = True
    update_ignores: Mapping[str, IgnoreRules] = {}
    """What a live update must change to matter, per override key (health-and-resources.md 7.3)."""
    sensitive_mask_annotations: tuple[str, ...] = ()
    custom_labels: tuple[str, ...] = ()
    respect_rbac: str = ""
    """``""``, ``normal`` or ``strict``."""
    global_projects: tuple[GlobalProject, ...] = ()
    impersonation_enabled: bool = False
    impersonation_enforced: bool = True
    require_override_for_revision_sync: bool = False
    reconciliation_timeout: float = 120.0
    hard_reconciliation_timeout: float = 0.0
    reconciliation_jitter: float = 60.0
    event_label_include: tuple[str, ...] = ()
    event_label_exclude: tuple[str, ...] = ()
    rendering: RenderSettings = RenderSettings()
    repositories: Repositories = Repositories()
    clusters: Clusters = Clusters()
    ssh_known_hosts: str = ""
    tls_certificates: Mapping[str, str] = {}
    """Host name (no port) → PEM certificates that replace the system roots for it."""
    gpg_keys: Mapping[str, str] = {}
    """16-digit key id → armoured public key."""
    rbac: Mapping[str, str] = {}
    """``argocd-rbac-cm`` as it is; ``access`` gives it its meaning."""
    references: References = References()
    server_tls: Mapping[str, str] = Quiet()
    """Data of Secret ``argocd-server-tls`` (``tls.crt``, ``tls.key``): the API's own certificate."""
    raw: Mapping[str, str] = Quiet()
    """``argocd-cm`` as it is, for rooms with settings of their own; its repr shows keys only."""

    def copy_event_labels(self, labels: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The labels that an Event takes over: included and not excluded (applications.md 24)."""
        return {
            key: value
            for key, value in labels
            if any(glob_matches(pattern, key) for pattern in self.event_label_include)
            and not any(glob_matches(pattern, key) for pattern in self.event_label_exclude)
        }

    def secret_values(self) -> frozenset[str]:
        """Every credential in the snapshot, for the filter that keeps them out of logs."""
        found = set(self.repositories.secret_values() | self.clusters.secret_values())
        for data in (self.references.main, self.server_tls, *self.references.others.values()):
            found.update(data.values())
        return frozenset(found)

    def changed_fields(self, other: "Settings") -> frozenset[str]:
        """Names of the fields in which two snapshots differ."""
        return frozenset(
            name for name in self.__struct_fields__ if _differ(getattr(self, name), getattr(other, name))
        )


def _differ(one: Any, two: Any) -> bool:
    return one is not two and bool(one != two)
