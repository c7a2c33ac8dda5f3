"""What a changed Application means for our work: how urgent it is, and how deep the next look goes.

Pure. Changes come on two ways: as watch events, and in the answers to our own patches, which hold
whatever somebody else wrote in between. The event of such an edit is then no news any more (the
answer was newer), so the answer itself must be judged: ``after_own_write`` takes off what we wrote
and asks about the rest.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import COMPARE_OPTIONS_ANNOTATION, Level
from tiphys.reconcile.statuses import LINK_ANNOTATIONS
from tiphys.resources.application import Application, OperationState


class Concern(msgspec.Struct, frozen=True):
    """A change of ours to look at; ``level`` None: the stored state itself says how deep."""

    priority: Priority
    level: Level | None = None


def concern(old: Application, new: Application) -> Concern | None:
    """How a change from ``old`` to ``new`` concerns us; None: it does not (a status of ours).

    A spec edit that ``decide_refresh`` would not notice (project, automation, sync options) asks
    for a look of its own; the reference leaves most of them to the next poll.
    """
    level = _level(old, new)
    if (
        level is not None
        or (new.operation is not None and new.operation != old.operation)
        or new.metadata.deletion_timestamp != old.metadata.deletion_timestamp
        or new.metadata.annotations != old.metadata.annotations
        or new.metadata.labels != old.metadata.labels
        or (_terminating(new.status.operation_state) and not _terminating(old.status.operation_state))
    ):
        return Concern(Priority.USER, level)
    if new.metadata.deletion_timestamp and new.metadata.finalizers != old.metadata.finalizers:
        return Concern(Priority.CHANGE)
    return None


def after_own_write(before: Application, body: Mapping[str, Any], after: Application) -> Concern | None:
    """What others changed between ``before`` and ``after``, the answer to our merge patch ``body``."""
    metadata = body.get("metadata") or {}
    status = body.get("status") or {}
    expected = before.metadata
    if annotations := metadata.get("annotations"):
        kept = {**(before.metadata.annotations or {}), **annotations}
        expected = msgspec.structs.replace(
            expected, annotations={key: value for key, value in kept.items() if value is not None}
        )
    if "finalizers" in metadata:
        expected = msgspec.structs.replace(expected, finalizers=after.metadata.finalizers)
    own = msgspec.structs.replace(before, metadata=expected)
    if "operation" in body:
        own = msgspec.structs.replace(own, operation=after.operation if body["operation"] else None)
    if "spec" in body:
        own = msgspec.structs.replace(own, spec=after.spec)
    if "phase" in (status.get("operationState") or {}):
        state = after.status.operation_state
        own = msgspec.structs.replace(own, status=msgspec.structs.replace(own.status, operation_state=state))
    return concern(own, after)


def _level(old: Application, new: Application) -> Level | None:
    if new.spec == old.spec:
        return Level.TREE if _links(new) != _links(old) else _compare_options(old, new)
    policy = new.spec.sync_policy
    automated = policy.automated if policy else None
    before = old.spec.sync_policy.automated if old.spec.sync_policy else None
    switched = automated is not None and automated.enabled is not False and automated != before
    return Level.LATEST if switched else Level.RECENT


def _compare_options(old: Application, new: Application) -> Level | None:
    def options(app: Application) -> str:
        return (app.metadata.annotations or {}).get(COMPARE_OPTIONS_ANNOTATION, "")

    return Level.RECENT if options(new) != options(old) else None


def _links(app: Application) -> dict[str, str]:
    annotations = app.metadata.annotations or {}
    return {key: value for key, value in annotations.items() if key.startswith(LINK_ANNOTATIONS)}


def _terminating(state: OperationState | None) -> bool:
    return state is not None and state.phase == "Terminating"
