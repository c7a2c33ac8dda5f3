"""Where an application's manifests come from: one source and the options of each tool.

The same source shape stands in ``spec``, in every status entry that remembers what was
compared or synced, and (as ``drySource``) in the hydrator (``applications.md`` 2.1, 2.5).
"""

from collections.abc import Mapping
from typing import Any

from tiphys.resources.shape import ApiObject, Mandatory, always


class HelmParameter(ApiObject, frozen=True):
    """One ``--set`` of ``helm template``."""

    name: str = ""
    value: str = ""
    force_string: bool = False


class HelmFileParameter(ApiObject, frozen=True):
    """One ``--set-file`` of ``helm template``."""

    name: str = ""
    path: str = ""


class ApplicationSourceHelm(ApiObject, frozen=True):
    """Options of Helm."""

    value_files: tuple[str, ...] = ()
    parameters: tuple[HelmParameter, ...] = ()
    release_name: str = ""
    """Name of the release; the application's name when empty."""
    values: str = ""
    file_parameters: tuple[HelmFileParameter, ...] = ()
    version: str = ""
    pass_credentials: bool = False
    ignore_missing_value_files: bool = False
    skip_crds: bool = False
    values_object: dict[str, Any] | None = None
    """Values as an object; they win over ``values``."""
    namespace: str = ""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    skip_tests: bool = False
    skip_schema_validation: bool = False


class KustomizeReplica(ApiObject, frozen=True):
    """Sets the number of replicas of one resource."""

    name: Mandatory[str] = always(str)
    count: Mandatory[int | str] = always(int)


class KustomizeSelector(ApiObject, frozen=True):
    """Which resources a patch is meant for."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    annotation_selector: str = ""
    label_selector: str = ""


class KustomizePatch(ApiObject, frozen=True):
    """One patch, given inline or by its path."""

    path: str = ""
    patch: str = ""
    target: KustomizeSelector | None = None
    options: Mapping[str, bool] = {}


class ApplicationSourceKustomize(ApiObject, frozen=True):
    """Options of Kustomize."""

    name_prefix: str = ""
    name_suffix: str = ""
    images: tuple[str, ...] = ()
    common_labels: Mapping[str, str] = {}
    version: str = ""
    common_annotations: Mapping[str, str] = {}
    force_common_labels: bool = False
    force_common_annotations: bool = False
    namespace: str = ""
    common_annotations_envsubst: bool = False
    replicas: tuple[KustomizeReplica, ...] = ()
    patches: tuple[KustomizePatch, ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    label_without_selector: bool = False
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    label_include_templates: bool = False


class JsonnetVar(ApiObject, frozen=True):
    """An external variable or top-level argument; ``code`` makes the value an expression."""

    name: Mandatory[str] = always(str)
    value: Mandatory[str] = always(str)
    code: bool = False


class ApplicationSourceJsonnet(ApiObject, frozen=True):
    """Options of Jsonnet files in a directory."""

    ext_vars: tuple[JsonnetVar, ...] = ()
    tlas: tuple[JsonnetVar, ...] = ()
    libs: tuple[str, ...] = ()


class ApplicationSourceDirectory(ApiObject, frozen=True):
    """Options of a directory of plain manifests."""

    recurse: bool = False
    jsonnet: ApplicationSourceJsonnet | None = None
    exclude: str = ""
    include: str = ""
    disable_extension_filter: bool = False


class EnvEntry(ApiObject, frozen=True):
    """An environment variable of a plugin."""

    name: Mandatory[str] = always(str)
    value: Mandatory[str] = always(str)


class ApplicationSourcePluginParameter(ApiObject, frozen=True):
    """A parameter of a plugin: a string, a map or a list (present but empty is not absent)."""

    name: str = always(str)
    string: str | None = None
    map: Mapping[str, str] | None = None
    array: tuple[str, ...] | None = None


class ApplicationSourcePlugin(ApiObject, frozen=True):
    """Options of a config management plugin."""

    name: str = ""
    env: tuple[EnvEntry, ...] = ()
    parameters: tuple[ApplicationSourcePluginParameter, ...] = ()


class ApplicationSource(ApiObject, frozen=True):
    """Where manifests come from: a repository, a place in it, a revision and a tool's options."""

    repo_url: Mandatory[str] = always(str)
    """URL of the Git repository, Helm repository or (``oci://``) registry."""
    path: str = ""
    """Directory in the repository."""
    target_revision: str = ""
    """Git: branch, tag, commit or semver range (HEAD when empty). Helm: chart version or range."""
    helm: ApplicationSourceHelm | None = None
    kustomize: ApplicationSourceKustomize | None = None
    directory: ApplicationSourceDirectory | None = None
    plugin: ApplicationSourcePlugin | None = None
    chart: str = ""
    """Name of the chart in a Helm repository."""
    ref: str = ""
    """Names this source for ``$ref/...`` value files of other sources."""
    name: str = ""
    """Names this source for people and the command line."""
    tag_prefix: str = ""
    """Only tags with this prefix are candidates of a semver range."""


class DrySource(ApiObject, frozen=True):
    """Where the hydrator reads what it renders."""

    repo_url: Mandatory[str] = always(str)
    target_revision: Mandatory[str] = always(str)
    path: Mandatory[str] = always(str)
    helm: ApplicationSourceHelm | None = None
    kustomize: ApplicationSourceKustomize | None = None
    directory: ApplicationSourceDirectory | None = None
    plugin: ApplicationSourcePlugin | None = None

    def as_source(self) -> ApplicationSource:
        """The source that is rendered."""
        return ApplicationSource(
            repo_url=self.repo_url,
            path=self.path,
            target_revision=self.target_revision,
            helm=self.helm,
            kustomize=self.kustomize,
            directory=self.directory,
            plugin=self.plugin,
        )
