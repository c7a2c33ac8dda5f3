"""What a person sees of the applications: one row each, and for each that is not well the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from tests.controlplane.kubectl import Kubectl, KubectlFailed

COLOURS = {
    "Synced": "green",
    "Healthy": "green",
    "Succeeded": "green",
    "OutOfSync": "yellow",
    "Progressing": "cyan",
    "Running": "cyan",
    "Missing": "yellow",
    "Unknown": "magenta",
    "Degraded": "red",
    "Failed": "red",
    "Error": "red",
}


@dataclass(frozen=True)
class Row:
    """One application as its status says."""

    name: str
    sync: str
    health: str
    operation: str
    revision: str
    resources: int
    reason: str

    @property
    def is_well(self) -> bool:
        return self.sync == "Synced" and self.health == "Healthy" and self.operation in ("", "Succeeded")


def row_of(application: dict[str, Any]) -> Row:
    """Read an Application object; the reason is its conditions and its operation's message."""
    status = application.get("status") or {}
    sync = status.get("sync") or {}
    health = status.get("health") or {}
    operation = status.get("operationState") or {}
    reasons = [f"{each['type']}: {each['message']}" for each in status.get("conditions") or ()]
    if operation.get("phase") not in (None, "Succeeded") and operation.get("message"):
        reasons.append(f"operation {operation['phase']}: {operation['message']}")
    if health.get("message"):
        reasons.append(health["message"])
    for resource in status.get("resources") or ():
        state = resource.get("health") or {}
        name = f"{resource.get('kind')}/{resource.get('name')}"
        if state.get("status") in ("Degraded", "Progressing", "Missing"):
            reasons.append(f"{name} is {state['status']}: {state.get('message', '')}".rstrip(": "))
        elif resource.get("status") == "OutOfSync":
            reasons.append(f"{name} is OutOfSync")
    return Row(
        name=application["metadata"]["name"],
        sync=sync.get("status", ""),
        health=health.get("status", ""),
        operation=operation.get("phase", ""),
        revision=(sync.get("revision") or "")[:7],
        resources=len(status.get("resources") or ()),
        reason="; ".join(reasons) or ("" if status else "nothing has looked at it yet"),
    )


def read_rows(kubectl: Kubectl, namespace: str) -> list[Row]:
    """All applications of a namespace, sorted by name; empty while the API server is away."""
    try:
        items = kubectl.json("get", "applications.argoproj.io", "-n", namespace)["items"]
    except (KubectlFailed, ValueError):
        return []
    return sorted((row_of(item) for item in items), key=lambda row: row.name)


def unwell(rows: Sequence[Row], expected: Sequence[str]) -> dict[str, str]:
    """Name → reason of each expected application that is missing or not Synced and Healthy."""
    found = {row.name: row for row in rows}
    reasons: dict[str, str] = {}
    for name in expected:
        row = found.get(name)
        if row is None:
            reasons[name] = "does not exist"
        elif not row.is_well:
            state = f"{row.sync or 'no sync status'}, {row.health or 'no health'}"
            reasons[name] = f"{state}. {row.reason}".rstrip(". ")
    return reasons


def table_of(rows: Sequence[Row], title: str) -> Table:
    """The live table."""
    table = Table(title=title, title_justify="left", expand=False)
    for column in ("Application", "Sync", "Health", "Operation", "Revision", "Objects", "Remarks"):
        table.add_column(column, overflow="fold" if column == "Remarks" else "ellipsis")
    for row in rows:
        table.add_row(
            row.name,
            _coloured(row.sync),
            _coloured(row.health),
            _coloured(row.operation),
            row.revision,
            str(row.resources),
            "" if row.is_well else row.reason,
        )
    return table


def _coloured(word: str) -> str:
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word
