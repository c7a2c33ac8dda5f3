"""``argocd-cm`` → the fields of ``Settings`` (operations.md 1.2).

Each key is read on its own: one that is malformed keeps its last good value, and ``Problems``
names it. Keys of rooms above (SSO, UI, notifications) are not read here; they find the text in
``Settings.raw``.
"""

from collections.abc import Mapping
from typing import Any

from tiphys.settings.customizations import read_overrides, update_ignores, with_status_ignored
from tiphys.settings.model import (
    CompareOptions,
    FilterRule,
    GlobalProject,
    KustomizeVersion,
    LabelSelector,
    RenderSettings,
    ResourceFilter,
    SelectorRequirement,
    Settings,
)
from tiphys.settings.params import Params
from tiphys.settings.problems import Problems, load_yaml, mapping, sequence, texts
from tiphys.settings.values import choice, duration, go_bool, label_list

_TOOLS = ("kustomize", "helm", "jsonnet")
_STATUS_FIELDS = {"all": "all", "": "all", "crd": "crd", "none": "none", "off": "none", "false": "none"}
_TRACKING = choice("", "annotation", "label", "annotation+label")
_RESPECT = choice("", "normal", "strict")


def read_main(data: Mapping[str, str], params: Params, last: Settings, problems: Problems) -> dict[str, Any]:
    """The fields of ``Settings`` that ``argocd-cm`` decides."""
    attempt = problems.attempt
    options = attempt(
        "resource.compareoptions",
        lambda: compare_options(data.get("resource.compareoptions", "")),
        last.compare_options,
    )
    own = read_overrides(data, last.overrides, problems)
    overrides = with_status_ignored(own, options)
    return {
        "tracking_method": attempt(
            "application.resourceTrackingMethod",
            lambda: _TRACKING(data.get("application.resourceTrackingMethod", "")) or "annotation",
            last.tracking_method,
        ),
        "instance_label_key": data.get("application.instanceLabelKey") or "app.kubernetes.io/instance",
        "installation_id": data.get("installationID", ""),
        "resource_filter": ResourceFilter(
            attempt(
                "resource.exclusions",
                lambda: filter_rules(data.get("resource.exclusions", "")),
                last.resource_filter.exclusions,
            ),
            attempt(
                "resource.inclusions",
                lambda: filter_rules(data.get("resource.inclusions", "")),
                last.resource_filter.inclusions,
            ),
        ),
        "overrides": overrides,
        "compare_options": options,
        "update_ignores": update_ignores(overrides, options),
        "ignore_resource_updates_enabled": attempt(
            "resource.ignoreResourceUpdatesEnabled",
            lambda: go_bool(data.get("resource.ignoreResourceUpdatesEnabled") or "true"),
            last.ignore_resource_updates_enabled,
        ),
        "sensitive_mask_annotations": label_list(data.get("resource.sensitive.mask.annotations", "")),
        "custom_labels": label_list(data.get("resource.customLabels", "")),
        "respect_rbac": attempt(
            "resource.respectRBAC",
            lambda: _respect_rbac(data.get("resource.respectRBAC", "")),
            last.respect_rbac,
        ),
        "global_projects": attempt(
            "globalProjects", lambda: global_projects(data.get("globalProjects", "")), last.global_projects
        ),
        "impersonation_enabled": data.get("application.sync.impersonation.enabled") == "true",
        "impersonation_enforced": data.get("application.sync.impersonation.enforced") != "false",
        "require_override_for_revision_sync": data.get(
            "application.sync.requireOverridePrivilegeForRevisionSync"
        )
        == "true",
        **_timeouts(data, params, last, problems),
        "event_label_include": label_list(data.get("resource.includeEventLabelKeys", "")),
        "event_label_exclude": label_list(data.get("resource.excludeEventLabelKeys", "")),
        "rendering": rendering(data, last.rendering, problems),
    }


def _respect_rbac(text: str) -> str:
    try:
        return str(_RESPECT(text))
    except ValueError:
        raise ValueError(f"invalid value for resource.respectRBAC: {text}") from None


def _timeouts(
    data: Mapping[str, str], params: Params, last: Settings, problems: Problems
) -> dict[str, float]:
    """Reconciliation times: flag or variable, else ``argocd-cm``, else the default."""

    def read(key: str, given: float | None, default: float, last_good: float) -> float:
        if given is not None:
            return given
        text = data.get(key, "")
        return problems.attempt(key, lambda: duration(text) if text else default, last_good)

    return {
        "reconciliation_timeout": read(
            "timeout.reconciliation", params.reconciliation_timeout, 120.0, last.reconciliation_timeout
        ),
        "hard_reconciliation_timeout": read(
            "timeout.hard.reconciliation",
            params.hard_reconciliation_timeout,
            0.0,
            last.hard_reconciliation_timeout,
        ),
        "reconciliation_jitter": read(
            "timeout.reconciliation.jitter", params.reconciliation_jitter, 60.0, last.reconciliation_jitter
        ),
    }


def compare_options(text: str) -> CompareOptions:
    """``resource.compareoptions``; an unknown status field value means ``all``.

    Raises:
        ValueError: no YAML map, or a boolean that is none.
    """
    fields = mapping(load_yaml(text))

    def flag(name: str, default: bool) -> bool:
        value = fields.get(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"{name}: expected true or false")
        return value

    status = fields.get("ignoreResourceStatusField", "all")
    status = "false" if status is False else str(status or "")
    return CompareOptions(
        ignore_aggregated_roles=flag("ignoreAggregatedRoles", False),
        ignore_resource_status_field=_STATUS_FIELDS.get(status, "all"),
        ignore_differences_on_resource_updates=flag("ignoreDifferencesOnResourceUpdates", True),
    )


def filter_rules(text: str) -> tuple[FilterRule, ...]:
    """``resource.exclusions`` or ``resource.inclusions``.

    Raises:
        ValueError: no YAML list of maps of lists.
    """
    found = []
    for entry in sequence(load_yaml(text)):
        fields = mapping(entry)
        found.append(
            FilterRule(
                texts(fields.get("apiGroups")), texts(fields.get("kinds")), texts(fields.get("clusters"))
            )
        )
    return tuple(found)


def global_projects(text: str) -> tuple[GlobalProject, ...]:
    """``globalProjects``.

    Raises:
        ValueError: no YAML list of projects with selectors.
    """
    found = []
    for entry in sequence(load_yaml(text)):
        fields = mapping(entry)
        name = fields.get("projectName")
        if not isinstance(name, str) or not name:
            raise ValueError("an entry has no projectName")
        found.append(GlobalProject(name, _selector(mapping(fields.get("labelSelector")))))
    return tuple(found)


def _selector(fields: dict[str, Any]) -> LabelSelector:
    requirements = []
    for entry in sequence(fields.get("matchExpressions")):
        expression = mapping(entry)
        operator = str(expression.get("operator") or "")
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ValueError(f"matchExpressions: unknown operator {operator!r}")
        key = expression.get("key")
        if not isinstance(key, str) or not key:
            raise ValueError("matchExpressions: an entry has no key")
        requirements.append(SelectorRequirement(key, operator, texts(expression.get("values"))))
    labels = mapping(fields.get("matchLabels"))
    return LabelSelector(
        tuple(sorted((key, str(value)) for key, value in labels.items())), tuple(requirements)
    )


def rendering(data: Mapping[str, str], last: RenderSettings, problems: Problems) -> RenderSettings:
    """Tools and their options; a tool is off when its key is there and not ``true``."""
    schemes = data.get("helm.valuesFileSchemes")
    return RenderSettings(
        kustomize_build_options=data.get("kustomize.buildOptions", ""),
        kustomize_versions=problems.attempt(
            "kustomize.path", lambda: kustomize_versions(data), last.kustomize_versions
        ),
        helm_value_file_schemes=("https", "http")
        if schemes is None
        else tuple(word for part in schemes.split(",") if (word := part.strip())),
        enabled_tools=frozenset(tool for tool in _TOOLS if data.get(f"{tool}.enable", "true") == "true"),
    )


def kustomize_versions(data: Mapping[str, str]) -> tuple[KustomizeVersion, ...]:
    """Binaries of ``kustomize.path.<version>`` and its old spelling ``kustomize.version.<version>``.

    Raises:
        ValueError: one version in both spellings.
    """
    paths: dict[str, str] = {}
    for key in sorted(data):
        for prefix in ("kustomize.path.", "kustomize.version."):
            if key.startswith(prefix):
                version = key.removeprefix(prefix)
                if version in paths:
                    raise ValueError(f"found duplicate kustomize version: {version}")
                paths[version] = data[key]
    return tuple(
        KustomizeVersion(version, path, data.get(f"kustomize.buildOptions.{version}", ""))
        for version, path in paths.items()
    )
