"""Kinds that objects of a cluster promise: a definition its own, an APIService those of another server.

They come and go with these objects, without a new discovery (health-and-resources.md 6.3).
"""

from typing import Any

from tiphys.live.depth import API_SERVICE, CRD
from tiphys.resources.identity import GVK, GroupKind


def promises(of: GroupKind, whole: dict[str, Any]) -> tuple[tuple[GVK, ...], bool]:
    """What a CRD or the APIService of another server serves (of the latter no kind is known), and
    whether it is established, or available."""
    if of == API_SERVICE:
        return _promised_by_service(whole)
    if of != CRD:
        return (), False
    return _promised_by_definition(whole)


def _promised_by_service(service: dict[str, Any]) -> tuple[tuple[GVK, ...], bool]:
    spec = service.get("spec") or {}
    if not spec.get("service"):
        return (), False  # served by the API server itself
    return (GVK(spec.get("group") or "", spec.get("version") or "", ""),), _holds(service, "Available")


def _promised_by_definition(crd: dict[str, Any]) -> tuple[tuple[GVK, ...], bool]:
    spec = crd.get("spec") or {}
    group, kind = spec.get("group") or "", (spec.get("names") or {}).get("kind") or ""
    serves = tuple(
        GVK(group, str(version.get("name")), kind)
        for version in spec.get("versions") or ()
        if version.get("served")
    )
    return serves, _holds(crd, "Established")


def _holds(whole: dict[str, Any], condition: str) -> bool:
    conditions = (whole.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == condition and each.get("status") == "True" for each in conditions)
