"""Making an object anew: what is there goes, but only for one that the server will take.

An object whose immutable fields changed is deleted and created again (``Force=true``), as is a binding
to another role. What was deleted cannot be brought back, and the server may refuse the new object for a
reason that has nothing to do with the old one: a value that is no good, a policy, a right that is missing.
So it is asked first, with a dry run of the creation: that the name is taken is the good answer. What it
says of the old object's own numbers (ports, addresses, its part of a quota) is none, they are freed.
"""

import asyncio

from tiphys.kube.errors import AlreadyExists, ApiError, NotFound
from tiphys.resources.identity import Manifest
from tiphys.sync.cluster import SyncCluster, describe
from tiphys.sync.plan import gvk_and_name

DELETION_SECONDS = 1.0
DELETION_POLL_SECONDS = 0.05
_NO_ANSWER = ("already allocated", "exceeded quota", "does not support dry run")


async def make_way(cluster: SyncCluster, wanted: Manifest, live: Manifest, policy: str) -> None:
    """Deletes ``live``, in whose place ``wanted`` is to be created.

    Args:
        policy: of the propagation of the deletion.

    Raises:
        ApiError: ``wanted`` would be refused, then nothing was deleted; or the deletion was.
    """
    try:
        await cluster.create(wanted, dry_run=True)
    except AlreadyExists:
        pass
    except ApiError as error:
        if not any(text in describe(error) for text in _NO_ANSWER):
            raise
    uid = (live.get("metadata") or {}).get("uid")
    try:
        await cluster.delete(*gvk_and_name(wanted), propagation_policy=policy, uid=uid)
    except NotFound:
        return


async def has_left(cluster: SyncCluster, target: Manifest) -> bool:
    """Whether a deleted object has left; looked at for a moment, the step comes back otherwise."""
    try:
        async with asyncio.timeout(DELETION_SECONDS):
            while True:
                try:
                    await cluster.get(*gvk_and_name(target))
                except NotFound:
                    return True
                await asyncio.sleep(DELETION_POLL_SECONDS)
    except TimeoutError:
        return False
