"""Switches of the application controller, as they are now (applications.md 26).

Most are parameters of the process, some live in ``argocd-cm`` and change while we run; they are
read again when there is a new snapshot of the settings.
"""

from collections.abc import Callable

import msgspec

from tiphys.reconcile.autosync import SelfHealBackoff
from tiphys.reconcile.refresh import Timeouts
from tiphys.settings.model import Settings
from tiphys.settings.store import SettingsStore

TOGETHER = 5.0  # seconds: looks without any event come in steps of these


class ControllerOptions(msgspec.Struct, frozen=True):
    """Switches of the application controller (applications.md 26); times are seconds."""

    timeouts: Timeouts
    jitter: float
    backoff: SelfHealBackoff
    repo_error_grace: float
    sync_timeout: float
    workers: int
    server_side_diff: bool
    persist_health: bool

    def until_next_look(self, fraction: float) -> float | None:
        """Seconds until the next look without any event: the shortest interval plus its jitter.

        Args:
            fraction: of the jitter, from 0 to 1: by chance, so that applications spread.

        Returns:
            None where polling is off.
        """
        interval = self.timeouts.shortest
        if interval <= 0:
            return None
        least, most = 0.01, max(0.02, self.jitter)
        return interval + least + (most - least) * fraction

    def due_together(self, pause: float, now: float) -> float:
        """The pause stretched to a step that all share, by at most a twentieth of the interval (seconds).

        Those that are due at about the same time go together: each one alone would find the processor
        asleep and its caches cold, which costs more than the look.
        """
        return pause + -(now + pause) % min(TOGETHER, self.timeouts.shortest / 20)


def options_of(snapshot: Settings) -> ControllerOptions:
    """The switches that a snapshot of the settings means."""
    params = snapshot.params
    return ControllerOptions(
        timeouts=Timeouts(snapshot.reconciliation_timeout, snapshot.hard_reconciliation_timeout),
        jitter=snapshot.reconciliation_jitter,
        backoff=SelfHealBackoff(
            params.self_heal_backoff_timeout,
            params.self_heal_backoff_factor,
            params.self_heal_backoff_cap,
            params.self_heal_timeout,
        ),
        repo_error_grace=params.repo_error_grace_period,
        sync_timeout=params.sync_timeout,
        workers=params.status_processors,
        server_side_diff=params.server_side_diff,
        persist_health=params.persist_resource_health,
    )


def live_options(settings: SettingsStore) -> Callable[[], ControllerOptions]:
    """The switches, computed again only when there is a new snapshot."""
    known = (settings.snapshot, options_of(settings.snapshot))

    def options() -> ControllerOptions:
        nonlocal known
        if known[0] is not settings.snapshot:
            known = (settings.snapshot, options_of(settings.snapshot))
        return known[1]

    return options
