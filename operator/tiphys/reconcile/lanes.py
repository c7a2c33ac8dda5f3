"""What work on an Application waits for: its repositories and its cluster (``waiting``)."""

from collections.abc import Iterator

from tiphys.reconcile.waiting import Lane
from tiphys.resources.application import Application, ApplicationSource
from tiphys.settings.clusters import DestinationError
from tiphys.settings.model import Settings
from tiphys.sources.git.access import clean_url


def lane_of(source: ApplicationSource) -> Lane:
    """What is waited for where this source is loaded."""
    return Lane(clean_url(source.repo_url))


def lanes_of(app: Application, settings: Settings) -> Iterator[Lane]:
    """Everything that work on it may wait for."""
    for source in app.spec.effective_sources():
        yield lane_of(source)
    try:
        yield Lane(settings.clusters.resolve(app.spec.destination).server)
    except DestinationError:
        pass
