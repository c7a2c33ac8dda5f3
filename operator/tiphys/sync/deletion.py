"""Deleting an Application's resources: delete hooks and the cascade (sync.md 19, applications.md 13).

Three activities, each one pass of work that is safe to repeat and says what it waits for:
``run_delete_hooks`` (PreDelete before, PostDelete after the cascade), ``cascade`` (the objects
themselves, highest wave first) and ``clean_up_delete_hooks``. Which of them is due, and which
finalizer of the Application goes when one is done, is the caller's business.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from tiphys.compare import hooks
from tiphys.health.model import Health
from tiphys.kube.errors import AlreadyExists, NotFound
from tiphys.resources.identity import AppKey, Manifest, ResourceKey, annotations_of, key_of
from tiphys.sync.bounded import for_each
from tiphys.sync.cluster import CLUSTER_ERRORS, SyncCluster, describe
from tiphys.sync.deadlines import is_late
from tiphys.sync.inputs import Age, Assess, Owned
from tiphys.sync.naming import is_unnamed, named_object
from tiphys.sync.objects import NotOurs, delete_object, delete_owned, remove_hook_finalizer
from tiphys.sync.options import value_of
from tiphys.sync.ownership import HOOK_STAMP, finalizers_of, is_terminating
from tiphys.sync.plan import gvk_and_name

PRE_DELETE = "PreDelete"
POST_DELETE = "PostDelete"
_RANKS = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
PARALLELISM = 16


class Awaited(Struct, frozen=True):
    """An object that is waited for, and the finalizers that still hold it."""

    key: ResourceKey
    finalizers: tuple[str, ...] = ()


class Progress(Struct, frozen=True):
    """What one pass came to. ``error`` is the text of the DeletionError condition."""

    done: bool
    awaited: tuple[Awaited, ...] = ()
    reason: str = ""
    """Why it is not done, in words."""
    error: str = ""
    writes: tuple[Manifest, ...] = ()
    """Answers to own writes, for the live cache."""


DONE = Progress(True)


def of_type(manifest: Manifest, hook_type: str) -> bool:
    """Whether an object is a delete hook of this type, by Argo CD's or Helm's annotation."""
    return hook_type in hooks.hook_types(manifest)


async def run_delete_hooks(
    cluster: SyncCluster,
    hook_type: str,
    targets: Iterable[Manifest],
    live: Mapping[ResourceKey, Manifest],
    *,
    app_uid: str,
    assess: Assess,
    age: Age = lambda hook: 0.0,
) -> Progress:
    """Creates the missing hooks of a type and judges those that exist.

    ``targets`` are the rendered objects, with tracking and namespace; others than of this type are
    left out here. A pass that created something is not done. A leftover of an earlier Application
    of the same name (our stamp names another uid) is replaced: it says nothing about this one.
    Hooks that leave their name to the server have one of this deletion: later passes must find them.
    """
    stamp = f"{app_uid}/{hook_type}"
    numbers: Counter[ResourceKey] = Counter()
    wanted: list[Manifest] = []
    for target in targets:
        if not of_type(target, hook_type):
            continue
        if is_unnamed(target):
            base = target["metadata"]["generateName"]
            numbers[place := key_of(target)._replace(name=base)] += 1
            target = named_object(target, stamp, numbers[place])
        wanted.append(_stamped(target, stamp))
    writes: list[Manifest] = []
    created: list[Awaited] = []
    found: list[Manifest] = []
    try:
        for target in wanted:
            known = live.get(key_of(target))
            if known is None:
                try:
                    writes.append(await cluster.create(target))
                    created.append(Awaited(key_of(target)))
                    continue
                except AlreadyExists:
                    known = await _read(cluster, target)
            if known is None:
                # vanished between two requests: the next pass creates it
                created.append(Awaited(key_of(target)))
                continue
            if annotations_of(known).get(HOOK_STAMP, stamp) != stamp:
                if not is_terminating(known):
                    known = await delete_object(cluster, known, "Foreground") or known
                created.append(_awaited(known, key_of(target)))
                continue
            found.append(known)
    except CLUSTER_ERRORS as error:
        return Progress(False, error=_prefixed(hook_type, describe(error)), writes=tuple(writes))
    if created:
        return Progress(False, tuple(created), f"waiting for {hook_type} hooks", writes=tuple(writes))

    verdicts = [(manifest, assess(manifest)) for manifest in found]
    running = [manifest for manifest, health in verdicts if _status(health) == "Progressing"]
    late = [manifest for manifest in running if is_late(manifest, age(manifest))]
    failed = [manifest for manifest, health in verdicts if _status(health) == "Degraded"] + late
    if failed:
        return await _fail_hooks(cluster, hook_type, failed)
    if running:
        awaited = tuple(_awaited(manifest) for manifest in running)
        return Progress(False, awaited, f"waiting for {hook_type} hooks")
    return DONE


async def _read(cluster: SyncCluster, target: Manifest) -> Manifest | None:
    try:
        return await cluster.get(*gvk_and_name(target))
    except NotFound:
        return None


async def _fail_hooks(cluster: SyncCluster, hook_type: str, failed: Sequence[Manifest]) -> Progress:
    """Deletes failed hooks, so that the next pass starts new ones from the current manifests."""
    try:
        await for_each(failed, lambda m: delete_object(cluster, m, "Foreground"), PARALLELISM)
    except CLUSTER_ERRORS as error:
        return Progress(False, error=_prefixed(hook_type, describe(error)))
    names = ", ".join(f"{key_of(m).namespace}/{key_of(m).name}" for m in failed)
    return Progress(False, error=_prefixed(hook_type, f"{hook_type} hook(s) failed: {names}"))


async def clean_up_delete_hooks(
    cluster: SyncCluster, hook_type: str, live: Iterable[Manifest], *, assess: Assess
) -> Progress:
    """Deletes hooks whose policy names the worst health of all, and waits until they are gone.

    ``live`` are the Application's live objects; hooks with the default policy stay (sync.md 23.24).
    """
    ours = [manifest for manifest in live if of_type(manifest, hook_type)]
    worst = max((_rank(assess(manifest)) for manifest in ours), default=0)
    wanted = {"Healthy": "HookSucceeded", "Degraded": "HookFailed"}.get(_RANKS[worst])
    doomed = [m for m in ours if wanted is not None and wanted in hooks.delete_policies(m)]
    if not doomed:
        return DONE
    return await _delete_all(cluster, doomed, "Foreground", f"waiting for deletion of {hook_type} hooks")


class CascadeRules(Struct, frozen=True, kw_only=True):
    """What decides which objects go, and how."""

    app: AppKey
    app_uid: str = ""
    """``""``: any object of its name is taken for it."""
    sync_options: tuple[str, ...] = ()
    """Of the Application's ``spec.syncPolicy``."""
    propagation_policy: str = "Foreground"
    deletion_timestamp: datetime
    approved_at: datetime | None = None
    needs_confirmation: frozenset[ResourceKey] = frozenset()
    """Keys whose stored status has ``requiresDeletionConfirmation``."""
    permitted: Callable[[Manifest], bool] = lambda manifest: True
    owned: Owned = lambda manifest: True


def is_kept(manifest: Manifest, rules: CascadeRules) -> bool:
    """Objects that an Application's deletion leaves alone (applications.md 13.3.5c)."""
    key = key_of(manifest)
    if (key.group, key.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
        return True
    if _is_itself(manifest, rules):
        return True
    value = hooks.sync_options(manifest).value("Delete")
    if value is None:
        value = value_of(rules.sync_options, "Delete")
    if value == "false" or annotations_of(manifest).get("helm.sh/resource-policy") == "keep":
        return True
    return not rules.permitted(manifest)


def _is_itself(manifest: Manifest, rules: CascadeRules) -> bool:
    """The Application that is being deleted, where it manages itself: it waits for the others, nobody
    for it. One of its name in another cluster is another one."""
    key = key_of(manifest)
    named = (key.group, key.kind, key.namespace, key.name) == ("argoproj.io", "Application", *rules.app)
    return named and (not rules.app_uid or manifest["metadata"].get("uid") == rules.app_uid)


def next_to_delete(objects: Iterable[Manifest]) -> list[Manifest]:
    """Only the objects of the highest wave present."""
    waves = [(hooks.wave(manifest), manifest) for manifest in objects]
    highest = max((wave for wave, _ in waves), default=0)
    return [manifest for wave, manifest in waves if wave == highest]


async def cascade(cluster: SyncCluster, live: Iterable[Manifest], rules: CascadeRules) -> Progress:
    """One pass of the cascade over the Application's live objects.

    Nothing is deleted while something still leaves, nor while an object awaits confirmation.
    """
    present = [m for m in live if rules.permitted(m) and not _is_itself(m, rules)]
    leaving = [manifest for manifest in present if is_terminating(manifest)]
    if leaving:
        return await _release(cluster, leaving)
    remaining = [manifest for manifest in present if not is_kept(manifest, rules)]
    if not remaining:
        return DONE
    approved = rules.approved_at is not None and rules.approved_at >= rules.deletion_timestamp
    asking = [key_of(m) for m in remaining if not approved and _asks(m, rules)]
    if asking:
        return Progress(False, tuple(map(Awaited, asking)), "waiting for deletion confirmation")
    doomed = next_to_delete(remaining)
    reason = "waiting for deletion of resources"
    return await _delete_all(cluster, doomed, rules.propagation_policy, reason, rules.owned)


def _asks(manifest: Manifest, rules: CascadeRules) -> bool:
    if key_of(manifest) in rules.needs_confirmation:
        return True
    value = hooks.sync_options(manifest).value("Delete")
    return (value_of(rules.sync_options, "Delete") if value is None else value) == "confirm"


async def _release(cluster: SyncCluster, leaving: Sequence[Manifest]) -> Progress:
    """Objects that are on their way out; sync hooks are held by our own finalizer, which no
    operation will ever take off again (sync.md 23.25, mended)."""
    writes: list[Manifest] = []
    awaited: list[Awaited] = []
    for manifest in leaving:
        try:
            left = await remove_hook_finalizer(cluster, manifest)
        except CLUSTER_ERRORS as error:
            return Progress(False, error=_named(manifest, error))
        if left is not None and left is not manifest:
            writes.append(left)
        awaited.append(_awaited(left if left is not None else manifest))
    return Progress(False, tuple(awaited), "waiting for deletion of resources", writes=tuple(writes))


async def _delete_all(
    cluster: SyncCluster,
    doomed: Sequence[Manifest],
    policy: str,
    reason: str,
    owned: Owned = lambda manifest: True,
) -> Progress:
    """Deletes in parallel; done only when a later pass finds nothing left.

    One refused deletion does not keep the others from being asked. What another Application took over
    meanwhile is left to it.
    """
    errors: list[str] = []
    writes: list[Manifest] = []

    async def one(manifest: Manifest) -> Awaited | None:
        try:
            current = await remove_hook_finalizer(cluster, manifest)
            if current is None:
                return None
            if is_terminating(current):
                return _awaited(current)
            answer = await delete_owned(cluster, current, policy, owned)
        except NotOurs:
            return None
        except CLUSTER_ERRORS as error:
            errors.append(_named(manifest, error))
            return _awaited(manifest)
        if answer is None:
            return None
        if is_terminating(answer):
            writes.append(answer)
        return _awaited(answer, key_of(manifest))

    awaited = await for_each(doomed, one, PARALLELISM)
    left = tuple(item for item in awaited if item is not None)
    return Progress(False, left, reason, "; ".join(errors), tuple(writes))


def _stamped(target: Manifest, stamp: str) -> Manifest:
    metadata = dict(target.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), HOOK_STAMP: stamp}
    return {**target, "metadata": metadata}


def _awaited(manifest: Manifest, key: ResourceKey | None = None) -> Awaited:
    return Awaited(key or key_of(manifest), tuple(finalizers_of(manifest)))


def _named(manifest: Manifest, error: Exception) -> str:
    key = key_of(manifest)
    return f"failed to delete {key.group}/{key.kind} {key.namespace}/{key.name}: {describe(error)}"


def _prefixed(hook_type: str, text: str) -> str:
    return f"error executing pre-delete hooks: {text}" if hook_type == PRE_DELETE else text


def _status(health: Health | None) -> str:
    return "Healthy" if health is None else health.status


def _rank(health: Health | None) -> int:
    status = _status(health)
    return _RANKS.index(status) if status in _RANKS else 0
