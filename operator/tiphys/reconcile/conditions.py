"""Conditions of an application: one update rule (applications.md 5).

A condition is evaluated by one step; that step replaces the conditions of the types it evaluates
and leaves the others alone. A condition that is said again keeps its time.
"""

from collections.abc import Iterable

from tiphys.resources.application import ApplicationCondition
from tiphys.resources.times import Timestamp

COMPARISON_ERROR = "ComparisonError"
INVALID_SPEC_ERROR = "InvalidSpecError"
UNKNOWN_ERROR = "UnknownError"
SYNC_ERROR = "SyncError"
DELETION_ERROR = "DeletionError"
SHARED_RESOURCE_WARNING = "SharedResourceWarning"
REPEATED_RESOURCE_WARNING = "RepeatedResourceWarning"
EXCLUDED_RESOURCE_WARNING = "ExcludedResourceWarning"
ORPHANED_RESOURCE_WARNING = "OrphanedResourceWarning"

SPEC_TYPES = frozenset({INVALID_SPEC_ERROR, UNKNOWN_ERROR})
COMPARISON_TYPES = frozenset(
    {COMPARISON_ERROR, SHARED_RESOURCE_WARNING, REPEATED_RESOURCE_WARNING, EXCLUDED_RESOURCE_WARNING}
)


def set_conditions(
    stored: Iterable[ApplicationCondition],
    found: Iterable[tuple[str, str]],
    evaluated: frozenset[str],
    now: Timestamp,
) -> tuple[ApplicationCondition, ...]:
    """Stored conditions with those of the ``evaluated`` types replaced by ``found`` (type, message).

    As in the reference, a repeated condition keeps its time only if the first stored one of its
    type has the same message; the answer is sorted by ``type/message/time``.
    """
    stored = tuple(stored)
    first: dict[str, ApplicationCondition] = {}
    for condition in stored:
        first.setdefault(condition.type, condition)
    kept = [condition for condition in stored if condition.type not in evaluated]
    for kind, message in found:
        before = first.get(kind)
        same = before is not None and before.message == message
        kept.append(
            ApplicationCondition(
                type=kind,
                message=message,
                last_transition_time=before.last_transition_time if before and same else now,
            )
        )
    return tuple(sorted(kept, key=lambda c: f"{c.type}/{c.message}/{c.last_transition_time}"))


def describe(conditions: Iterable[tuple[str, str]]) -> str:
    """``Type: message;Type: message``, as operation messages quote conditions."""
    return ";".join(f"{kind}: {message}" for kind, message in conditions)
