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
from tiphys.reconcile.pairs import managed_namespace, without_twins
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation
from tiphys.resources.application import Application
from tiphys.resources.identity import ResourceKey
from tiphys.resources.messages.trees import ApplicationTree

NODE_LABELS = "application.allowedNodeLabels"
"""Key in ``argocd-cm``: labels of Kubernetes nodes that the tree shows, by commas."""


def tree_of(services: Services, situation: Situation, cache: ClusterCache) -> ApplicationTree:
    """The tree as the cache has it at this moment."""
    app, project, cluster = situation.app, situation.project, situation.cluster
    permits = live_permission(project, cluster)

    def permitted(record: LiveObject) -> bool:
        return permits(record.key)

    listed = listed_resources(app)
    managed = managed_keys(situation, cache)
    nodes = cache.tree(managed, permitted)
    for key, version in listed.items():
        if cache.get(key) is None and cache.would_know(key):
            nodes.append(missing_node(key, version))
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


def listed_resources(app: Application) -> dict[ResourceKey, str]:
    """What the last comparison wanted to be there, with its version (no hooks, nothing to prune)."""
    return {
        ResourceKey(each.group, each.kind, each.namespace, each.name): each.version
        for each in app.status.resources
        if not each.hook and not each.requires_pruning
    }


def managed_keys(situation: Situation, cache: ClusterCache) -> list[ResourceKey]:
    """Keys of the live objects that the application manages: its own by their mark, and those that
    it wants and that carry no or another one."""
    app = situation.app
    listed = listed_resources(app)
    own = without_twins(cache.managed(situation.instance), listed)
    namespace = managed_namespace(app)
    found = {key: None for key in listed if cache.get(key) is not None}
    found.update((key, None) for key in own if key != namespace or key in listed)
    return list(found)


def allowed_node_labels(situation: Situation) -> frozenset[str]:
    """Labels of Kubernetes nodes that may be shown (9.4)."""
    return frozenset(situation.settings.raw.get(NODE_LABELS, "").replace(" ", "").split(","))
