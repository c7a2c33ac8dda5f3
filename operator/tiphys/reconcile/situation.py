"""Where an application stands before it is compared: its project, its destination, its rules.

A problem of the spec, of permission or of the project ends the look here, as conditions with the
reference's texts (applications.md 3.1, 5).
"""

from collections.abc import Mapping

import msgspec

from tiphys.compare.rules import IgnoreRuleError, Rules, build_rules
from tiphys.compare.tracking import Tracking
from tiphys.projects.effective import effective_project
from tiphys.projects.permission import permits_app_namespace
from tiphys.projects.validate import validate_application
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.refresh import COMPARE_OPTIONS_ANNOTATION
from tiphys.reconcile.services import Services
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject
from tiphys.resources.spec import ResourceIgnoreDifferences
from tiphys.settings.clusters import Cluster, DestinationError
from tiphys.settings.model import CompareOptions, ResourceOverride, Settings


class Situation(msgspec.Struct, frozen=True):
    """Everything a look needs to know before it asks Git or a cluster."""

    app: Application
    settings: Settings
    instance: str
    project: AppProject
    cluster: Cluster
    tracking: Tracking


class SpecProblems(msgspec.Struct, frozen=True):
    """Why an application cannot be compared: conditions as (type, message).

    ``of_project``: the project is missing or does not admit the application.
    """

    found: tuple[tuple[str, str], ...]
    of_project: bool = False


def find_project(services: Services, app: Application, settings: Settings) -> AppProject | SpecProblems:
    """The effective project of an application, or why it may not use it."""
    name = app.spec.project or "default"
    stored = services.projects.get(AppKey(settings.control_namespace, name))
    if stored is None:
        return SpecProblems(
            ((kinds.INVALID_SPEC_ERROR, f"Application referencing project {name} which does not exist"),),
            of_project=True,
        )
    namespace = app.metadata.namespace
    if not permits_app_namespace(stored, namespace, settings.control_namespace):
        return SpecProblems(
            (
                (
                    kinds.UNKNOWN_ERROR,
                    f"application '{app.metadata.name}' in namespace '{namespace}' is not permitted "
                    f"to use project '{name}'",
                ),
            ),
            of_project=True,
        )
    return effective_project(stored, list(services.projects), settings)


def situate(services: Services, app: Application) -> Situation | SpecProblems:
    """Validate an application and find what it needs."""
    settings = services.settings
    project = find_project(services, app, settings)
    if isinstance(project, SpecProblems):
        return project
    destination: Cluster | DestinationError
    try:
        destination = settings.clusters.resolve(app.spec.destination)
    except DestinationError as error:
        destination = error
    problems = validate_application(app, project, destination, settings)
    if problems or isinstance(destination, DestinationError):
        return SpecProblems(tuple(problems))
    tracking = Tracking(settings.tracking_method, settings.instance_label_key, settings.installation_id)
    return Situation(
        app=app,
        settings=settings,
        instance=app.key.instance(settings.control_namespace),
        project=project,
        cluster=destination,
        tracking=tracking,
    )


class RuleInputs(msgspec.Struct, frozen=True):
    """What comparison rules are compiled from."""

    ignore_differences: tuple[ResourceIgnoreDifferences, ...]
    overrides: Mapping[str, ResourceOverride]
    compare_options: CompareOptions
    server_side_diff: bool
    server_side_apply: bool
    include_mutation_webhook: bool
    tracking: Tracking
    jq_timeout: float

    @classmethod
    def of(
        cls, app: Application, settings: Settings, tracking: Tracking, *, server_side_diff: bool
    ) -> "RuleInputs":
        """Those of an application; its annotation beats ``server_side_diff``."""
        annotation = (app.metadata.annotations or {}).get(COMPARE_OPTIONS_ANNOTATION, "")
        options = {part.strip() for part in annotation.split(",")}
        if "ServerSideDiff=false" in options:
            server_side_diff = False
        elif "ServerSideDiff=true" in options:
            server_side_diff = True
        policy = app.spec.sync_policy
        return cls(
            ignore_differences=app.spec.ignore_differences,
            overrides=settings.overrides,
            compare_options=settings.compare_options,
            server_side_diff=server_side_diff,
            server_side_apply="ServerSideApply=true" in (policy.sync_options if policy else ()),
            include_mutation_webhook="IncludeMutationWebhook=true" in options,
            tracking=tracking,
            jq_timeout=settings.params.jq_timeout,
        )

    def compiled(self) -> Rules:
        """Raises IgnoreRuleError: an ignore rule cannot be compiled; the message names it."""
        return build_rules(
            self.ignore_differences,
            self.overrides,
            self.compare_options,
            server_side_diff=self.server_side_diff,
            server_side_apply=self.server_side_apply,
            include_mutation_webhook=self.include_mutation_webhook,
            tracking=self.tracking,
            jq_timeout=self.jq_timeout,
        )


def rules_of(services: Services, situation: Situation, *, server_side_diff: bool) -> Rules:
    """Compiled comparison rules of the application; compiled again only when an input changed.

    Raises:
        IgnoreRuleError: an ignore rule cannot be compiled; the message names it.
    """
    app = situation.app
    inputs = RuleInputs.of(app, situation.settings, situation.tracking, server_side_diff=server_side_diff)
    known = services.memory.rules.get(app.key)
    if known is not None and known[0] == inputs:
        return known[1]
    rules = inputs.compiled()
    services.memory.rules[app.key] = (inputs, rules)
    return rules


__all__ = [
    "IgnoreRuleError",
    "RuleInputs",
    "Situation",
    "SpecProblems",
    "find_project",
    "rules_of",
    "situate",
]
