"""Which objects the tree of an application grows from (health-and-resources.md 9.2).

What carries the application's mark now, and what the last comparison wanted, whosever mark it carries.
The tree that people see and the sum of it in the status (images, URLs) grow from the same roots.
"""

from collections.abc import Callable, Iterable

from tiphys.live.cluster import ClusterCache
from tiphys.reconcile.pairs import managed_namespace, without_twins
from tiphys.reconcile.situation import Situation
from tiphys.resources.application import ResourceStatus
from tiphys.resources.identity import ResourceKey


def listed_resources(resources: Iterable[ResourceStatus]) -> dict[ResourceKey, str]:
    """What a comparison wanted to be there, with its version (no hooks, nothing to prune)."""
    return {
        ResourceKey(each.group, each.kind, each.namespace, each.name): each.version
        for each in resources
        if not each.hook and not each.requires_pruning
    }


def missing_resources(
    listed: dict[ResourceKey, str], cache: ClusterCache, permitted: Callable[[ResourceKey], bool]
) -> dict[ResourceKey, str]:
    """Those of ``listed`` that are surely not there, or that the project hides: nodes without an
    identity, and Missing."""
    return {
        key: version
        for key, version in listed.items()
        if (cache.get(key) is None and cache.would_know(key)) or not permitted(key)
    }


def managed_keys(
    situation: Situation, listed: dict[ResourceKey, str], cache: ClusterCache
) -> list[ResourceKey]:
    """Keys of the live objects that the application manages: its own by their mark, and those that
    it wants and that carry no or another one."""
    own = without_twins(cache.managed(situation.instance), listed)
    namespace = managed_namespace(situation.app)
    found = {key: None for key in listed if cache.get(key) is not None}
    found.update((key, None) for key in own if key != namespace or key in listed)
    return list(found)
