"""Whether the API server may get work: what ``/healthz`` answers (api.md 1, operations.md 4.8).

Always: the watches that every answer rests on, and whether the process is about to end. With
``?full=true`` also the clusters that Applications name: one whose Secret cannot be read is told. A Secret
that nobody uses hurts nobody, and a cluster that is away is no reason to restart this server.
"""

from collections.abc import Callable, Iterable

from tiphys.resources.application import Application
from tiphys.settings.clusters import DestinationError
from tiphys.settings.model import Settings


class ApiHealth:
    """See the module; implements ``server.http.options.Health``.

    Args:
        missing: what is wrong with the watches, or ``""``.
    """

    def __init__(
        self,
        missing: Callable[[], str],
        settings: Callable[[], Settings],
        apps: Iterable[Application],
    ):
        self._missing = missing
        self._settings = settings
        self._apps = apps
        self._leaving = False

    def leave(self) -> None:
        """From now on no new work is wanted."""
        self._leaving = True

    async def __call__(self, full: bool) -> str:
        """What is wrong, or ``""``."""
        if self._leaving:
            return "terminating"
        return self._missing() or (broken_clusters(self._settings(), self._apps) if full else "")


def broken_clusters(settings: Settings, apps: Iterable[Application]) -> str:
    """The clusters in use whose Secrets cannot be read, and why; ``""`` if there are none."""
    if not (settings.clusters.broken or settings.clusters.broken_names):
        return ""
    found = []
    for destination in {app.spec.destination for app in apps}:
        try:
            settings.clusters.resolve(destination)
        except DestinationError as error:
            if error.reason == "broken":
                found.append(error.message)
    return "; ".join(sorted(found))
