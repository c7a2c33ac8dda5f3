"""What of a cluster is ours: the namespaces its Secret restricts us to.

A cluster without a restriction is followed as a whole, each kind by one stream. A restricted one is
followed by one stream for each kind and namespace, and what lies outside is neither followed nor
fetched (health-and-resources.md 6.4).
"""

import msgspec

from tiphys.kube.discovery import ApiResource
from tiphys.kube.errors import ApiError
from tiphys.resources.identity import ResourceKey


class OutOfScope(ApiError):
    """The key is outside the namespaces that this cluster is restricted to."""

    def __init__(self, why: str) -> None:
        super().__init__(403, "OutOfScope", why)


class Scope(msgspec.Struct, frozen=True):
    """The restriction of a cluster's Secret; no namespaces: none."""

    namespaces: tuple[str, ...] = ()
    cluster_resources: bool = False

    def places(self, resource: ApiResource) -> tuple[str, ...]:
        """Namespaces to follow a kind in; ``""``: everywhere."""
        if not self.namespaces:
            return ("",)
        if resource.namespaced:
            return self.namespaces
        return ("",) if self.cluster_resources else ()

    def why_outside(self, key: ResourceKey, namespaced: bool) -> str:
        """Why ``key`` is outside, ``""`` if it is inside."""
        if not self.namespaces:
            return ""
        if not namespaced:
            if self.cluster_resources:
                return ""
            return f'cluster level {key.kind} "{key.name}" can not be managed when in namespaced mode'
        if key.namespace in self.namespaces:
            return ""
        return f'namespace "{key.namespace}" for {key.kind} "{key.name}" is not managed'
