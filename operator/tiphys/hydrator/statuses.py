"""How ``status.sourceHydrator`` moves on: hydrating, then hydrated or failed (``applications.md`` 25).

What a process must know after a kill is in here: an operation that is ``Hydrating`` and that nobody
works on is begun again from the start, which is safe, since what was pushed already is found there.
"""

from datetime import datetime

import msgspec

from tiphys.resources.application import (
    HydrateOperation,
    SourceHydratorStatus,
    SuccessfulHydrateOperation,
)
from tiphys.resources.spec import SourceHydrator
from tiphys.resources.times import Timestamp, to_timestamp

HYDRATING, HYDRATED, FAILED = "Hydrating", "Hydrated", "Failed"


def begun(status: SourceHydratorStatus, hydrator: SourceHydrator, now: datetime) -> SourceHydratorStatus:
    """An operation for ``hydrator`` runs; one that runs for the same spec keeps its beginning."""
    current = status.current_operation
    if current is not None and current.phase == HYDRATING and current.source_hydrator == hydrator:
        return status
    operation = HydrateOperation(
        started_at=to_timestamp(now), phase=HYDRATING, message="", source_hydrator=hydrator
    )
    return msgspec.structs.replace(status, current_operation=operation)


def compared(status: SourceHydratorStatus, dry_sha: str) -> SourceHydratorStatus:
    """A commit of the dry source was looked at: the next look asks what came after it."""
    return msgspec.structs.replace(status, last_compared_dry_revision=dry_sha)


def succeeded(
    status: SourceHydratorStatus, hydrator: SourceHydrator, dry_sha: str, hydrated_sha: str, now: datetime
) -> SourceHydratorStatus:
    """The dry commit is hydrated as ``hydrated_sha``, for the spec that was worked on."""
    return SourceHydratorStatus(
        last_successful_operation=SuccessfulHydrateOperation(
            dry_sha=dry_sha, hydrated_sha=hydrated_sha, source_hydrator=hydrator
        ),
        current_operation=HydrateOperation(
            started_at=_started(status, now),
            finished_at=to_timestamp(now),
            phase=HYDRATED,
            message="",
            dry_sha=dry_sha,
            hydrated_sha=hydrated_sha,
            source_hydrator=hydrator,
        ),
        last_compared_dry_revision=dry_sha,
    )


def failed(
    status: SourceHydratorStatus, hydrator: SourceHydrator, dry_sha: str, problem: str, now: datetime
) -> SourceHydratorStatus:
    """The operation ended with ``problem``; ``dry_sha`` is ``""`` if it did not get that far."""
    operation = HydrateOperation(
        started_at=_started(status, now),
        finished_at=to_timestamp(now),
        phase=FAILED,
        message=f"Failed to hydrate: {problem}",
        dry_sha=dry_sha,
        source_hydrator=hydrator,
    )
    status = msgspec.structs.replace(status, current_operation=operation)
    return compared(status, dry_sha) if dry_sha else status


def _started(status: SourceHydratorStatus, now: datetime) -> Timestamp:
    current = status.current_operation
    return current.started_at if current is not None and current.started_at else to_timestamp(now)
