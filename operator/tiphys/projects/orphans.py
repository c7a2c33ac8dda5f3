"""Which live objects count as orphaned: nobody's, in an application's namespace.

The rules of ``applications.md`` 21. The caller gives objects of the destination namespace that
are nobody's children and not managed by the application.
"""

from tiphys.projects.glob import matches
from tiphys.projects.permission import OwnedClusterLike, permits_live
from tiphys.resources.identity import ResourceKey
from tiphys.resources.project import AppProject, OrphanedResourceKey

# Objects that Kubernetes makes by itself; ``None`` is any namespace.
_BUILT_IN: frozenset[tuple[str, str | None, str]] = frozenset(
    {
        ("Service", "default", "kubernetes"),
        ("ServiceAccount", None, "default"),
        ("ConfigMap", None, "kube-root-ca.crt"),
    }
)


def monitors_orphans(project: AppProject) -> bool:
    """Whether the project wants orphans to be looked for (an empty setting is a yes)."""
    return project.spec.orphaned_resources is not None


def warns_of_orphans(project: AppProject) -> bool:
    """Whether orphans become a condition, too."""
    settings = project.spec.orphaned_resources
    return settings is not None and settings.warn is True


def is_orphan(
    project: AppProject,
    key: ResourceKey,
    *,
    cluster: OwnedClusterLike,
    tracked_by_existing_app: bool,
) -> bool:
    """Whether a top-level live object that the application does not manage is an orphan.

    Args:
        tracked_by_existing_app: another application that exists tracks it.
    """
    settings = project.spec.orphaned_resources
    if settings is None or tracked_by_existing_app or _is_built_in(key):
        return False
    if not permits_live(project, key, cluster=cluster):
        return False
    return not any(_ignores(item, key) for item in settings.ignore)


def _is_built_in(key: ResourceKey) -> bool:
    return not key.group and (
        (key.kind, key.namespace, key.name) in _BUILT_IN or (key.kind, None, key.name) in _BUILT_IN
    )


def _ignores(item: OrphanedResourceKey, key: ResourceKey) -> bool:
    """Kind and name are any when empty; the group is not: empty is the core group."""
    return (
        matches(item.group, key.group)
        and (not item.kind or matches(item.kind, key.kind))
        and (not item.name or matches(item.name, key.name))
    )


def orphan_message(count: int) -> str:
    """Text of the ``OrphanedResourceWarning`` condition."""
    return f"Application has {count} orphaned resources"
