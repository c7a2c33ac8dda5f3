"""What an application says when work on it failed in a way that nobody foresaw.

Without it a fault of ours would leave the last state standing (Synced, Healthy) while nothing is
looked at any more. The condition names the kind of the fault only: an exception's text may hold
anything. The next look that succeeds takes it away. An operation ends by such a fault (sync.md 17.1):
it would be met again in each pass, and nothing else could be done with the application.
"""

from datetime import datetime

from msgspec.structs import replace

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.clusters import ClusterPending
from tiphys.reconcile.conditions import set_conditions
from tiphys.reconcile.statuses import status_patch
from tiphys.reconcile.writing import ApplicationWriter, Stale, Vanished
from tiphys.resources.application import Application
from tiphys.resources.times import to_timestamp

FORESEEN = (Stale, Vanished, ClusterPending, ApiError, ClusterUnreachable)
"""Ends of a pass that are no fault: it is made again."""


def failure_of(error: Exception) -> str:
    """The message of an operation that ended by a fault of ours."""
    return f"internal error ({type(error).__name__}): the log of the application controller has the details"


async def tell(writer: ApplicationWriter, app: Application, error: Exception, now: datetime) -> None:
    """Write the condition and the sync status Unknown, if they are not there already.

    Raises what :meth:`ApplicationWriter.patch` raises.
    """
    text = (
        f"internal error ({type(error).__name__}): the application was not compared. It is tried again; "
        "the log of the application controller has the details"
    )
    found = [(kinds.UNKNOWN_ERROR, text)]
    conditions = set_conditions(
        app.status.conditions or (), found, frozenset({kinds.UNKNOWN_ERROR}), to_timestamp(now)
    )
    status = replace(app.status, conditions=conditions, sync=replace(app.status.sync, status="Unknown"))
    if changed := status_patch(app.status, status):
        await writer.patch(app, {"status": changed})
