"""The end of an AppProject: its finalizer stays until no Application uses it (applications.md 13.5)."""

from tiphys.kube.errors import NotFound
from tiphys.projects.permission import permits_app_namespace
from tiphys.reconcile.finalizers import RESOURCES
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.reconcile.services import Services
from tiphys.resources.identity import GVK, AppKey

PROJECT = GVK("argoproj.io", "v1alpha1", "AppProject")


async def finalize_project(services: Services, key: AppKey) -> None:
    """Release a project that is being deleted, once nothing references it."""
    project = services.projects.get(key)
    if project is None or not project.metadata.deletion_timestamp:
        return
    finalizers = project.metadata.finalizers
    if RESOURCES not in finalizers:
        return
    control = services.settings.control_namespace
    for app in services.apps:
        used = (app.spec.project or "default") == project.metadata.name
        enabled = is_namespace_enabled(app.metadata.namespace, services.settings)
        if used and enabled and permits_app_namespace(project, app.metadata.namespace, control):
            return
    body = {
        "metadata": {
            "finalizers": [name for name in finalizers if name != RESOURCES],
            "resourceVersion": project.metadata.resource_version,
        }
    }
    try:
        await services.writer.client.patch(
            PROJECT, key.namespace, key.name, body, "application/merge-patch+json"
        )
    except NotFound:
        services.projects.delete(key, project.metadata.uid)
