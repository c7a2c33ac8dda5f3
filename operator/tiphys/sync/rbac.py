"""What ``auth reconcile`` does and says about roles and bindings (sync.md 13.2).

The reference runs it before every client-side apply of an RBAC object. The apply that follows
writes the desired rules and subjects anyway, so the only effect that remains is that a binding
whose ``roleRef`` changed (immutable) is deleted and made again; the rest is the message. Pure:
desired and live object in, operation and text out.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from tiphys.resources.identity import GVK, Manifest
from tiphys.sync.messages import object_name

_GROUP = "rbac.authorization.k8s.io"
_ROLES = frozenset({"Role", "ClusterRole"})
_BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})


class Reconciliation(Struct, frozen=True):
    """``operation`` is empty (nothing to do), ``create``, ``update`` or ``recreate``."""

    operation: str
    text: str
    """Printed directly before the message of the apply, without a separator (sync.md 23.19)."""

    @property
    def recreate(self) -> bool:
        return self.operation == "recreate"


def is_reconciled(gvk: GVK) -> bool:
    """Whether the kind goes through ``auth reconcile``: version v1 of the four RBAC kinds."""
    return gvk.group == _GROUP and gvk.version == "v1" and gvk.kind in _ROLES | _BINDINGS


def reconcile(target: Manifest, live: Manifest | None, gvk: GVK, name: str, dry_run: bool) -> Reconciliation:
    """The operation ``auth reconcile`` finds necessary, and its output."""
    field = "rules" if gvk.kind in _ROLES else "subjects"
    wanted = _maps(target.get(field))
    if live is None:
        operation, missing = "create", wanted
    else:
        found = _maps(live.get(field))
        if field == "rules":
            missing = [atom for rule in wanted for atom in _atoms(rule) if not _covered(atom, found)]
        else:
            known = [_subject(item) for item in found]
            missing = [item for item in wanted if _subject(item) not in known]
        if gvk.kind in _BINDINGS and _role_ref(target) != _role_ref(live):
            operation = "recreate"
        elif missing or not (_has_all(target, live, "labels") and _has_all(target, live, "annotations")):
            operation = "update"
        else:
            operation = ""
    text = f"{object_name(gvk, name)} reconciled{' (dry run)' if dry_run else ''}"
    if not operation:
        return Reconciliation("", text)
    notes = f"reconciliation required {operation}"
    if live is not None and _is_protected(live):
        notes += ", but object opted out (rbac.authorization.kubernetes.io/autoupdate: false)"
    if missing:
        notes += f"\n\tmissing {field} added:"
        printed = _print_rule if field == "rules" else _print_subject
        notes += "".join(f"\n\t\t{printed(item)}" for item in missing)
    return Reconciliation(operation, f"{text}. {notes}")


def _maps(value: Any) -> list[dict[str, Any]]:
    """The items of a list that are maps; what else stands in a manifest is refused by the server."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _is_protected(live: Manifest) -> bool:
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return annotations.get("rbac.authorization.kubernetes.io/autoupdate") == "false"


def _has_all(target: Manifest, live: Manifest, field: str) -> bool:
    """Existing values win when metadata is merged, so only missing keys matter."""
    wanted = (target.get("metadata") or {}).get(field) or {}
    found = (live.get("metadata") or {}).get(field) or {}
    return all(key in found for key in wanted)


def _role_ref(binding: Manifest) -> tuple[str, str, str]:
    found = binding.get("roleRef")
    ref: dict[str, Any] = found if isinstance(found, dict) else {}
    return ref.get("apiGroup") or _GROUP, ref.get("kind") or "", ref.get("name") or ""


def _subject(item: dict[str, Any]) -> tuple[str, str, str, str]:
    kind = item.get("kind") or ""
    group = item.get("apiGroup") or ("" if kind == "ServiceAccount" else _GROUP)
    return kind, group, item.get("name") or "", item.get("namespace") or ""


def _atoms(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A rule cut into rules of one verb, group, resource and resource name (or one URL) each."""
    names = _texts(rule.get("resourceNames"))
    for verb in _texts(rule.get("verbs")):
        for url in _texts(rule.get("nonResourceURLs")):
            yield {"verbs": [verb], "nonResourceURLs": [url]}
        for group in _texts(rule.get("apiGroups")):
            for resource in _texts(rule.get("resources")):
                atom = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                if not names:
                    yield atom
                for name in names:
                    yield {**atom, "resourceNames": [name]}


def _covered(atom: dict[str, Any], rules: list[dict[str, Any]]) -> bool:
    return any(_covers(rule, atom) for rule in rules)


def _covers(rule: dict[str, Any], atom: dict[str, Any]) -> bool:
    def allows(field: str) -> bool:
        given = rule.get(field) or ()
        return "*" in given or atom[field][0] in given

    if not allows("verbs"):
        return False
    if "nonResourceURLs" in atom:
        url = atom["nonResourceURLs"][0]
        return any(
            given == url or (given.endswith("*") and url.startswith(given[:-1]))
            for given in rule.get("nonResourceURLs") or ()
        )
    if not allows("apiGroups"):
        return False
    resource = atom["resources"][0]
    given = rule.get("resources") or ()
    subresource = f"*/{resource.partition('/')[2]}" if "/" in resource else "*"
    if not ("*" in given or resource in given or subresource in given):
        return False
    names = rule.get("resourceNames") or ()
    return not names or ("resourceNames" in atom and atom["resourceNames"][0] in names)


def _print_list(items: Any) -> str:
    return "[" + " ".join(_texts(items)) + "]"


def _print_rule(rule: dict[str, Any]) -> str:
    fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    names = ("Verbs", "APIGroups", "Resources", "ResourceNames", "NonResourceURLs")
    parts = (f"{name}:{_print_list(rule.get(field))}" for field, name in zip(fields, names, strict=True))
    return "{" + " ".join(parts) + "}"


def _print_subject(item: dict[str, Any]) -> str:
    fields = (("Kind", "kind"), ("APIGroup", "apiGroup"), ("Name", "name"), ("Namespace", "namespace"))
    return "{" + " ".join(f"{name}:{item.get(field) or ''}" for name, field in fields) + "}"
