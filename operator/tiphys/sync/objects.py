"""Deleting objects and taking our finalizer off hooks, each safe to repeat."""

from collections.abc import Callable

from tiphys.compare.hooks import HOOK_FINALIZER
from tiphys.kube.errors import Conflict, Invalid, NotFound, UnknownKind
from tiphys.resources.identity import Manifest
from tiphys.sync.cluster import MERGE_PATCH, SyncCluster
from tiphys.sync.ownership import finalizers_of, has_hook_finalizer, is_terminating
from tiphys.sync.plan import gvk_and_name

ATTEMPTS = 5


async def delete_object(cluster: SyncCluster, live: Manifest, policy: str) -> Manifest | None:
    """Deletes the object with exactly this uid; ``None`` when it is gone already.

    The answer is the object on its way out, or a Status.

    Raises:
        ApiError, ClusterUnreachable: the request failed.
    """
    uid = (live.get("metadata") or {}).get("uid") or None
    try:
        return await cluster.delete(*gvk_and_name(live), propagation_policy=policy, uid=uid)
    except NotFound:
        return None
    except Conflict:
        # another object has the name now: the one that was meant is gone
        return None
    except UnknownKind as error:
        if error.why:
            raise
        return None  # its kind went, and it went with it


class NotOurs(Exception):
    """The object that was to be deleted belongs to somebody else by now."""


async def delete_owned(
    cluster: SyncCluster, live: Manifest, policy: str, owned: Callable[[Manifest], bool]
) -> Manifest | None:
    """:func:`delete_object` for an object that is still ours when it goes.

    An object that moves from one Application to another is wanted by the one while the other prunes it.
    So exactly what was seen is deleted; what changed since is read again.

    Raises:
        NotOurs: it is another Application's now; it was left alone.
        ApiError, ClusterUnreachable: the request failed.
    """
    for _ in range(ATTEMPTS):
        if not owned(live):
            raise NotOurs
        metadata = live.get("metadata") or {}
        uid, version = metadata.get("uid") or None, metadata.get("resourceVersion") or None
        try:
            return await cluster.delete(
                *gvk_and_name(live), propagation_policy=policy, uid=uid, resource_version=version
            )
        except NotFound:
            return None
        except UnknownKind as error:
            if error.why:
                raise
            return None
        except Conflict:
            pass
        try:
            live = await cluster.get(*gvk_and_name(live))
        except NotFound:
            return None
        if ((live.get("metadata") or {}).get("uid") or None) != uid:
            return None  # another object has the name now
        if is_terminating(live):
            return live
    return await delete_object(cluster, live, policy)  # it changes all the time


async def remove_hook_finalizer(cluster: SyncCluster, live: Manifest) -> Manifest | None:
    """Takes the hook finalizer off; the object afterwards, ``None`` when it is gone.

    One patch guarded by the resource version; on a conflict the object is read again (sync.md
    12.5). No request when the finalizer is not there.

    Raises:
        ApiError, ClusterUnreachable: the request failed.
    """
    current = live
    for attempt in range(ATTEMPTS + 1):
        if not has_hook_finalizer(current):
            return current
        kept = [name for name in finalizers_of(current) if name != HOOK_FINALIZER]
        body = {
            "metadata": {
                "finalizers": kept or None,
                "resourceVersion": current["metadata"].get("resourceVersion"),
            }
        }
        try:
            return await cluster.patch(*gvk_and_name(current), body, MERGE_PATCH)
        except NotFound:
            return None
        except (Conflict, Invalid):
            if attempt == ATTEMPTS:
                raise
        try:
            current = await cluster.get(*gvk_and_name(live))
        except NotFound:
            return None
        if (current["metadata"].get("uid") or "") != ((live.get("metadata") or {}).get("uid") or ""):
            return None  # another object has the name now
    raise AssertionError("the loop returns or raises")
