"""Finalizers of Applications (applications.md 13.1)."""

RESOURCES = "resources-finalizer.argocd.argoproj.io"
FOREGROUND = RESOURCES + "/foreground"
BACKGROUND = RESOURCES + "/background"
PRE_DELETE = "pre-delete-finalizer.argocd.argoproj.io"
POST_DELETE = "post-delete-finalizer.argocd.argoproj.io"
PRE_DELETE_CLEANUP = PRE_DELETE + "/cleanup"
POST_DELETE_CLEANUP = POST_DELETE + "/cleanup"

PROPAGATION = {RESOURCES: "Foreground", FOREGROUND: "Foreground", BACKGROUND: "Background"}
OURS = frozenset({*PROPAGATION, PRE_DELETE, POST_DELETE, PRE_DELETE_CLEANUP, POST_DELETE_CLEANUP})


def propagation_policy(finalizers: tuple[str, ...]) -> str | None:
    """How managed objects are deleted: the first propagation finalizer decides; None: not at all."""
    return next((PROPAGATION[f] for f in finalizers if f in PROPAGATION), None)


def with_delete_hook_finalizers(finalizers: tuple[str, ...], *, pre: bool, post: bool) -> tuple[str, ...]:
    """Finalizers that match the presence of PreDelete and PostDelete hooks in the manifests."""
    wanted = list(finalizers)
    for present, names in (
        (pre, (PRE_DELETE, PRE_DELETE_CLEANUP)),
        (post, (POST_DELETE, POST_DELETE_CLEANUP)),
    ):
        for name in names:
            if present and name not in wanted:
                wanted.append(name)
            elif not present and name in wanted:
                wanted.remove(name)
    return tuple(wanted)
