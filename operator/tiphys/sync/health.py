"""From the health of a live object to the state of its task (sync.md 9.3, health 1.6)."""

from msgspec import Struct

from tiphys.health.model import Health
from tiphys.sync.tasks import Outcome


class Judgement(Struct, frozen=True):
    outcome: Outcome
    message: str = ""


def judge_hook(health: Health | None, name: str) -> Judgement:
    """Healthy and kinds without health are done; Degraded and Unknown failed; else running. A check
    that failed itself (a broken script) is an error (sync.md 11 step 2)."""
    if health is not None and health.error:
        return Judgement(Outcome.ERROR, f"failed to get resource health: {health.error}")
    status = "" if health is None else health.status
    message = "" if health is None else health.message
    match status:
        case "Healthy":
            return Judgement(Outcome.SUCCEEDED, message)
        case "Degraded" | "Unknown":
            return Judgement(Outcome.FAILED, message)
        case "Progressing" | "Suspended":
            return Judgement(Outcome.RUNNING, message)
        case _:
            return Judgement(Outcome.SUCCEEDED, f"{name} created")


def judge_resource(health: Health | None) -> Judgement:
    """No health or Healthy lets the sync go on, Degraded fails it, anything else waits."""
    if health is None:
        return Judgement(Outcome.SUCCEEDED)
    match health.status:
        case "Healthy":
            return Judgement(Outcome.SUCCEEDED, health.message)
        case "Degraded":
            return Judgement(Outcome.FAILED, health.message)
        case _:
            return Judgement(Outcome.RUNNING)
