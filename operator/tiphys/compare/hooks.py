"""What an object says about its own sync: hook types, delete policies, wave and options.

Read from annotations only (sync.md 1.1 and 9.1), so every room that meets a manifest can ask:
the preparation of targets, the sync engine, health aggregation and the resource list. Argo CD's
annotations win over Helm's; an object whose hook annotation names nothing known is "ignored":
never applied and without a status.
"""

from collections.abc import Iterable

from tiphys.resources.identity import Manifest, annotations_of

SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
COMPARE_OPTIONS = "argocd.argoproj.io/compare-options"
SYNC_WAVE = "argocd.argoproj.io/sync-wave"
HOOK = "argocd.argoproj.io/hook"
HOOK_DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
HELM_HOOK = "helm.sh/hook"
HELM_WEIGHT = "helm.sh/hook-weight"
HELM_DELETE_POLICY = "helm.sh/hook-delete-policy"
HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"

MARKS = frozenset(
    (
        *(SYNC_OPTIONS, COMPARE_OPTIONS, SYNC_WAVE),
        *(HOOK, HOOK_DELETE_POLICY, HELM_HOOK, HELM_WEIGHT, HELM_DELETE_POLICY),
    )
)
"""Without one of these annotations an object says nothing of what is read here."""

SKIP = "Skip"
SYNC_TYPES = ("PreSync", "Sync", "PostSync", "SyncFail")
DELETE_TYPES = ("PreDelete", "PostDelete")
_TYPES = frozenset((*SYNC_TYPES, *DELETE_TYPES, SKIP))
_HELM_TYPES = {
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "pre-delete": "PreDelete",
    "post-delete": "PostDelete",
}
_HELM_CRD_INSTALL = "crd-install"
_POLICIES = frozenset(("HookSucceeded", "HookFailed", "BeforeHookCreation"))
_HELM_POLICIES = {
    "hook-succeeded": "HookSucceeded",
    "hook-failed": "HookFailed",
    "before-hook-creation": "BeforeHookCreation",
}


class Options(tuple[str, ...]):
    """Options of one annotation, in order and without duplicates."""

    __slots__ = ()

    def has(self, option: str) -> bool:
        """Whether one item equals ``option`` exactly (case sensitive)."""
        return option in self

    def value(self, key: str) -> str | None:
        """What follows ``key=`` in the first item that starts so; ``None`` without one."""
        return option_value(self, key)


_NONE = Options()


def option_value(options: Iterable[str], key: str) -> str | None:
    """What follows ``key=`` in the first option that starts so; ``None`` without one (sync.md 1.1)."""
    prefix = f"{key}="
    return next((item[len(prefix) :] for item in options if item.startswith(prefix)), None)


def parse_options(text: str) -> Options:
    """Split at commas, trim, drop empty and repeated items, keep the order (sync.md 1.1)."""
    if not text:
        return _NONE
    return Options(dict.fromkeys(part for item in text.split(",") if (part := item.strip())))


def _list(manifest: Manifest, annotation: str) -> Options:
    text = annotations_of(manifest).get(annotation)
    return parse_options(text) if isinstance(text, str) else _NONE


def sync_options(manifest: Manifest) -> Options:
    """``argocd.argoproj.io/sync-options`` of an object."""
    return _list(manifest, SYNC_OPTIONS)


def compare_options(manifest: Manifest) -> Options:
    """``argocd.argoproj.io/compare-options`` of an object."""
    return _list(manifest, COMPARE_OPTIONS)


def ignores_extraneous(manifest: Manifest) -> bool:
    """Whether an object without target leaves its application Synced (sync.md 8.1)."""
    return compare_options(manifest).has("IgnoreExtraneous")


def hook_types(manifest: Manifest) -> tuple[str, ...]:
    """Known hook types, Argo CD's or else Helm's, without duplicates (sync.md 9.1)."""
    annotations = annotations_of(manifest)
    if HOOK not in annotations and HELM_HOOK not in annotations:
        return ()
    own = tuple(item for item in _list(manifest, HOOK) if item in _TYPES)
    if own:
        return own
    return tuple(
        dict.fromkeys(_HELM_TYPES[item] for item in _list(manifest, HELM_HOOK) if item in _HELM_TYPES)
    )


def is_hook(manifest: Manifest) -> bool:
    """Whether an object is a hook of any type, ignored ones too (sync.md 9.1)."""
    annotations = annotations_of(manifest)
    if HOOK in annotations:
        return not is_skipped(manifest)
    return HELM_HOOK in annotations and annotations[HELM_HOOK] != _HELM_CRD_INSTALL


def is_skipped(manifest: Manifest) -> bool:
    """Whether ``Skip`` is the only valid type: never synced, no status."""
    if HOOK not in annotations_of(manifest):
        return False
    return tuple(item for item in _list(manifest, HOOK) if item in _TYPES) == (SKIP,)


def is_ignored(manifest: Manifest) -> bool:
    """A hook none of whose types is known to us."""
    return is_hook(manifest) and not hook_types(manifest)


def sync_types(manifest: Manifest) -> tuple[str, ...]:
    """The sync phases a hook runs in; empty for a hook of deletion only, and for no hook."""
    return tuple(item for item in hook_types(manifest) if item in SYNC_TYPES)


def is_sync_hook(manifest: Manifest) -> bool:
    """A hook that some phase of a sync runs."""
    return is_hook(manifest) and bool(sync_types(manifest))


def is_delete_hook(manifest: Manifest) -> bool:
    """A hook with ``PreDelete`` or ``PostDelete`` and no sync phase (sync.md 3.1 step 9)."""
    types = hook_types(manifest)
    return any(item in DELETE_TYPES for item in types) and not sync_types(manifest)


def delete_policies(manifest: Manifest) -> tuple[str, ...]:
    """Valid Argo CD and Helm policies together; ``BeforeHookCreation`` without any (sync.md 9.1)."""
    own = [item for item in _list(manifest, HOOK_DELETE_POLICY) if item in _POLICIES]
    helm = [_HELM_POLICIES[item] for item in _list(manifest, HELM_DELETE_POLICY) if item in _HELM_POLICIES]
    return tuple(dict.fromkeys(own + helm)) or ("BeforeHookCreation",)


def wave(manifest: Manifest) -> int:
    """``sync-wave``, else ``helm.sh/hook-weight``, else 0; text that is no integer does not count."""
    annotations = annotations_of(manifest)
    for key in (SYNC_WAVE, HELM_WEIGHT):
        if key in annotations:
            number = _integer(annotations[key])
            if number is not None:
                return number
    return 0


def _integer(text: object) -> int | None:
    """As Go's ``strconv.Atoi``: sign and ASCII digits, nothing around them."""
    if not isinstance(text, str):
        return None
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None
