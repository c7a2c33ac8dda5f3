"""Which live objects are an application's orphans: nobody's, in its destination namespace.

Counted for the warning in the status and listed in the resource tree, by one rule
(health-and-resources.md 9.3).
"""

from collections.abc import Callable, Collection

import msgspec

from tiphys.live.cluster import ClusterCache
from tiphys.live.records import LiveObject
from tiphys.projects.orphans import is_orphan
from tiphys.projects.permission import live_permission
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation
from tiphys.resources.identity import AppKey, ResourceKey


class Orphans(msgspec.Struct, frozen=True):
    """Top-level orphans, and which of the objects below them belong to them."""

    roots: list[ResourceKey]
    permitted: Callable[[LiveObject], bool]


def orphans_of(
    services: Services, situation: Situation, cache: ClusterCache, managed: Collection[ResourceKey]
) -> Orphans:
    """Live objects of the destination namespace (none given: of all) that no application manages.

    Args:
        managed: what the application manages, whoever carries its mark.
    """

    def is_ours(record: LiveObject) -> bool:
        instance = record.app_instance
        key = AppKey.from_instance(instance, situation.settings.control_namespace) if instance else None
        return key is not None and services.apps.get(key) is not None

    project, cluster = situation.project, situation.cluster
    roots = [
        record.key
        for record in cache.in_namespace(situation.app.spec.destination.namespace)
        if record.app_instance != situation.instance
        and record.key not in managed
        and is_orphan(project, record.key, cluster=cluster, tracked_by_existing_app=is_ours(record))
    ]
    permitted = live_permission(project, cluster)
    return Orphans(roots, lambda record: permitted(record.key) and not is_ours(record))
