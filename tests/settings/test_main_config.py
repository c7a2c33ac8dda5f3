"""Keys of argocd-cm (operations.md 1.2, sync.md 1.3): what each says, and what bad text does."""

from typing import Any

import pytest

from tests.settings.building import Watched, main
from tiphys.settings.model import FilterRule, IgnoreRules, KnownTypeField
from tiphys.settings.params import Params

FIELDS = [
    ("application.resourceTrackingMethod", None, "tracking_method", "annotation"),
    ("application.resourceTrackingMethod", "label", "tracking_method", "label"),
    ("application.resourceTrackingMethod", "annotation+label", "tracking_method", "annotation+label"),
    ("application.instanceLabelKey", None, "instance_label_key", "app.kubernetes.io/instance"),
    ("application.instanceLabelKey", "mine", "instance_label_key", "mine"),
    ("installationID", "blue", "installation_id", "blue"),
    ("resource.ignoreResourceUpdatesEnabled", None, "ignore_resource_updates_enabled", True),
    ("resource.ignoreResourceUpdatesEnabled", "F", "ignore_resource_updates_enabled", False),
    ("resource.sensitive.mask.annotations", "a, b ,", "sensitive_mask_annotations", ("a", "b")),
    ("resource.customLabels", "team,env", "custom_labels", ("team", "env")),
    ("resource.respectRBAC", "strict", "respect_rbac", "strict"),
    ("application.sync.impersonation.enabled", "true", "impersonation_enabled", True),
    ("application.sync.impersonation.enabled", "True", "impersonation_enabled", False),
    ("application.sync.impersonation.enforced", None, "impersonation_enforced", True),
    ("application.sync.impersonation.enforced", "no", "impersonation_enforced", True),
    ("application.sync.impersonation.enforced", "false", "impersonation_enforced", False),
    ("timeout.reconciliation", None, "reconciliation_timeout", 120.0),
    ("timeout.reconciliation", "3m", "reconciliation_timeout", 180.0),
    ("timeout.reconciliation", "1d", "reconciliation_timeout", 86400.0),
    ("timeout.reconciliation", "0", "reconciliation_timeout", 0.0),
    ("timeout.hard.reconciliation", "1h30m", "hard_reconciliation_timeout", 5400.0),
    ("timeout.reconciliation.jitter", "1.5s", "reconciliation_jitter", 1.5),
    ("resource.includeEventLabelKeys", "team, env*", "event_label_include", ("team", "env*")),
    ("resource.excludeEventLabelKeys", "env-secret", "event_label_exclude", ("env-secret",)),
]


@pytest.mark.parametrize(("key", "text", "field", "value"), FIELDS, ids=[f"{f[0]}={f[1]}" for f in FIELDS])
def test_a_key_gives_its_field(key: str, text: str | None, field: str, value: object) -> None:
    watched = Watched()
    watched.store.put(main({} if text is None else {key: text}))
    assert getattr(watched.store.snapshot, field) == value
    assert not watched.store.problems


BAD = [
    ("application.resourceTrackingMethod", "label", "tracking_method", "labels", "expected one of"),
    ("resource.ignoreResourceUpdatesEnabled", "false", "ignore_resource_updates_enabled", "off", "boolean"),
    ("resource.respectRBAC", "normal", "respect_rbac", "x", "invalid value for resource.respectRBAC: x"),
    ("timeout.reconciliation", "5m", "reconciliation_timeout", "5 minutes", "expected a duration"),
    ("resource.exclusions", "- kinds: [A]", "resource_filter", "- kinds: A", "expected a list"),
    ("resource.exclusions", "- kinds: [A]", "resource_filter", "- [", "not valid YAML at line"),
    ("resource.compareoptions", "ignoreAggregatedRoles: true", "compare_options", "- 1", "expected a map"),
    ("globalProjects", "- projectName: p", "global_projects", "- labelSelector: {}", "has no projectName"),
]


@pytest.mark.parametrize(("key", "good", "field", "bad", "why"), BAD, ids=[f"{b[0]}={b[3]}" for b in BAD])
def test_a_malformed_value_keeps_the_last_good_one(
    key: str, good: str, field: str, bad: str, why: str
) -> None:
    watched = Watched()
    watched.store.put(main({key: good}))
    before = getattr(watched.store.snapshot, field)
    watched.store.put(main({key: bad, "installationID": "still-read"}))
    assert getattr(watched.store.snapshot, field) == before
    assert watched.store.snapshot.installation_id == "still-read"
    assert why in watched.store.problems[f"argocd-cm {key}"]
    watched.store.put(main({key: good}))
    assert not watched.store.problems


EXCLUSIONS = """
- apiGroups: ["*.cilium.io"]
  kinds: [CiliumIdentity]
  clusters: ["https://a*"]
- kinds: ["Fo?"]
"""
FILTER_CASES = [
    ("events.k8s.io", "Event", "https://b", True, "built-in group"),
    ("metrics.k8s.io", "PodMetrics", "https://b", True, "built-in group 2"),
    ("", "Event", "https://b", True, "built-in core Event"),
    ("coordination.k8s.io", "Lease", "https://b", True, "built-in Lease"),
    ("x.cilium.io", "CiliumIdentity", "https://a1", True, "all three match"),
    ("x.cilium.io", "CiliumIdentity", "https://b", False, "other cluster"),
    ("x.cilium.io", "CiliumEndpoint", "https://a1", False, "other kind"),
    ("", "Foo", "https://b", False, "kinds are no globs"),
    ("", "Fo?", "https://b", True, "kinds are exact"),
    ("apps", "Deployment", "https://b", False, "nothing matches"),
]


@pytest.mark.parametrize(
    ("group", "kind", "server", "excluded"), [c[:4] for c in FILTER_CASES], ids=[c[4] for c in FILTER_CASES]
)
def test_exclusions(group: str, kind: str, server: str, excluded: bool) -> None:  # health 7.1
    watched = Watched()
    watched.store.put(main({"resource.exclusions": EXCLUSIONS}))
    assert watched.store.snapshot.resource_filter.is_excluded(group, kind, server) is excluded


@pytest.mark.parametrize(
    ("group", "kind", "server", "excluded"),
    [
        ("apps", "Deployment", "https://a", False),
        ("apps", "StatefulSet", "https://a", True),
        ("", "Secret", "https://a", True),
        ("", "Secret", "https://b", False),
    ],
    ids=["included", "exclusion wins", "an inclusion applies here", "no inclusion applies there"],
)
def test_inclusions(group: str, kind: str, server: str, excluded: bool) -> None:  # health 7.1
    watched = Watched()
    watched.store.put(
        main(
            {
                "resource.inclusions": "- {apiGroups: [apps], clusters: ['https://a']}",
                "resource.exclusions": "- {kinds: [StatefulSet]}",
            }
        )
    )
    assert watched.store.snapshot.resource_filter.is_excluded(group, kind, server) is excluded


COMPARE = [
    ("", "all", {"*/*": ("/status",)}),
    ("ignoreResourceStatusField: all", "all", {"*/*": ("/status",)}),
    (
        "ignoreResourceStatusField: crd",
        "crd",
        {"apiextensions.k8s.io/CustomResourceDefinition": ("/status",)},
    ),
    ("ignoreResourceStatusField: none", "none", {}),
    ("ignoreResourceStatusField: off", "none", {}),
    ("ignoreResourceStatusField: 'off'", "none", {}),
    ("ignoreResourceStatusField: false", "none", {}),
    ("ignoreResourceStatusField: whatever", "all", {"*/*": ("/status",)}),
]


@pytest.mark.parametrize(("text", "status", "pointers"), COMPARE, ids=[c[0] or "unset" for c in COMPARE])
def test_the_status_field_is_ignored_where_the_options_say(
    text: str, status: str, pointers: dict[str, Any]
) -> None:  # sync.md 5.4
    watched = Watched()
    watched.store.put(main({"resource.compareoptions": text}))
    settings = watched.store.snapshot
    assert settings.compare_options.ignore_resource_status_field == status
    found = {key: override.ignore_differences.json_pointers for key, override in settings.overrides.items()}
    assert found == pointers


LEGACY = """
argoproj.io/Rollout:
  health.lua: return {}
  health.lua.useOpenLibs: true
  actions: "discovery.lua: x"
  ignoreDifferences: |
    jsonPointers: [/spec/a]
    jqPathExpressions: [.spec.b]
    managedFieldsManagers: [m]
  knownTypeFields:
  - {field: spec.template.spec, type: core/v1/PodSpec}
"*.example.com/*":
  health.lua: return nil
"""


def test_customizations_in_both_forms_merge() -> None:  # health-and-resources.md 3.1
    watched = Watched()
    watched.store.put(
        main(
            {
                "resource.customizations": LEGACY,
                "resource.customizations.health.argoproj.io_Rollout": "return 1",
                "resource.customizations.useOpenLibs.argoproj.io_Rollout": "f",
                "resource.customizations.ignoreResourceUpdates.all": "jsonPointers: [/x]",
                "resource.customizations.ignoreDifferences.Secret": "jsonPointers: [/data]",
                "resource.customizations.knownTypeFields.a.io_B": "- {field: f, type: core/Quantity}",
                "resource.customizations.actions.apps_Deployment": "definitions: []",
                "resource.customizations.short": "fewer than four parts are ignored",
            }
        )
    )
    overrides = watched.store.snapshot.overrides
    assert not watched.store.problems
    rollout = overrides["argoproj.io/Rollout"]
    assert (rollout.health_lua, rollout.use_open_libs, rollout.actions) == (
        "return 1",
        False,
        "discovery.lua: x",
    )
    assert rollout.ignore_differences == IgnoreRules(("/spec/a",), (".spec.b",), ("m",))
    assert rollout.known_type_fields == (KnownTypeField("spec.template.spec", "core/v1/PodSpec"),)
    assert overrides["*.example.com/*"].health_lua == "return nil"
    assert overrides["*/*"].ignore_resource_updates == IgnoreRules(("/x",))
    assert overrides["Secret"].ignore_differences == IgnoreRules(("/data",))
    assert overrides["a.io/B"].known_type_fields == (KnownTypeField("f", "core/Quantity"),)
    assert overrides["apps/Deployment"].actions == "definitions: []"


WRONG = [
    ("resource.customizations.color.apps_Deployment", "x", "resource customization type color not supported"),
    ("resource.customizations.health.a_b_C", "x", "group kind should be in format"),
    ("resource.customizations.useOpenLibs.apps_Deployment", "yes", "expected a boolean"),
    ("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointers: a", "expected a list"),
    ("resource.customizations", "a: [", "not valid YAML"),
]


@pytest.mark.parametrize(("key", "text", "why"), WRONG, ids=[w[0] + "=" + w[1] for w in WRONG])
def test_a_wrong_customization_is_named_and_others_count(key: str, text: str, why: str) -> None:
    watched = Watched()
    watched.store.put(main({key: text, "resource.customizations.health.b.io_C": "return {}"}))
    assert watched.store.snapshot.overrides["b.io/C"].health_lua == "return {}"
    assert why in watched.store.problems[f"argocd-cm {key}"]


def test_a_wrong_field_of_the_combined_form_names_its_place() -> None:
    watched = Watched()
    text = "a.io/B:\n  health.lua: return {}\n  ignoreDifferences: 'jsonPointers: 3'\n"
    watched.store.put(main({"resource.customizations": text}))
    assert watched.store.snapshot.overrides["a.io/B"].health_lua == "return {}"
    assert "argocd-cm resource.customizations[a.io/B].ignoreDifferences" in watched.store.problems


def test_updates_always_ignore_version_generation_and_managers() -> None:  # health 7.3
    always = {"/metadata/resourceVersion", "/metadata/generation", "/metadata/managedFields"}
    watched = Watched()
    watched.store.put(
        main({"resource.customizations.ignoreDifferences.apps_Deployment": "jsonPointers: [/a]"})
    )
    ignores = watched.store.snapshot.update_ignores
    assert set(ignores["*/*"].json_pointers) == always | {"/status"}
    assert ignores["apps/Deployment"].json_pointers == ("/a",)
    watched.store.put(
        main(
            {
                "resource.customizations.ignoreDifferences.apps_Deployment": "jsonPointers: [/a]",
                "resource.compareoptions": "ignoreDifferencesOnResourceUpdates: false",
            }
        )
    )
    ignores = watched.store.snapshot.update_ignores
    assert set(ignores["*/*"].json_pointers) == always
    assert "apps/Deployment" not in ignores


def test_global_projects_select_by_labels() -> None:  # applications.md 20
    watched = Watched()
    text = """
- projectName: shared
  labelSelector:
    matchLabels: {team: a}
    matchExpressions:
    - {key: env, operator: In, values: [x, y]}
    - {key: gone, operator: DoesNotExist}
- projectName: everywhere
"""
    watched.store.put(main({"globalProjects": text}))
    shared, everywhere = watched.store.snapshot.global_projects
    assert shared.label_selector.matches({"team": "a", "env": "x"})
    assert not shared.label_selector.matches({"team": "a", "env": "z"})
    assert not shared.label_selector.matches({"team": "a", "env": "x", "gone": ""})
    assert not shared.label_selector.matches({"env": "x"})
    assert everywhere.label_selector.matches({})


def test_rendering_options() -> None:  # operations.md 1.2, sources.md 10.3
    watched = Watched()
    watched.store.put(
        main(
            {
                "kustomize.buildOptions": "--enable-helm",
                "kustomize.path.v5.0.0": "/bin/k5",
                "kustomize.version.v4": "/bin/k4",
                "kustomize.buildOptions.v4": "-x",
                "helm.enable": "false",
                "jsonnet.enable": "yes",
                "helm.valuesFileSchemes": "",
            }
        )
    )
    rendering = watched.store.snapshot.rendering
    assert rendering.kustomize_build_options == "--enable-helm"
    v4, v5 = rendering.kustomize_version("v4"), rendering.kustomize_version("v5.0.0")
    assert v4 is not None
    assert (v4.path, v4.build_options) == ("/bin/k4", "-x")
    assert v5 is not None
    assert v5.path == "/bin/k5"
    assert rendering.kustomize_version("v1") is None
    assert rendering.enabled_tools == {"kustomize"}
    assert rendering.helm_value_file_schemes == ()


def test_a_kustomize_version_in_both_spellings_is_an_error() -> None:
    watched = Watched()
    watched.store.put(main({"kustomize.path.v4": "/a", "kustomize.version.v4": "/b"}))
    assert watched.store.problems == {"argocd-cm kustomize.path": "found duplicate kustomize version: v4"}


def test_flags_and_variables_beat_argocd_cm() -> None:
    params, _ = Params.load({"ARGOCD_RECONCILIATION_JITTER": "7s"}, {}, {"--app-resync": "45"})
    watched = Watched(params)
    watched.store.put(main({"timeout.reconciliation": "3m", "timeout.reconciliation.jitter": "1m"}))
    assert watched.store.snapshot.reconciliation_timeout == 45.0
    assert watched.store.snapshot.reconciliation_jitter == 7.0


def test_event_labels_are_copied_by_glob() -> None:  # applications.md 24
    watched = Watched()
    watched.store.put(
        main({"resource.includeEventLabelKeys": "team, env*", "resource.excludeEventLabelKeys": "env-secret"})
    )
    labels = {"team": "a", "env-x": "b", "env-secret": "c", "other": "d"}
    assert watched.store.snapshot.copy_event_labels(labels.items()) == {"team": "a", "env-x": "b"}


def test_filter_rules_with_absent_lists_match_everything() -> None:
    assert FilterRule().matches("any", "Kind", "https://x")
