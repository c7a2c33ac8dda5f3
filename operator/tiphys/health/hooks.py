"""Whether an object is a hook, as far as health cares (sync.md 9.1).

``compare.hooks`` reads types, policies and waves; it lies above this room, and the Pod check only
needs yes or no.
"""

from tiphys.resources.identity import Manifest, annotations_of

HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"

_ARGO_HOOK = "argocd.argoproj.io/hook"
_HELM_HOOK = "helm.sh/hook"
_TYPES = frozenset({"PreSync", "Sync", "PostSync", "SyncFail", "Skip", "PreDelete", "PostDelete"})


def is_hook(manifest: Manifest) -> bool:
    """Whether the object is a hook: an Argo annotation that says more than ``Skip``, or a Helm
    annotation other than ``crd-install``."""
    annotations = annotations_of(manifest)
    argo = annotations.get(_ARGO_HOOK)
    if argo is not None:
        return {part.strip() for part in argo.split(",")} & _TYPES != {"Skip"}
    helm = annotations.get(_HELM_HOOK)
    return helm is not None and helm != "crd-install"
