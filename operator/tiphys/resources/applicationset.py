"""The ApplicationSet: applications generated from a template and lists of parameters.

The shapes of ``applicationset.md`` 1–3. The provider blocks of the scmProvider and pullRequest
generators are in ``providers``. Combination generators inside a combination generator are free
JSON in the CRD (a schema cannot refer to itself there); :func:`nested_matrix` and
:func:`nested_merge` read them.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from tiphys.resources.application import API_VERSION
from tiphys.resources.decoding import decode_as
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.meta import NO_TIME, LabelSelector, ListMeta, ObjectMeta
from tiphys.resources.providers import (
    PullRequestGeneratorAzureDevOps,
    PullRequestGeneratorBitbucket,
    PullRequestGeneratorBitbucketServer,
    PullRequestGeneratorFilter,
    PullRequestGeneratorGitea,
    PullRequestGeneratorGithub,
    PullRequestGeneratorGitLab,
    SCMProviderGeneratorAWSCodeCommit,
    SCMProviderGeneratorAzureDevOps,
    SCMProviderGeneratorBitbucket,
    SCMProviderGeneratorBitbucketServer,
    SCMProviderGeneratorFilter,
    SCMProviderGeneratorGitea,
    SCMProviderGeneratorGithub,
    SCMProviderGeneratorGitlab,
)
from tiphys.resources.shape import ApiObject, Mandatory, always, no_items
from tiphys.resources.spec import ApplicationSpec
from tiphys.resources.status import HealthStatus, ResourceStatus
from tiphys.resources.times import Timestamp

KIND = "ApplicationSet"


class ApplicationSetTemplateMeta(ApiObject, frozen=True):
    """Metadata of the generated applications."""

    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    finalizers: tuple[str, ...] = ()


class ApplicationSetTemplate(ApiObject, frozen=True):
    """What a generated application looks like."""

    metadata: Mandatory[ApplicationSetTemplateMeta] = always(ApplicationSetTemplateMeta)
    spec: Mandatory[ApplicationSpec] = always(ApplicationSpec)


class ListGenerator(ApiObject, frozen=True):
    """Parameters that stand in the ApplicationSet itself."""

    elements: tuple[Any, ...] = always(no_items)
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    elements_yaml: str = ""


class ClusterGenerator(ApiObject, frozen=True):
    """Parameters of the known clusters."""

    selector: LabelSelector = always(LabelSelector)
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    values: Mapping[str, str] = {}
    flat_list: bool = False


class GitDirectoryGeneratorItem(ApiObject, frozen=True):
    """A pattern of directories, to take or (``exclude``) to leave."""

    path: Mandatory[str] = always(str)
    exclude: bool = False


class GitFileGeneratorItem(ApiObject, frozen=True):
    """A pattern of files, to take or (``exclude``) to leave."""

    path: Mandatory[str] = always(str)
    exclude: bool = False


class GitGenerator(ApiObject, frozen=True):
    """Parameters of directories or files of a Git repository."""

    repo_url: Mandatory[str] = always(str)
    directories: tuple[GitDirectoryGeneratorItem, ...] = ()
    files: tuple[GitFileGeneratorItem, ...] = ()
    revision: Mandatory[str] = always(str)
    requeue_after_seconds: int | None = None
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    path_param_prefix: str = ""
    values: Mapping[str, str] = {}


class SCMProviderGenerator(ApiObject, frozen=True):
    """Parameters of the repositories of an organisation."""

    github: SCMProviderGeneratorGithub | None = None
    gitlab: SCMProviderGeneratorGitlab | None = None
    bitbucket: SCMProviderGeneratorBitbucket | None = None
    bitbucket_server: SCMProviderGeneratorBitbucketServer | None = None
    gitea: SCMProviderGeneratorGitea | None = None
    azure_dev_ops: SCMProviderGeneratorAzureDevOps | None = None
    filters: tuple[SCMProviderGeneratorFilter, ...] = ()
    clone_protocol: str = ""
    requeue_after_seconds: int | None = None
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    values: Mapping[str, str] = {}
    aws_code_commit: SCMProviderGeneratorAWSCodeCommit | None = None


class PullRequestGenerator(ApiObject, frozen=True):
    """Parameters of the open pull requests of a repository."""

    github: PullRequestGeneratorGithub | None = None
    gitlab: PullRequestGeneratorGitLab | None = None
    gitea: PullRequestGeneratorGitea | None = None
    bitbucket_server: PullRequestGeneratorBitbucketServer | None = None
    filters: tuple[PullRequestGeneratorFilter, ...] = ()
    requeue_after_seconds: int | None = None
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    bitbucket: PullRequestGeneratorBitbucket | None = None
    azuredevops: PullRequestGeneratorAzureDevOps | None = None
    values: Mapping[str, str] = {}
    continue_on_repo_not_found_error: bool = False


class DuckTypeGenerator(ApiObject, frozen=True):
    """Clusters that resources of another controller decide on."""

    config_map_ref: Mandatory[str] = always(str)
    name: str = ""
    requeue_after_seconds: int | None = None
    label_selector: LabelSelector = always(LabelSelector)
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    values: Mapping[str, str] = {}


class PluginConfigMapRef(ApiObject, frozen=True):
    """The ConfigMap that says where the plugin is."""

    name: Mandatory[str] = always(str)


class PluginInput(ApiObject, frozen=True):
    """What the plugin is asked with."""

    parameters: Mapping[str, Any] = {}


class PluginGenerator(ApiObject, frozen=True):
    """Parameters that an HTTP service gives."""

    config_map_ref: Mandatory[PluginConfigMapRef] = always(PluginConfigMapRef)
    input: PluginInput = always(PluginInput)
    requeue_after_seconds: int | None = None
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)
    values: Mapping[str, str] = {}


class ApplicationSetTerminalGenerator(ApiObject, frozen=True):
    """A generator at the innermost level: no combinations."""

    list: ListGenerator | None = None
    clusters: ClusterGenerator | None = None
    git: GitGenerator | None = None
    scm_provider: SCMProviderGenerator | None = None
    cluster_decision_resource: DuckTypeGenerator | None = None
    pull_request: PullRequestGenerator | None = None
    plugin: PluginGenerator | None = None
    selector: LabelSelector | None = None


class ApplicationSetNestedGenerator(ApplicationSetTerminalGenerator, frozen=True):
    """A generator inside a combination; further combinations are free JSON."""

    matrix: Any | None = None
    merge: Any | None = None


class MatrixGenerator(ApiObject, frozen=True):
    """Each parameter set of one generator with each of another."""

    generators: Mandatory[tuple[ApplicationSetNestedGenerator, ...]] = always(no_items)
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)


class MergeGenerator(ApiObject, frozen=True):
    """Parameter sets of several generators, joined by keys."""

    generators: Mandatory[tuple[ApplicationSetNestedGenerator, ...]] = always(no_items)
    merge_keys: Mandatory[tuple[str, ...]] = always(no_items)
    template: ApplicationSetTemplate = always(ApplicationSetTemplate)


class NestedMatrixGenerator(ApiObject, frozen=True):
    """A matrix inside a combination."""

    generators: Mandatory[tuple[ApplicationSetTerminalGenerator, ...]] = always(no_items)


class NestedMergeGenerator(ApiObject, frozen=True):
    """A merge inside a combination."""

    generators: Mandatory[tuple[ApplicationSetTerminalGenerator, ...]] = always(no_items)
    merge_keys: Mandatory[tuple[str, ...]] = always(no_items)


class ApplicationSetGenerator(ApplicationSetTerminalGenerator, frozen=True):
    """A generator: exactly one key beside ``selector``."""

    matrix: MatrixGenerator | None = None
    merge: MergeGenerator | None = None


SyncPolicyOfSet = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"enum": ["create-only", "create-update", "create-delete", "sync"]}),
]


class ApplicationSetSyncPolicy(ApiObject, frozen=True):
    """What may be done to the generated applications."""

    preserve_resources_on_deletion: bool = False
    applications_sync: SyncPolicyOfSet | None = None


class ApplicationMatchExpression(ApiObject, frozen=True):
    """Selects applications of a step by their labels."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class ApplicationSetRolloutStep(ApiObject, frozen=True):
    """Applications that are updated together."""

    match_expressions: tuple[ApplicationMatchExpression, ...] = ()
    max_update: int | str | None = None
    """How many at once: a number, or a share such as ``25%``; all when absent."""


class ApplicationSetRolloutStrategy(ApiObject, frozen=True):
    """Steps of a rollout."""

    steps: tuple[ApplicationSetRolloutStep, ...] = ()


class ApplicationSetStrategy(ApiObject, frozen=True):
    """In which order the applications are updated and deleted."""

    type: str = ""
    rolling_sync: ApplicationSetRolloutStrategy | None = None
    deletion_order: str = ""


class ApplicationPreservedFields(ApiObject, frozen=True):
    """Annotations and labels of live applications that are kept."""

    annotations: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class ApplicationSetResourceIgnoreDifferences(ApiObject, frozen=True):
    """Fields of live applications that are left as they are."""

    name: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_path_expressions: tuple[str, ...] = ()


class ApplicationSetSpec(ApiObject, frozen=True):
    """Generators, the template, and how to treat what comes of them."""

    go_template: bool = False
    generators: Mandatory[tuple[ApplicationSetGenerator, ...]] = always(no_items)
    template: Mandatory[ApplicationSetTemplate] = always(ApplicationSetTemplate)
    sync_policy: ApplicationSetSyncPolicy | None = None
    strategy: ApplicationSetStrategy | None = None
    preserved_fields: ApplicationPreservedFields | None = None
    go_template_options: tuple[str, ...] = ()
    apply_nested_selectors: bool = False
    ignore_application_differences: tuple[ApplicationSetResourceIgnoreDifferences, ...] = ()
    template_patch: str | None = None


class ApplicationSetCondition(ApiObject, frozen=True):
    """Something about the set that a person should know."""

    type: Mandatory[str] = always(str)
    message: Mandatory[str] = always(str)
    last_transition_time: Timestamp = NO_TIME
    status: Mandatory[str] = always(str)
    reason: Mandatory[str] = always(str)


class ApplicationSetApplicationStatus(ApiObject, frozen=True):
    """How far one application is in a rollout."""

    application: Mandatory[str] = always(str)
    last_transition_time: Timestamp = NO_TIME
    message: Mandatory[str] = always(str)
    status: Mandatory[str] = always(str)
    step: Mandatory[str] = always(str)
    target_revisions: Mandatory[tuple[str, ...]] = always(no_items)


class ApplicationSetStatus(ApiObject, frozen=True):
    """What the controller found out about the set."""

    conditions: tuple[ApplicationSetCondition, ...] = ()
    application_status: tuple[ApplicationSetApplicationStatus, ...] = ()
    resources: tuple[ResourceStatus, ...] = ()
    resources_count: int = 0
    health: HealthStatus = always(HealthStatus)


class ApplicationSet(ApiObject, frozen=True):
    """Applications generated from a template and lists of parameters."""

    api_version: str = always(lambda: API_VERSION)
    kind: str = always(lambda: KIND)
    metadata: Mandatory[ObjectMeta] = always(ObjectMeta)
    spec: Mandatory[ApplicationSetSpec] = always(ApplicationSetSpec)
    status: ApplicationSetStatus = always(ApplicationSetStatus)

    @property
    def key(self) -> AppKey:
        """Namespace and name."""
        return AppKey(self.metadata.namespace, self.metadata.name)


class ApplicationSetList(ApiObject, frozen=True):
    """A list of ApplicationSets."""

    api_version: str = always(lambda: API_VERSION)
    kind: str = always(lambda: "ApplicationSetList")
    metadata: ListMeta = always(ListMeta)
    items: tuple[ApplicationSet, ...] = always(no_items)


def decode(body: bytes | Manifest) -> ApplicationSet:
    """Read an ApplicationSet; unknown fields are skipped.

    Raises:
        InvalidObject: a field has the wrong type; the error names it.
    """
    return decode_as(ApplicationSet, body)


def nested_matrix(body: Manifest) -> NestedMatrixGenerator:
    """Read the free JSON of a matrix inside a combination (``applicationset.md`` 16).

    Raises:
        InvalidObject: a field has the wrong type.
    """
    return decode_as(NestedMatrixGenerator, body)


def nested_merge(body: Manifest) -> NestedMergeGenerator:
    """Read the free JSON of a merge inside a combination.

    Raises:
        InvalidObject: a field has the wrong type.
    """
    return decode_as(NestedMergeGenerator, body)
