"""Writing one object: which way, with which requests, and what the result says (sync.md 13).

The way is decided from options and objects (``choose``), the requests follow from what the live
cache knows: an object that is missing costs one POST, one that differs one PATCH, one that is
proven equal none at all. Where the cache was behind (AlreadyExists, Conflict, NotFound) the object
is read again and the write repeated, at most five times. Every failure is an ``Applied`` with the
server's own words.
"""

import asyncio
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from tiphys.compare.threeway import LAST_APPLIED, last_applied_text, three_way_patch, with_last_applied
from tiphys.kube.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from tiphys.resources.identity import Manifest, annotations_of, gvk_of
from tiphys.sync import messages, rbac
from tiphys.sync.cluster import (
    CLUSTER_ERRORS,
    FIELD_MANAGER,
    JSON_PATCH,
    DiscoveryLike,
    SyncCluster,
    describe,
)
from tiphys.sync.inputs import Owned
from tiphys.sync.migration import DEFAULT_MANAGER, managers_to_migrate, migration_patch
from tiphys.sync.options import (
    OperationOptions,
    uses_force,
    uses_replace,
    uses_server_side_apply,
)
from tiphys.sync.ownership import is_terminating
from tiphys.sync.plan import gvk_and_name
from tiphys.sync.proof import covers, owns_exactly
from tiphys.sync.recreating import has_left, make_way

ATTEMPTS = 5
CRD_ESTABLISHED_SECONDS = 3.0
CRD_POLL_SECONDS = 0.1


class Way(Enum):
    """How an object is written (sync.md 13.1)."""

    CLIENT_SIDE = "client-side apply"
    SERVER_SIDE = "server-side apply"
    REPLACE = "replace"
    CREATE = "create"


class Applied(Struct, frozen=True):
    """What became of one object."""

    ok: bool
    message: str
    pending: bool = False
    """Waits for something (the deletion of the old object); to be tried again."""
    answer: Manifest | None = None
    """The object after a write of ours."""


def choose(target: Manifest, live: Manifest | None, options: OperationOptions) -> Way:
    """Replace wins over server-side apply."""
    if uses_replace(target, live, options):
        return Way.REPLACE if live is not None else Way.CREATE
    if uses_server_side_apply(target, options):
        return Way.SERVER_SIDE
    return Way.CLIENT_SIDE


def has_name(target: Manifest) -> bool:
    """Whether nothing about an object can be refused without a request (:func:`refusal`)."""
    return bool((target.get("metadata") or {}).get("name"))


def refusal(target: Manifest, way: Way) -> str | None:
    """What can be refused without a request; the validation pass before the first apply.

    Only a create (``Replace=true``) leaves the name to the server.
    """
    if has_name(target):
        return None
    generated = (target.get("metadata") or {}).get("generateName")
    if not generated:
        return "resource name may not be empty"
    return None if way is Way.CREATE else f"from {generated}: cannot use generate name with apply"


class Applier:
    """Writes objects for one step.

    ``created_since`` is the operation's start: an object that is as new as that and as desired is
    not replaced by force again when a step is repeated.
    """

    def __init__(
        self,
        cluster: SyncCluster,
        discovery: DiscoveryLike,
        options: OperationOptions,
        *,
        migration_manager: str,
        created_since: str,
        writes: list[Manifest],
        owned: Owned = lambda manifest: True,
    ) -> None:
        self.cluster = cluster
        self.discovery = discovery
        self.options = options
        self.migration_manager = migration_manager or DEFAULT_MANAGER
        self.custom_manager = bool(migration_manager)
        self.created_since = created_since
        self.writes = writes
        self.owned = owned

    async def apply(self, target: Manifest, live: Manifest | None, modified: bool | None) -> Applied:
        """Writes ``target``; ``live`` is what the cache knows, ``modified`` what comparing found."""
        options = self.options
        way = choose(target, live, options)
        problem = refusal(target, way)
        if problem is not None:
            return Applied(False, problem)
        force = uses_force(target, live, options)
        try:
            if way is Way.SERVER_SIDE:
                if force:
                    return Applied(
                        False, "error validating options: --force cannot be used with --server-side"
                    )
                applied = await self._server_side(target, live, modified)
            elif way is Way.CLIENT_SIDE:
                applied = await self._client_side(target, live, modified, force)
            else:
                applied = await self._replace(target, live, force)
        except CLUSTER_ERRORS as error:
            return Applied(False, self._error_text(target, way, error))
        if applied.answer is not None and _is_crd(target):
            await self._established(target)
        return applied

    # -- client-side apply -------------------------------------------------------------------

    async def _client_side(
        self, target: Manifest, live: Manifest | None, modified: bool | None, force: bool
    ) -> Applied:
        gvk, _, name = gvk_and_name(target)
        is_rbac = rbac.is_reconciled(gvk)
        known, created = live, "created"
        dry_run = self.options.dry_run
        for attempt in range(ATTEMPTS + 1):
            prefix = ""
            if is_rbac:
                found = rbac.reconcile(target, known, gvk, name, dry_run)
                prefix = found.text
                if found.recreate and known is not None:
                    if dry_run:
                        return Applied(True, prefix + self._text(target, "configured"))
                    # nothing depends on a binding: no need to wait for its dependents
                    await make_way(self.cluster, with_last_applied(target), known, "Background")
                    known = None
            try:
                applied = await self._apply_once(
                    target, known, modified if known is live else None, created=created
                )
                if await self._went(target, known, applied.answer):
                    known = None
                    continue
                return replace(applied, message=prefix + applied.message)
            except (AlreadyExists, Conflict, NotFound, Invalid) as error:
                if known is None and isinstance(error, NotFound | Invalid):
                    raise  # the namespace or the kind is missing, or the object is refused
                if force and known is not None and _asks_for_force(error):
                    if dry_run:
                        return Applied(True, prefix + self._text(target, "configured"))
                    policy = self.options.propagation_policy
                    await make_way(self.cluster, with_last_applied(target), known, policy)
                    if not await has_left(self.cluster, target):
                        return Applied(True, messages.waiting_for_deletion(target), pending=True)
                    known, created = None, "configured"
                    continue
                if isinstance(error, Invalid) or attempt == ATTEMPTS:
                    raise
                known = await self.read(target)
        raise AssertionError("the loop returns or raises")

    async def _apply_once(
        self, target: Manifest, live: Manifest | None, modified: bool | None, *, created: str = "created"
    ) -> Applied:
        gvk, namespace, name = gvk_and_name(target)
        dry_run = self.options.dry_run
        if live is None:
            notes: list[str] = []
            answer = await self.cluster.create(
                with_last_applied(target), dry_run=dry_run, field_manager=FIELD_MANAGER, warnings=notes
            )
            return self._wrote(target, created, answer, notes)
        if modified is False and annotations_of(live).get(LAST_APPLIED) == last_applied_text(target):
            return self._unchanged(target, live)
        patch = three_way_patch(target, live)
        if patch is None:
            return self._unchanged(target, live)
        warnings: list[str] = []
        if LAST_APPLIED not in annotations_of(live):
            resource = self.discovery.resource(gvk)
            warnings.append(
                messages.missing_last_applied(resource.plural if resource else gvk.kind.lower(), name)
            )
        if is_terminating(live):
            warnings.append(messages.being_deleted(name))
        answer = await self.cluster.patch(
            gvk,
            namespace,
            name,
            patch.body,
            patch.content_type,
            dry_run=dry_run,
            field_manager=FIELD_MANAGER,
            warnings=warnings,
        )
        return self._wrote(target, "configured", answer, warnings)

    # -- server-side apply -------------------------------------------------------------------

    async def _server_side(self, target: Manifest, live: Manifest | None, modified: bool | None) -> Applied:
        dry_run = self.options.dry_run
        idle = live is not None and modified is False
        if idle and live is not None and (dry_run or owns_exactly(target, live, FIELD_MANAGER)):
            return self._unchanged(target, live)
        if live is not None and not dry_run:
            problem = await self._migrate(target, live)
            if problem is not None:
                return Applied(False, problem)
        notes: list[str] = []
        answer = await self.cluster.apply(
            target, field_manager=FIELD_MANAGER, force=True, dry_run=dry_run, warnings=notes
        )
        if not dry_run and await self._went(target, live, answer):
            answer = await self.cluster.apply(
                target, field_manager=FIELD_MANAGER, force=True, warnings=(notes := [])
            )
        if is_terminating(answer):
            notes.append(messages.being_deleted((target["metadata"]).get("name") or ""))
        # in the words of the reference, whose dry runs are never server-side (sync.md 13.1)
        verb = "serverside-applied" if not dry_run else "created" if live is None else "configured"
        return self._wrote(target, verb, answer, notes)

    async def _migrate(self, target: Manifest, live: Manifest) -> str | None:
        """Moves client-side ownership to us first; the text of a failure, else ``None``.

        The cached object may lack other managers' entries. The default manager always leaves the
        last-applied annotation behind, so only objects with it (or any object, when the
        Application names a manager) are read again.
        """
        enabled = self.options.migrate_client_side_apply
        wanted = LAST_APPLIED in annotations_of(live) or (self.custom_manager and enabled)
        if not wanted:
            return None
        gvk, namespace, name = gvk_and_name(target)
        try:
            for attempt in range(ATTEMPTS + 1):
                try:
                    fresh = await self.cluster.get(gvk, namespace, name)
                    managers = managers_to_migrate(
                        fresh, self.migration_manager, FIELD_MANAGER, enabled=enabled
                    )
                    body = migration_patch(fresh, managers, FIELD_MANAGER)
                    if body is not None:
                        await self.cluster.patch(gvk, namespace, name, body, JSON_PATCH)
                    return None
                except NotFound:
                    return None  # the apply creates it
                except Conflict:
                    if attempt == ATTEMPTS:
                        raise
        except CLUSTER_ERRORS as error:
            where = f"{gvk.group}/{gvk.kind}/{namespace}/{name}"
            return f"Failed to perform client-side apply migration for {where}: {describe(error)}"
        return None

    # -- replace ------------------------------------------------------------------------------

    async def _replace(self, target: Manifest, live: Manifest | None, force: bool) -> Applied:
        gvk, _, name = gvk_and_name(target)
        updates = (gvk.group, gvk.kind) in {
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "Namespace"),
        }
        dry_run = self.options.dry_run
        known = live
        for attempt in range(ATTEMPTS + 1):
            if known is not None and force and not updates:
                if dry_run:
                    return Applied(True, self._text(target, "replaced"))
                if self._is_new(known) and covers(target, known):
                    return Applied(True, self._text(target, "replaced"))
                if not is_terminating(known):
                    await make_way(self.cluster, target, known, self.options.propagation_policy)
                if not await has_left(self.cluster, target):
                    return Applied(True, messages.waiting_for_deletion(target), pending=True)
                known = None
            try:
                notes: list[str] = []
                if known is None:
                    answer = await self.cluster.create(target, dry_run=dry_run, warnings=notes)
                    return self._wrote(target, "created" if live is None else "replaced", answer, notes)
                version = (known.get("metadata") or {}).get("resourceVersion")
                metadata = {**(target.get("metadata") or {}), "resourceVersion": version}
                body = {**target, "metadata": metadata}
                answer = await self.cluster.replace(body, dry_run=dry_run, warnings=notes)
                applied = self._wrote(target, "replaced", answer, notes)
                return replace(applied, message=f"{gvk.kind}/{name} updated") if updates else applied
            except (AlreadyExists, Conflict, NotFound) as error:
                if attempt == ATTEMPTS or not name or (known is None and isinstance(error, NotFound)):
                    raise
                known = await self.read(target)
                if live is None and known is not None and covers(target, known) and self._is_new(known):
                    # our own creation, whose answer was lost
                    return Applied(True, self._text(target, "created"))
        raise AssertionError("the loop returns or raises")

    def _is_new(self, live: Manifest) -> bool:
        created = str((live.get("metadata") or {}).get("creationTimestamp") or "")
        return created >= self.created_since and not is_terminating(live)

    async def create_new(self, target: Manifest) -> Applied | None:
        """One POST; ``None`` when an object of that name exists."""
        way = choose(target, None, self.options)
        problem = refusal(target, way)
        if problem is not None:
            return Applied(False, problem)
        try:
            if way is Way.CREATE:
                notes: list[str] = []
                answer = await self.cluster.create(target, warnings=notes)
                return self._wrote(target, "created", answer, notes)
            return await self._apply_once(target, None, None)
        except AlreadyExists:
            return None
        except CLUSTER_ERRORS as error:
            return Applied(False, self._error_text(target, Way.CLIENT_SIDE, error))

    # -- shared -------------------------------------------------------------------------------

    async def _went(self, target: Manifest, known: Manifest | None, answer: Manifest | None) -> bool:
        """Whether what was written to left just then: pruned by the Application that it was moved from.

        Not asked of what was ours and on its way out before: that may take long (sync.md 13.5).
        """
        if known is None or answer is None or not is_terminating(answer):
            return False
        if is_terminating(known) and self.owned(known):
            return False
        return await has_left(self.cluster, target)

    async def read(self, target: Manifest) -> Manifest | None:
        """The object as it is now, ``None`` when it is not there."""
        try:
            return await self.cluster.get(*gvk_and_name(target))
        except NotFound:
            return None

    async def _established(self, crd: Manifest) -> None:
        """Waits until a written definition is served; running into the limit is no failure."""
        gvk, namespace, name = gvk_and_name(crd)
        try:
            async with asyncio.timeout(CRD_ESTABLISHED_SECONDS):
                while True:
                    live = await self.cluster.get(gvk, namespace, name)
                    conditions = (live.get("status") or {}).get("conditions") or ()
                    if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
                        return
                    await asyncio.sleep(CRD_POLL_SECONDS)
        except (TimeoutError, *CLUSTER_ERRORS):
            return

    def _wrote(self, target: Manifest, verb: str, answer: Manifest, warnings: Sequence[str]) -> Applied:
        named = target if (target["metadata"]).get("name") else answer
        text = self._text(named, verb, warnings)
        if self.options.dry_run:
            return Applied(True, text)
        self.writes.append(answer)
        return Applied(True, text, answer=answer)

    def _unchanged(self, target: Manifest, live: Manifest) -> Applied:
        """Nothing to write; an object on its way out is told of all the same."""
        leaving = [messages.being_deleted((target["metadata"]).get("name") or "")]
        return Applied(True, self._text(target, "unchanged", leaving if is_terminating(live) else ()))

    def _text(self, target: Manifest, verb: str, warnings: Sequence[str] = ()) -> str:
        gvk, _, name = gvk_and_name(target)
        return messages.applied(gvk, name, verb, dry_run=self.options.dry_run, warnings=warnings)

    def _error_text(self, target: Manifest, way: Way, error: Exception) -> str:
        text = describe(error)
        gvk, namespace, _ = gvk_and_name(target)
        missing_namespace = f'namespaces "{namespace}" not found'
        reconciled = way is Way.CLIENT_SIDE and rbac.is_reconciled(gvk)
        if reconciled and isinstance(error, NotFound) and text == missing_namespace:
            return f"error running kubectl auth reconcile: error getting namespace {namespace}: {text}"
        return text


def _asks_for_force(error: ApiError) -> bool:
    """Conflict and Invalid: what an immutable field gives (sync.md 13.2)."""
    return isinstance(error, Conflict | Invalid)


def _is_crd(target: Manifest) -> bool:
    gvk = gvk_of(target)
    return (gvk.group, gvk.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition")
