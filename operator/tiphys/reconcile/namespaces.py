"""Applications in any namespace: which namespaces count (applications.md 23)."""

from tiphys.projects.glob import matches_name_list
from tiphys.settings.model import Settings


def is_namespace_enabled(namespace: str, settings: Settings) -> bool:
    """The control-plane namespace always; others by ``--application-namespaces`` (globs, ``/regex/``)."""
    if namespace == settings.control_namespace:
        return True
    return matches_name_list(settings.params.application_namespaces, namespace)
