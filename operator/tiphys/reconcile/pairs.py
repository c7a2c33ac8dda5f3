"""What a comparison is made of and what it amounts to: pairs, their status, the sums of them.

Pure: the verdicts on each pair are found by ``comparison``; here they become the status of each
resource (sync.md 8), of the application, and the items of its health.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from tiphys.compare import hooks
from tiphys.compare.rules import Rules
from tiphys.compare.targets import Target
from tiphys.compare.tracking import Tracking
from tiphys.compare.verdicts import Verdict
from tiphys.health.aggregate import AppHealth, HealthItem
from tiphys.health.model import MISSING, Health
from tiphys.kube.client import ClusterClient
from tiphys.live.cluster import ClusterCache
from tiphys.live.records import LiveObject
from tiphys.projects.permission import permits_kind
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.desired import Desired
from tiphys.reconcile.traits import Traits
from tiphys.resources.application import Application, HealthStatus, ResourceStatus
from tiphys.resources.identity import ResourceKey
from tiphys.resources.project import AppProject
from tiphys.settings.clusters import Cluster

SYNCED, OUT_OF_SYNC, UNKNOWN = "Synced", "OutOfSync", "Unknown"


class Pair(msgspec.Struct, frozen=True):
    """A target and its live counterpart; at least one is there.

    Attributes:
        modified: what an apply would change: None when unknown or not compared.
        ignoring: not modified for the ignore rules only: an apply would change something.
        status: ``Synced``, ``OutOfSync``, ``Unknown``, or ``""`` for what has no sync status.
    """

    key: ResourceKey
    target: Target | None
    live: LiveObject | None
    traits: Traits | None
    status: str
    modified: bool | None
    self_referenced: bool
    is_hook: bool
    requires_pruning: bool
    ignoring: bool = False


class Comparison(msgspec.Struct, frozen=True):
    """The outcome of comparing one application.

    Attributes:
        found: conditions (type, message) of this comparison.
        failed: something could not be loaded or compared.
    """

    sync_status: str
    revisions: tuple[str, ...]
    source_types: tuple[str, ...]
    health: AppHealth
    resources: tuple[ResourceStatus, ...]
    pairs: tuple[Pair, ...]
    hooks: tuple[Target, ...]
    delete_hooks: tuple[Target, ...]
    found: tuple[tuple[str, str], ...]
    failed: bool


class ComparisonInputs(msgspec.Struct, frozen=True):
    """What a comparison is made of.

    Attributes:
        desired: None when it could not be loaded (then ``found`` says why).
        dry_runner: the client that dry runs are made with, maybe as somebody else.
        found: conditions found while loading.
    """

    app: Application
    instance: str
    project: AppProject
    cluster: Cluster
    client: ClusterClient
    dry_runner: ClusterClient
    cache: ClusterCache
    desired: Desired | None
    rules: Rules
    tracking: Tracking
    namespace_metadata_differs: bool
    control_namespace: str
    found: tuple[tuple[str, str], ...] = ()
    no_cache: bool = False
    persist_health: bool = False


def kind_problems(
    cache: ClusterCache, targets: Sequence[Target], managed: Mapping[ResourceKey, LiveObject]
) -> list[str]:
    """Kinds that this application uses and whose live objects cannot be read where it uses them."""
    if not cache.problems:
        return []
    used = {(key.group_kind, key.namespace): key for key in (*(each.key for each in targets), *managed)}
    found = {(key.group_kind, why) for key in used.values() if (why := cache.problem_of(key))}
    return [f"{kind}: {why}" for kind, why in sorted(found)]


def outside(cache: ClusterCache, targets: Sequence[Target]) -> list[str]:
    """Why targets lie outside of the namespaces that their cluster's Secret names (the first of them,
    and how many more)."""
    found = [why for target in targets if (why := cache.check_scope(target.key, bool(target.key.namespace)))]
    return [found[0] + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")] if found else []


def shared(
    inputs: ComparisonInputs, targets: Sequence[Target], permitted: Callable[[ResourceKey], bool]
) -> list[tuple[str, str]]:
    """Targets that another application's tracking claims, of those that the project permits."""
    found: list[tuple[str, str]] = []
    for target in targets:
        live = inputs.cache.get(target.key)
        other = live.app_instance if live is not None else ""
        if other and other != inputs.instance and permitted(target.key):
            app = inputs.app
            found.append(
                (
                    kinds.SHARED_RESOURCE_WARNING,
                    f"{target.key.kind}/{target.key.name} is part of applications "
                    f"{app.metadata.namespace}/{app.metadata.name} and {other.replace('_', '/')}",
                )
            )
    return found


def without_twins(
    live: Mapping[ResourceKey, LiveObject], targeted: Collection[ResourceKey]
) -> dict[ResourceKey, LiveObject]:
    """One object served by several API groups counts once: where it is wanted (sync.md 3.5)."""
    kept = dict(live)
    by_uid: dict[str, list[ResourceKey]] = {}
    for key, found in live.items():
        by_uid.setdefault(found.uid or str(key), []).append(key)
    if len(by_uid) == len(live):
        return kept
    for keys in by_uid.values():
        wanted = [key for key in keys if key in targeted] or [min(keys)]
        for key in keys:
            if key not in wanted:
                del kept[key]
    return kept


def pair_of(
    inputs: ComparisonInputs,
    key: ResourceKey,
    target: Target | None,
    live: LiveObject | None,
    traits: Traits | None,
    verdict: Verdict | None,
) -> Pair:
    """Sync status of one pair (sync.md 8.1)."""
    is_hook = live is not None and live.is_hook
    self_referenced = traits is None or inputs.tracking.is_self_referenced_record(
        traits, target.key if target else None
    )
    modified: bool | None = None
    if live is None or target is None:
        modified = live is None
    elif verdict is not None:
        modified = verdict.outcome == "different"
    if is_hook or (target is not None and target.is_skipped) or not self_referenced:
        status = ""
    elif target is None or live is None:
        status = OUT_OF_SYNC
    elif modified is None:
        status = UNKNOWN
    else:
        status = OUT_OF_SYNC if modified else SYNCED
    # hooks count, too: those that are left alone keep nobody from seeing that all is gone (17.3)
    requires_pruning = target is None and live is not None and self_referenced
    ignoring = verdict is not None and verdict.ignoring
    return Pair(
        key, target, live, traits, status, modified, self_referenced, is_hook, requires_pruning, ignoring
    )


def statuses(
    inputs: ComparisonInputs, pairs: Sequence[Pair], failed: bool
) -> tuple[tuple[ResourceStatus, ...], str]:
    """``status.resources`` and the application's sync status (sync.md 8.2–8.3)."""
    overall = SYNCED
    resources: list[ResourceStatus] = []
    options = tuple((inputs.app.spec.sync_policy and inputs.app.spec.sync_policy.sync_options) or ())
    hook_waves = {hook.key: hook.wave for hook in (inputs.desired.prepared.hooks if inputs.desired else ())}
    for pair in pairs:
        status = pair.status
        if status == OUT_OF_SYNC and not (
            pair.target is None and pair.traits is not None and pair.traits.ignore_extraneous
        ):
            overall = OUT_OF_SYNC
        key = pair.key
        namespaced = bool(key.namespace)
        if not permits_kind(inputs.project, key.group, key.kind, namespaced=namespaced, name=key.name):
            status = UNKNOWN
        if failed:
            status = UNKNOWN  # of all, hooks too
        resources.append(
            ResourceStatus(
                group=key.group,
                version=pair.target.gvk.version if pair.target else (pair.live.version if pair.live else ""),
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                status=status,
                hook=pair.is_hook,
                requires_pruning=pair.requires_pruning,
                sync_wave=pair.target.wave if pair.target else hook_waves.get(key, 0),
                requires_deletion_confirmation=_needs_confirmation(pair, options),
                health=_stored_health(pair) if inputs.persist_health else None,
            )
        )
    if failed:
        overall = UNKNOWN
    elif inputs.namespace_metadata_differs:
        overall = OUT_OF_SYNC
    resources.sort(key=lambda r: f"{r.group}/{r.kind}/{r.namespace}/{r.name}")
    return tuple(resources), overall


def _needs_confirmation(pair: Pair, options: tuple[str, ...]) -> bool:
    """``Delete=confirm`` or ``Prune=confirm``, from the object or else the application."""
    for side in (pair.target, pair.traits):
        if side is None or not (side.sync_options or options):
            continue
        for option in ("Delete", "Prune"):
            own = hooks.option_value(side.sync_options, option)
            if (own if own is not None else hooks.option_value(options, option)) == "confirm":
                return True
    return False


def _stored_health(pair: Pair) -> HealthStatus | None:
    """Health of one resource as ``--persist-resource-health`` stores it."""
    skipped = pair.target is not None and pair.target.is_skipped
    if skipped or pair.is_hook or (pair.traits is not None and pair.traits.ignore_health):
        return None
    health = pair.live.health if pair.live is not None else Health(MISSING)
    return HealthStatus(status=health.status, message=health.message) if health is not None else None


def health_items(inputs: ComparisonInputs, pairs: Sequence[Pair]) -> list[HealthItem]:
    items: list[HealthItem] = []
    for pair in pairs:
        live = pair.live
        skip = pair.is_hook or (pair.target is not None and pair.target.is_skipped)
        itself = live is not None and live.uid != "" and live.uid == inputs.app.metadata.uid
        items.append(
            HealthItem(
                key=pair.key,
                has_target=pair.target is not None,
                has_live=live is not None,
                skip=skip,
                health=live.health if live is not None else Health(MISSING),
                ignored=itself or (pair.traits is not None and pair.traits.ignore_health),
            )
        )
    return items


def managed_namespace(app: Application) -> ResourceKey | None:
    """The Namespace whose labels and annotations the application manages, none of its objects."""
    policy = app.spec.sync_policy
    if policy is None or policy.managed_namespace_metadata is None or not app.spec.destination.namespace:
        return None
    return ResourceKey("", "Namespace", "", app.spec.destination.namespace)
