"""Status as a value: assembling it, and the smallest patch that writes it.

A status is written once per reconcile and only if it differs, as a JSON merge patch against the
stored object, so fields that we do not know survive. Lists are replaced whole (their items have no
identity in a merge patch).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tiphys.resources.application import (
    Application,
    ApplicationSource,
    ApplicationStatus,
    ApplicationSummary,
    ComparedTo,
    HealthStatus,
    RevisionHistory,
    to_json,
)
from tiphys.resources.times import to_timestamp

HEALTH_SOURCE_TREE = "appTree"
LINK_ANNOTATIONS = "link.argocd.argoproj.io/"
DEFAULT_HISTORY_LIMIT = 10


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The RFC 7386 patch that turns ``old`` into ``new``, plain JSON both; empty when they are equal."""
    patch: dict[str, Any] = {}
    for key, value in new.items():
        before = old.get(key)
        if type(value) is dict and type(before) is dict:
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif key not in old or before != value or type(before) is not type(value):
            patch[key] = value
    for key in old:
        if key not in new:
            patch[key] = None
    return patch


def status_patch(old: ApplicationStatus, new: ApplicationStatus) -> dict[str, Any]:
    """What to merge under ``status``; empty when nothing differs."""
    # Fields that are equal on both sides add nothing: a thousand resources are written down only if one
    # of them changed.
    names = [
        name
        for name in ApplicationStatus.__struct_fields__
        if (before := getattr(old, name)) is not (after := getattr(new, name)) and before != after
    ]
    if not names:
        return {}
    before, after = ({name: getattr(status, name) for name in names} for status in (old, new))
    return merge_patch(to_json(ApplicationStatus(**before)), to_json(ApplicationStatus(**after)))


def with_health(
    status: ApplicationStatus, code: str, message: str, now: datetime, *, inline: bool = False
) -> ApplicationStatus:
    """Status with the aggregated health: the transition time moves only when the code does, and
    the message describes the last transition, or with ``inline`` (``--persist-resource-health``)
    the present state (health-and-resources.md 1.4)."""
    source = "" if inline else HEALTH_SOURCE_TREE
    before = status.health
    if before.status == code:
        if status.resource_health_source == HEALTH_SOURCE_TREE == source:
            return status
        health = msgspec.structs.replace(before, message=message)
    else:
        health = HealthStatus(status=code, message=message, last_transition_time=to_timestamp(now))
    return msgspec.structs.replace(status, health=health, resource_health_source=source)


def compared_to(app: Application) -> ComparedTo:
    """``status.sync.comparedTo`` of a comparison made for this spec."""
    spec = app.spec
    sources = spec.effective_sources()
    return ComparedTo(
        source=ApplicationSource() if spec.has_multiple_sources else sources[0],
        sources=sources if spec.has_multiple_sources else (),
        destination=spec.destination,
        ignore_differences=spec.ignore_differences,
    )


def with_history(app: Application, status: ApplicationStatus, now: datetime) -> ApplicationStatus:
    """Status with one more deployment in its history (applications.md 4, sync.md 16 step 11)."""
    state = status.operation_state
    if state is None or state.sync_result is None:
        return status
    result = state.sync_result
    entries = tuple(status.history or ())
    entry = RevisionHistory(
        id=entries[-1].id + 1 if entries else 0,
        revision=result.revision,
        revisions=result.revisions,
        source=result.source,
        sources=result.sources,
        deployed_at=to_timestamp(now),
        deploy_started_at=state.started_at,
        initiated_by=state.operation.initiated_by,
    )
    limit = app.spec.revision_history_limit
    keep = max(0, DEFAULT_HISTORY_LIMIT if limit is None else limit)
    history = (*entries, entry)[-keep:] if keep else ()
    return msgspec.structs.replace(status, history=history)


def summary_of(
    app: Application, images: Iterable[str], urls: Iterable[str], is_app_of_apps: bool
) -> ApplicationSummary:
    """``status.summary``; link annotations of the Application itself count as external URLs."""
    links = {
        value for key, value in (app.metadata.annotations or {}).items() if key.startswith(LINK_ANNOTATIONS)
    }
    return ApplicationSummary(
        external_urls=tuple(sorted({*urls, *links})),
        images=tuple(images),
        is_app_of_apps=is_app_of_apps,
    )
