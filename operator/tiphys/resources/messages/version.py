"""Messages of the API package ``version``."""

import msgspec

from tiphys.resources.shape import ApiObject


class VersionMessage(ApiObject, frozen=True):
    """Versions of the product and its tools; strangers see the first only."""

    version: str = msgspec.field(default="", name="Version")
    build_date: str = msgspec.field(default="", name="BuildDate")
    git_commit: str = msgspec.field(default="", name="GitCommit")
    git_tag: str = msgspec.field(default="", name="GitTag")
    git_tree_state: str = msgspec.field(default="", name="GitTreeState")
    go_version: str = msgspec.field(default="", name="GoVersion")
    compiler: str = msgspec.field(default="", name="Compiler")
    platform: str = msgspec.field(default="", name="Platform")
    kustomize_version: str = msgspec.field(default="", name="KustomizeVersion")
    helm_version: str = msgspec.field(default="", name="HelmVersion")
    kubectl_version: str = msgspec.field(default="", name="KubectlVersion")
    jsonnet_version: str = msgspec.field(default="", name="JsonnetVersion")
    extra_build_info: str = msgspec.field(default="", name="ExtraBuildInfo")
