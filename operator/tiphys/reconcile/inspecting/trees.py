"""The resource tree of an application (health-and-resources.md 9).

Roots are what the last comparison listed in the status and what carries the application's mark now;
below them come their children by ownership. What a comparison wanted and is not there is a node
without an identity, and Missing.
"""

from tiphys.live.cluster import ClusterCache
from tiphys.live.records import LiveObject
from tiphys.live.tree import missing_node, node_order
from tiphys.projects.orphans import monitors_orphans
from tiphys.projects.permission import live_permission
from tiphys.reconcile.orphans import orphans_of
from tiphys.reconcile.roots import listed_resources, managed_keys, missing_resources
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation
from tiphys.resources.messages.trees import ApplicationTree

NODE_LABELS = "application.allowedNodeLabels"
"""Key in ``argocd-cm``: labels of Kubernetes nodes that the tree shows, by commas."""


def tree_of(services: Services, situation: Situation, cache: ClusterCache) -> ApplicationTree:
    """The tree as the cache has it at this moment."""
    project, cluster = situation.project, situation.cluster
    permits = live_permission(project, cluster)

    def permitted(record: LiveObject) -> bool:
        return permits(record.key)

    listed = listed_resources(situation.app.status.resources)
    managed = managed_keys(situation, listed, cache)
    nodes = cache.tree(managed, permitted)
    nodes.extend(
        missing_node(key, version) for key, version in missing_resources(listed, cache, permits).items()
    )
    nodes.sort(key=node_order)
    orphaned = []
    if monitors_orphans(project):
        orphans = orphans_of(services, situation, cache, {*managed, *listed})
        orphaned = cache.tree(orphans.roots, orphans.permitted)
    return ApplicationTree(
        nodes=tuple(nodes),
        orphaned_nodes=tuple(orphaned),
        hosts=tuple(cache.hosts(nodes, allowed_node_labels(situation))),
    )


def allowed_node_labels(situation: Situation) -> frozenset[str]:
    """Labels of Kubernetes nodes that may be shown (9.4)."""
    return frozenset(situation.settings.raw.get(NODE_LABELS, "").replace(" ", "").split(","))
