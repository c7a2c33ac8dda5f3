"""A comparison and the tree of live objects, written into a status (applications.md 4).

Statuses go in and come out; nothing is asked for and nothing is written. Only the number of orphans
stands in no status: it is left in memory, for the metrics.
"""

from collections.abc import Sequence

import msgspec

from tiphys.live.tree import APPLICATION
from tiphys.projects.orphans import monitors_orphans, orphan_message, warns_of_orphans
from tiphys.projects.permission import live_permission
from tiphys.projects.validate import normalize_spec
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.clusters import ClusterHandle
from tiphys.reconcile.conditions import set_conditions
from tiphys.reconcile.orphans import orphans_of
from tiphys.reconcile.pairs import Comparison
from tiphys.reconcile.roots import listed_resources, managed_keys, missing_resources
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation
from tiphys.reconcile.statuses import compared_to, summary_of, with_health
from tiphys.resources.application import ApplicationStatus, SyncStatus
from tiphys.resources.identity import ResourceKey
from tiphys.resources.times import to_timestamp


def with_comparison(
    services: Services,
    situation: Situation,
    handle: ClusterHandle,
    status: ApplicationStatus,
    comparison: Comparison,
) -> ApplicationStatus:
    """``status`` with everything a comparison says (applications.md 4)."""
    app = situation.app
    now = services.clock()
    multiple = app.spec.has_multiple_sources
    revisions = comparison.revisions
    if not revisions and not multiple:
        revisions = (app.spec.effective_sources()[0].target_revision,)
    sync = SyncStatus(
        status=comparison.sync_status,
        # As it is stored in the same write; else it would differ at the next look.
        compared_to=compared_to(msgspec.structs.replace(app, spec=normalize_spec(app.spec))),
        revision="" if multiple else (revisions[0] if revisions else ""),
        revisions=revisions if multiple else (),
    )
    types = comparison.source_types
    evaluated = kinds.SPEC_TYPES | kinds.COMPARISON_TYPES
    status = conditions_into(status, comparison.found, evaluated, services)
    status = msgspec.structs.replace(
        status,
        sync=sync,
        resources=comparison.resources,
        source_type="" if multiple else (types[0] if types else ""),
        source_types=types if multiple else (),
        controller_namespace=situation.settings.control_namespace,
    )
    status = with_tree(services, situation, handle, status)
    health, inline = comparison.health, services.options.persist_health
    return with_health(status, health.status, health.message, now, inline=inline)


def with_tree(
    services: Services, situation: Situation, handle: ClusterHandle, status: ApplicationStatus
) -> ApplicationStatus:
    """``status`` with what the tree of live objects says; needs neither targets nor verdicts."""
    project, cluster = situation.project, situation.cluster
    permitted = live_permission(project, cluster)
    listed = listed_resources(status.resources)
    roots = managed_keys(situation, listed, handle.cache)
    tree = handle.cache.summary(roots, lambda record: permitted(record.key))
    # An Application that is wanted and not there yet is a node, too.
    children = {key: version for key, version in listed.items() if (key.group, key.kind) == APPLICATION}
    parent = tree.is_app_of_apps or bool(missing_resources(children, handle.cache, permitted))
    warning = []
    if monitors_orphans(situation.project):
        orphans = services.memory.orphans[situation.app.key] = count_orphans(
            services, situation, handle, status
        )
        if orphans and warns_of_orphans(situation.project):
            warning.append((kinds.ORPHANED_RESOURCE_WARNING, orphan_message(orphans)))
    else:
        services.memory.orphans.pop(situation.app.key, None)
    evaluated = frozenset({kinds.ORPHANED_RESOURCE_WARNING})
    status = conditions_into(status, warning, evaluated, services)
    summary = summary_of(situation.app, tree.images, tree.external_urls, parent)
    return msgspec.structs.replace(status, summary=summary)


def count_orphans(
    services: Services, situation: Situation, handle: ClusterHandle, status: ApplicationStatus
) -> int:
    """How many orphans there are, with what they own (health-and-resources.md 9.3)."""
    managed = {ResourceKey(each.group, each.kind, each.namespace, each.name) for each in status.resources}
    orphans = orphans_of(services, situation, handle.cache, managed)
    return len(handle.cache.families(orphans.roots, orphans.permitted))


def conditions_into(
    status: ApplicationStatus,
    found: Sequence[tuple[str, str]],
    evaluated: frozenset[str],
    services: Services,
) -> ApplicationStatus:
    """``status`` with the conditions of one step."""
    stored = status.conditions or ()
    if not found and all(condition.type not in evaluated for condition in stored):
        return status
    updated = set_conditions(stored, found, evaluated, to_timestamp(services.clock()))
    return msgspec.structs.replace(status, conditions=updated)
