"""How deeply each kind is looked at.

Three depths. *Metadata*: the server sends metadata only; for kinds that churn or are large, are
almost never managed, and have neither health nor anything to show (a managed one is fetched when
asked for). *Shallow*: whole objects come, but only metadata is decoded, unless the object is
managed. *Deep*: whatever may appear in a tree is decoded, once, for its health and what to show.
"""

from tiphys.resources.identity import GroupKind

CRD = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
API_SERVICE = GroupKind("apiregistration.k8s.io", "APIService")
SECRET = GroupKind("", "Secret")
ENDPOINTS = GroupKind("", "Endpoints")
POD = GroupKind("", "Pod")
NODE = GroupKind("", "Node")
PVC = GroupKind("", "PersistentVolumeClaim")
CSV = GroupKind("operators.coreos.com", "ClusterServiceVersion")
MUTATING_KINDS = frozenset(
    GroupKind("admissionregistration.k8s.io", kind)
    for kind in (
        "MutatingWebhookConfiguration",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    )
)
"""What changes objects on their way in."""
STATEFUL_SETS = (GroupKind("apps", "StatefulSet"), GroupKind("extensions", "StatefulSet"))

METADATA_KINDS = frozenset(
    {
        ENDPOINTS,
        GroupKind("discovery.k8s.io", "EndpointSlice"),
        GroupKind("apps", "ControllerRevision"),
        GroupKind("storage.k8s.io", "CSINode"),
        GroupKind("storage.k8s.io", "CSIStorageCapacity"),
        GroupKind("storage.k8s.io", "VolumeAttachment"),
        GroupKind("networking.k8s.io", "IPAddress"),
        GroupKind("resource.k8s.io", "ResourceSlice"),
        GroupKind("certificates.k8s.io", "CertificateSigningRequest"),
        GroupKind("cilium.io", "CiliumEndpoint"),
        GroupKind("cilium.io", "CiliumIdentity"),
        GroupKind("wgpolicyk8s.io", "PolicyReport"),
        GroupKind("wgpolicyk8s.io", "ClusterPolicyReport"),
        GroupKind("kyverno.io", "UpdateRequest"),
    }
)

SHALLOW_KINDS = frozenset(
    {
        GroupKind("", "ConfigMap"),
        SECRET,
        GroupKind("", "ServiceAccount"),
        GroupKind("", "ResourceQuota"),
        GroupKind("", "LimitRange"),
        GroupKind("", "PodTemplate"),
        GroupKind("rbac.authorization.k8s.io", "Role"),
        GroupKind("rbac.authorization.k8s.io", "RoleBinding"),
        GroupKind("rbac.authorization.k8s.io", "ClusterRole"),
        GroupKind("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        GroupKind("scheduling.k8s.io", "PriorityClass"),
        GroupKind("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        GroupKind("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        GroupKind("networking.k8s.io", "ServiceCIDR"),
        GroupKind("node.k8s.io", "RuntimeClass"),
        GroupKind("storage.k8s.io", "CSIDriver"),
        GroupKind("storage.k8s.io", "StorageClass"),
    }
)

ALWAYS_DEEP = frozenset({POD, NODE, CRD, API_SERVICE, PVC, *STATEFUL_SETS})
"""Needed whoever owns them: hosts, discovery, inferred parents and children, which say nothing of it."""
