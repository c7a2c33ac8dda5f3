"""The results of an operation while a step works on them.

``Results`` starts from what the stored operation holds and ends as what is stored next: insertion
order, the last non-empty message, kind, version, images and hook type as first recorded (sync.md
12.3).
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from tiphys.compare.masking import without_values
from tiphys.resources.application import ResourceResult
from tiphys.sync.messages import images_of
from tiphys.sync.tasks import Code, Outcome, Task, TaskKey


class Results:
    """Results by ``group/kind/namespace/name:phase``."""

    def __init__(self, recorded: Iterable[ResourceResult]) -> None:
        self.by_key: dict[str, ResourceResult] = {
            TaskKey.of(r.group, r.kind, r.namespace, r.name, r.sync_phase): r for r in recorded
        }
        self.started = bool(self.by_key)

    def record(self, task: Task, status: Code | None, outcome: Outcome | None, message: str = "") -> None:
        """Sets the result of a task, in the task as well as in the list."""
        task.status, task.outcome = status, outcome
        message = without_values(task.key, message)
        task.message = message or task.message
        found = self.by_key.get(task.result_key)
        changes: dict[str, Any] = {
            "status": str(status or ""),
            "hook_phase": str(outcome or ""),
            "message": message or (found.message if found is not None else ""),
        }
        if found is not None:
            self.by_key[task.result_key] = replace(found, **changes)
            return
        self.by_key[task.result_key] = ResourceResult(
            group=task.key.group,
            version=task.gvk.version,
            kind=task.key.kind,
            namespace=task.key.namespace,
            name=task.key.name,
            hook_type=str(task.phase) if task.is_hook else "",
            sync_phase=str(task.order_phase),
            images=images_of(task.manifest),
            **changes,
        )

    def failure_messages(self) -> list[str]:
        return [r.message for r in self.by_key.values() if r.status == Code.SYNC_FAILED]

    def as_tuple(self) -> tuple[ResourceResult, ...]:
        return tuple(self.by_key.values())
