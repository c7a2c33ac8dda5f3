"""Sync options: what the operation asks for and what a single object asks for (sync.md 15).

The operation's list is taken as it is (whole strings, no trimming; sync.md 1.1); the annotation of
an object is parsed by ``compare.hooks``. Every question the engine has is one function here, so
that the precedence between the two levels is written once.
"""

from collections.abc import Sequence

from msgspec import Struct

from tiphys.compare.hooks import sync_options
from tiphys.resources.identity import Manifest


class OperationOptions(Struct, frozen=True):
    """The parsed options of one operation."""

    create_namespace: bool = False
    skip_dry_run_on_missing_resource: bool = False
    apply_out_of_sync_only: bool = False
    prune_last: bool = False
    prune: str = ""
    """Value of the first ``Prune=…`` option; empty when there is none."""
    replace: bool = False
    server_side_apply: bool = False
    migrate_client_side_apply: bool = True
    propagation_policy: str = "Foreground"
    force: bool = False
    """From the strategy (``apply.force`` or ``hook.force``)."""
    hooks_enabled: bool = True
    prune_enabled: bool = False
    dry_run: bool = False


def value_of(options: Sequence[str], key: str) -> str:
    """Rest of the first option that starts with ``key=``, or empty text."""
    prefix = f"{key}="
    return next((option[len(prefix) :] for option in options if option.startswith(prefix)), "")


def parse_options(
    options: Sequence[str],
    *,
    force: bool = False,
    strategy_apply: bool = False,
    partial: bool = False,
    prune: bool = False,
    dry_run: bool = False,
) -> OperationOptions:
    """Options of an operation; ``Validate=false`` changes nothing where the server knows its kinds
    (sync.md 13.2); ``strategy_apply`` and ``partial`` switch hooks off (sync.md 9.3)."""
    given = frozenset(options)
    # several propagation policies: background beats foreground beats orphan (sync.md 15)
    policy = "Foreground"
    if "PrunePropagationPolicy=background" in given:
        policy = "Background"
    elif "PrunePropagationPolicy=foreground" in given:
        policy = "Foreground"
    elif "PrunePropagationPolicy=orphan" in given:
        policy = "Orphan"
    return OperationOptions(
        create_namespace="CreateNamespace=true" in given,
        skip_dry_run_on_missing_resource="SkipDryRunOnMissingResource=true" in given,
        apply_out_of_sync_only="ApplyOutOfSyncOnly=true" in given,
        prune_last="PruneLast=true" in given,
        prune=value_of(options, "Prune"),
        replace="Replace=true" in given,
        server_side_apply="ServerSideApply=true" in given,
        migrate_client_side_apply="ClientSideApplyMigration=false" not in given,
        propagation_policy=policy,
        force=force,
        hooks_enabled=not strategy_apply and not partial,
        prune_enabled=prune,
        dry_run=dry_run,
    )


def _has(manifest: Manifest | None, option: str) -> bool:
    return manifest is not None and sync_options(manifest).has(option)


def prune_value(live: Manifest, options: OperationOptions) -> str:
    """The live object's ``Prune=`` beats the operation's; empty text means allowed."""
    own = sync_options(live).value("Prune")
    return options.prune if own is None else own


def uses_replace(target: Manifest, live: Manifest | None, options: OperationOptions) -> bool:
    return options.replace or _has(target, "Replace=true") or _has(live, "Replace=true")


def uses_force(target: Manifest, live: Manifest | None, options: OperationOptions) -> bool:
    return options.force or _has(target, "Force=true") or _has(live, "Force=true")


def uses_server_side_apply(target: Manifest, options: OperationOptions) -> bool:
    """``ServerSideApply=false`` on the object beats everything (sync.md 13.1)."""
    if _has(target, "ServerSideApply=false"):
        return False
    return options.server_side_apply or _has(target, "ServerSideApply=true")


def tolerates_missing_kind(target: Manifest, options: OperationOptions) -> bool:
    return options.skip_dry_run_on_missing_resource or _has(target, "SkipDryRunOnMissingResource=true")
