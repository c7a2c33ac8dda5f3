"""Which Applications are ours to work on (applications.md 8, "canProcessApp")."""

from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.reconcile.refresh import is_skipped
from tiphys.resources.application import Application
from tiphys.settings.clusters import DestinationError
from tiphys.settings.model import Settings


def is_left_alone(app: Application, settings: Settings) -> bool:
    """Whether nothing is done about an application, not even its status is written: it says so itself,
    its namespace is none of ours, or its cluster's Secret says that no controller manages it.

    A destination that cannot be resolved is for us to tell of.
    """
    if is_skipped(app) or not is_namespace_enabled(app.metadata.namespace, settings):
        return True
    try:
        return settings.clusters.resolve(app.spec.destination).skips_reconcile
    except DestinationError:
        return False
