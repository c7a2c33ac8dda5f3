"""The desired state of a local sync: manifests that a user sent with the operation instead of a commit.

They stand in for the sources as long as the operation that brought them is the last one, also in
the looks that follow it (applications.md 10.2 step 4); there is no revision then.
"""

import yaml

from tiphys.reconcile.desired import Desired, DesiredRequest, prepared_targets
from tiphys.resources.application import Application, SyncOperation
from tiphys.resources.identity import Manifest
from tiphys.sources.yamlgo import YamlError, load_documents


class LocalManifestError(ValueError):
    """A local manifest cannot be read; the text is what follows ``Failed to load local manifests: ``."""


def local_manifests(app: Application) -> tuple[str, ...]:
    """The manifests of the last operation, if it was a local sync."""
    state = app.status.operation_state
    return manifests_of(state.operation.sync) if state is not None else ()


def manifests_of(sync: SyncOperation | None) -> tuple[str, ...]:
    """The manifests of an operation; empty: it is no local sync."""
    return tuple(sync.manifests or ()) if sync is not None else ()


def local_desired(request: DesiredRequest, manifests: tuple[str, ...]) -> Desired:
    """The targets of local manifests.

    Raises:
        LocalManifestError: one is no YAML or JSON object; it is named by its position.
        TargetError: one cannot be prepared.
    """
    objects: list[Manifest] = []
    for number, text in enumerate(manifests, 1):
        try:
            objects.extend(load_documents(text.encode(), f"manifest {number}"))
        except (YamlError, yaml.YAMLError, ValueError) as error:
            raise LocalManifestError(str(error)) from None
    prepared = prepared_targets(request, objects)
    return Desired(() if request.app.spec.has_multiple_sources else ("",), (), prepared)
