"""Whether an Application needs hydration: the first rule that applies (``sources.md`` 21.2).

The rules come in two parts, because those at the end need a look at the dry repository, which costs a
request: :func:`decide` answers from the stored state alone or says that the revision decides, and
:func:`decide_by_revision` takes the outcome of that look.
"""

import enum
from datetime import datetime, timedelta

import msgspec

from tiphys.hydrator.statuses import FAILED, HYDRATING
from tiphys.resources.application import Application
from tiphys.resources.times import from_timestamp

ANNOTATION = "argocd.argoproj.io/hydrate"
TIMESTAMP_ANNOTATION = "argocd.argoproj.io/hydrate-timestamp"

RETRY_AFTER = timedelta(minutes=2)
"""How long a failed hydration rests unless somebody asks or there is a new commit."""


class Decision(msgspec.Struct, frozen=True):
    """Whether to hydrate, and why."""

    needed: bool
    why: str
    in_progress: bool = False


class DryLook(enum.Enum):
    """What a look at the dry repository said."""

    CHANGED = "changed"
    SAME = "same"
    UNKNOWN = "unknown"


def asked(app: Application) -> tuple[str, str]:
    """What the annotations ask for (``normal``, ``hard`` or ``""``), and since when."""
    annotations = app.metadata.annotations or {}
    return annotations.get(ANNOTATION, ""), annotations.get(TIMESTAMP_ANNOTATION, "")


def is_asked(app: Application) -> bool:
    """Whether an annotation asks for hydration."""
    return ANNOTATION in (app.metadata.annotations or {})


def decide(app: Application, now: datetime, *, perhaps_cured: bool = False) -> Decision | None:
    """The rules that the stored state answers; None: the dry revision decides.

    ``perhaps_cured``: settings or the project changed, so that a failure may have ended.
    """
    current = app.status.source_hydrator.current_operation
    if current is None:
        return Decision(True, "no previous hydrate operation")
    if current.phase == HYDRATING:
        return Decision(False, "hydration operation already in progress", in_progress=True)
    if asked(app)[0] == "hard":
        return Decision(True, "hard hydrate requested")
    if current.source_hydrator != app.spec.source_hydrator:
        return Decision(True, "spec.sourceHydrator differs")
    if current.phase == FAILED:
        if is_asked(app) or perhaps_cured:
            return Decision(True, "retrying previous failed hydration")
        if retry_in(app, now) <= 0:
            return Decision(True, "previous hydrate operation failed more than 2 minutes ago")
        if not app.status.source_hydrator.last_compared_dry_revision:
            return Decision(False, "previous hydrate operation failed")
    return None


def decide_by_revision(look: DryLook) -> Decision:
    """The last rules."""
    if look is DryLook.CHANGED:
        return Decision(True, "new revision may have changes")
    if look is DryLook.UNKNOWN:
        return Decision(False, "cannot determine if hydration is needed")
    return Decision(False, "hydration not needed")


def retry_in(app: Application, now: datetime) -> float:
    """Seconds until a failed hydration is tried again by itself; at most 0: now, or it did not fail."""
    current = app.status.source_hydrator.current_operation
    if current is None or current.phase != FAILED or not current.finished_at:
        return 0.0
    rest = (from_timestamp(current.finished_at) + RETRY_AFTER - now).total_seconds()
    # A clock that was set back must not put the retry off.
    return rest if rest <= RETRY_AFTER.total_seconds() + 60.0 else 0.0
