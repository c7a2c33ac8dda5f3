"""The end of an Application, one finalizer after the other (applications.md 13.3).

Each pass does what can be done now and comes back when something it waits for has changed. An
error becomes the condition ``DeletionError`` and a Warning; nothing is given up and no finalizer
is taken off before its work is done, except where the destination no longer exists at all.
"""

from collections.abc import Callable, Sequence

import msgspec

from tiphys.compare.tracking import Tracking
from tiphys.health.assessing import assess
from tiphys.health.model import Health
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError, KubeError
from tiphys.projects.impersonation import ImpersonationError
from tiphys.projects.permission import live_permission
from tiphys.projects.validate import is_destination_permitted, no_destination
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.assembling import conditions_into
from tiphys.reconcile.clusters import ClusterHandle, ClusterNotReady
from tiphys.reconcile.events import EventMessage
from tiphys.reconcile.finalizers import (
    POST_DELETE,
    POST_DELETE_CLEANUP,
    PRE_DELETE,
    PRE_DELETE_CLEANUP,
    PROPAGATION,
    propagation_policy,
)
from tiphys.reconcile.loading import load_desired
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, SpecProblems, find_project
from tiphys.reconcile.statuses import status_patch
from tiphys.reconcile.syncing import DELETION_APPROVED, approval_time, client_for, hook_age, permission
from tiphys.resources.application import Application
from tiphys.resources.identity import GVK, Manifest, ResourceKey, annotations_of, gvk_of, key_of
from tiphys.resources.times import from_timestamp
from tiphys.settings.clusters import DestinationError
from tiphys.sync import deletion as engine
from tiphys.sync.deletion import CascadeRules, Progress
from tiphys.sync.objects import remove_hook_finalizer
from tiphys.sync.ownership import HOOK_STAMP
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

RECHECK = 5.0


class UnreadableObject(KubeError):
    """``key`` names a live object that cannot be decoded; ``why`` is for people."""

    def __init__(self, key: ResourceKey, why: str):
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


DELETE_HOOKS = {
    PRE_DELETE: engine.PRE_DELETE,
    POST_DELETE: engine.POST_DELETE,
    PRE_DELETE_CLEANUP: engine.PRE_DELETE,
    POST_DELETE_CLEANUP: engine.POST_DELETE,
}


async def finalize(services: Services, app: Application) -> None:
    """One pass over the finalizers of an Application that is being deleted."""
    finalizers = app.metadata.finalizers
    ours = {*PROPAGATION, *DELETE_HOOKS}
    if not ours.intersection(finalizers):
        return
    settings = services.settings
    project = find_project(services, app, settings)
    if isinstance(project, SpecProblems):
        await _report(services, app, "; ".join(text for _, text in project.found))
        return
    try:
        cluster = settings.clusters.resolve(app.spec.destination)
    except DestinationError as error:
        if error.reason == "broken":
            await _report(services, app, str(error))
            return
        # The destination is not known any more: the resources are left, the Application may go.
        await _release(services, app, ours)
        return
    try:
        handle = services.pool.get(cluster, app.key)
    except ClusterNotReady as error:
        await _report(services, app, str(error))
        return
    if unseen := _unseen(handle, app):
        await _report(services, app, f"Failed to load live state: {unseen}")
        return
    situation = Situation(
        app=app,
        settings=settings,
        instance=app.key.instance(settings.control_namespace),
        project=project,
        cluster=cluster,
        tracking=Tracking(settings.tracking_method, settings.instance_label_key, settings.installation_id),
    )
    try:
        client = client_for(situation, handle, enforced=False)
    except ImpersonationError as error:
        text = f"cannot apply impersonation: error deriving service account to impersonate: {error.why}"
        await _report(services, app, text)
        return
    for stage in (PRE_DELETE, "cascade", POST_DELETE, PRE_DELETE_CLEANUP, POST_DELETE_CLEANUP):
        names = set(PROPAGATION) if stage == "cascade" else {stage}
        if not names.intersection(app.metadata.finalizers):
            continue
        try:
            progress = await _advance(services, situation, handle, client, stage)
        except KubeError as error:
            progress = Progress(False, error=str(error))
        for manifest in progress.writes:
            handle.cache.note_write(manifest)
        if progress.error:
            await _report(services, app, progress.error)
            return
        if not progress.done:
            log.info("%s", progress.reason, extra={"app": str(app.key)})
            services.queue.add(app.key, Priority.OPERATION, after=RECHECK)
            return
        app = await _release(services, app, names)
        situation = msgspec.structs.replace(situation, app=app)


async def _advance(
    services: Services, situation: Situation, handle: ClusterHandle, client: ClusterClient, stage: str
) -> Progress:
    app = situation.app
    live = await _live_objects(handle, situation)

    def health(manifest: Manifest) -> Health | None:
        return assess(manifest, situation.settings.overrides)

    if stage in (PRE_DELETE, POST_DELETE):
        desired, found = await load_desired(
            services,
            situation,
            handle,
            sources=app.spec.effective_sources(),
            revisions=(),
            max_age=None,
            no_cache=False,
        )
        if desired is None:
            return Progress(False, error="; ".join(text for _, text in found))
        prepared = desired.prepared
        targets = [target.manifest() for target in (*prepared.delete_hooks, *prepared.hooks)]
        targets = [target for target in targets if engine.of_type(target, DELETE_HOOKS[stage])]
        if why := await _forbidden(situation, handle, targets):
            return Progress(False, error=why)
        known = {key_of(manifest): manifest for manifest in live}
        return await engine.run_delete_hooks(
            client,
            DELETE_HOOKS[stage],
            targets,
            known,
            app_uid=app.metadata.uid,
            assess=health,
            age=lambda hook: hook_age(services, app, hook),
        )
    if stage in (PRE_DELETE_CLEANUP, POST_DELETE_CLEANUP):
        return await engine.clean_up_delete_hooks(client, DELETE_HOOKS[stage], live, assess=health)
    return await engine.cascade(client, live, cascade_rules(situation))


async def _forbidden(situation: Situation, handle: ClusterHandle, targets: Sequence[Manifest]) -> str:
    """Why the project forbids delete hooks, ``""`` if it does not: a deletion may do what a sync may."""
    if targets and not _is_permitted_there(situation):
        return no_destination(situation.app, situation.project, situation.cluster)
    discovery, permitted = await handle.client.discovery(), permission(situation)
    whys: list[str] = []
    for target in targets:
        resource = discovery.resource(gvk_of(target))
        if resource is not None and (why := permitted(target, resource)):
            whys.append(f"{key_of(target)}: {why}")
    return "; ".join(whys)


def _is_permitted_there(situation: Situation) -> bool:
    """Whether the project permits the destination: nobody looked at the spec before a deletion."""
    app, project, cluster = situation.app, situation.project, situation.cluster
    return is_destination_permitted(app, project, cluster, situation.settings)


def _permission(situation: Situation) -> Callable[[ResourceKey], bool]:
    """Which live objects the project lets a deletion touch; none without a namespace in a cluster where
    the application may not be."""
    permitted = live_permission(situation.project, situation.cluster)
    if _is_permitted_there(situation):
        return permitted
    return lambda key: bool(key.namespace) and permitted(key)


def cascade_rules(situation: Situation) -> CascadeRules:
    """Which objects of an Application go, and how."""
    app = situation.app
    policy = app.spec.sync_policy
    permitted = _permission(situation)
    approved = approval_time(app.metadata.annotations.get(DELETION_APPROVED, ""))
    return CascadeRules(
        app=app.key,
        app_uid=app.metadata.uid,
        sync_options=policy.sync_options if policy else (),
        propagation_policy=propagation_policy(app.metadata.finalizers) or "Foreground",
        deletion_timestamp=from_timestamp(app.metadata.deletion_timestamp),
        approved_at=approved,
        needs_confirmation=frozenset(
            ResourceKey(r.group, r.kind, r.namespace, r.name)
            for r in app.status.resources
            if r.requires_deletion_confirmation
        ),
        owned=lambda manifest: situation.tracking.app_instance(manifest) == situation.instance,
        permitted=lambda manifest: permitted(key_of(manifest)),
    )


def _unseen(handle: ClusterHandle, app: Application) -> str:
    """Kinds of the Application's objects that cannot be listed now: what is not seen is not gone."""
    keys = [ResourceKey(r.group, r.kind, r.namespace, r.name) for r in app.status.resources or ()]
    found = {f"{key.group_kind}: {why}" for key in keys if (why := handle.cache.problem_of(key))}
    return "; ".join(sorted(found))


async def _live_objects(handle: ClusterHandle, situation: Situation) -> list[Manifest]:
    """Live objects tracked to the Application that nothing else owns and that its project permits.

    Raises:
        UnreadableObject: one of them cannot be decoded, so nobody knows whether it may be deleted.
    """
    objects: list[Manifest] = []
    permitted = _permission(situation)
    for key, record in list(handle.cache.managed(situation.instance).items()):
        if not record.is_root or not permitted(key):
            continue
        if record.unreadable:
            raise UnreadableObject(key, record.unreadable)
        manifest = await handle.cache.manifest(key, GVK(key.group, record.version, key.kind))
        if manifest is not None:
            objects.append(manifest)
    return objects


async def release_hooks(services: Services, app: Application) -> None:
    """Take our finalizer off the hooks of an Application that went during its sync.

    No operation will ever do it any more; they could not be deleted then, nor their namespace.

    Raises:
        ClusterPending: the live state is still being read.
    """
    try:
        cluster = services.settings.clusters.resolve(app.spec.destination)
        handle = services.pool.get(cluster, app.key)
    except (DestinationError, ClusterNotReady) as error:
        log.warning("hooks may be left behind: %s", error, extra={"app": str(app.key)})
        return
    instance = app.key.instance(services.settings.control_namespace)
    for key, record in handle.cache.managed(instance).items():
        manifest = None
        if record.is_hook:
            manifest = await handle.cache.manifest(key, GVK(key.group, record.version, key.kind))
        stamp = annotations_of(manifest).get(HOOK_STAMP, "") if manifest is not None else ""
        if manifest is not None and stamp.startswith(f"{app.metadata.uid}/"):
            try:
                await remove_hook_finalizer(handle.client, manifest)
            except ApiError as error:
                log.warning("hook %s stays held: %s", key, error, extra={"app": str(app.key)})
            else:
                log.info("hook left behind is released: %s", key, extra={"app": str(app.key)})


async def _release(services: Services, app: Application, names: set[str]) -> Application:
    """Take finalizers off; guarded, since others may change the list, too."""
    kept = [name for name in app.metadata.finalizers if name not in names]
    return await services.writer.patch(app, {"metadata": {"finalizers": kept}}, guard=True)


async def _report(services: Services, app: Application, text: str) -> None:
    """Say why the deletion does not go on, and come back."""
    status = conditions_into(
        app.status, [(kinds.DELETION_ERROR, text)], frozenset({kinds.DELETION_ERROR}), services
    )
    known = any(c.type == kinds.DELETION_ERROR and c.message == text for c in app.status.conditions)
    if not known:
        app = await services.writer.patch(app, {"status": status_patch(app.status, status)})
        message = f"Unable to delete application resources: {text}"
        services.events.emit(app, [EventMessage("StatusRefreshed", message, "Warning")], services.clock())
    services.queue.add(app.key, Priority.OPERATION, after=RECHECK)
