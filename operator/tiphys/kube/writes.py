"""The writing verbs: create, replace, patch, apply, delete.

Each says of itself whether it may be sent again after it may have reached the server: what says how
an object shall be may, what says what to do with it may not.
"""

from typing import Any

import orjson

from tiphys.kube.calls import Calls, decoded
from tiphys.kube.transport import Purpose, Response
from tiphys.resources.identity import GVK, Manifest, gvk_of, key_of

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Writes(Calls):
    """Writes objects of a cluster."""

    async def create(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """POST. Never repeated after it may have reached the server.

        ``warnings`` collects the texts of the answer's Warning headers (all writing verbs).

        Raises:
            AlreadyExists, Invalid, …
        """
        resource = await self.resource_of(gvk_of(manifest))
        namespace = key_of(manifest).namespace
        path = self._path(resource, namespace, None)
        params = _write_params(dry_run, field_manager, field_validation)
        purpose = Purpose("create", resource.label, dry_run, repeatable=dry_run, namespace=namespace)
        answer = await self._send("POST", path, purpose, params=params, body=orjson.dumps(manifest))
        return _taken(answer, warnings)

    async def replace(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
        subresource: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """PUT. Repeated safely only without a resourceVersion in ``manifest``."""
        resource = await self.resource_of(gvk_of(manifest))
        key = key_of(manifest)
        versioned = bool((manifest.get("metadata") or {}).get("resourceVersion"))
        purpose = Purpose(
            "update",
            resource.label,
            dry_run,
            repeatable=dry_run or not versioned,
            namespace=key.namespace,
        )
        answer = await self._send(
            "PUT",
            self._path(resource, key.namespace, key.name, subresource),
            purpose,
            params=_write_params(dry_run, field_manager, field_validation),
            body=orjson.dumps(manifest),
        )
        return _taken(answer, warnings)

    async def patch(
        self,
        gvk: GVK,
        namespace: str,
        name: str,
        body: bytes | Any,
        content_type: str,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        force: bool = False,
        field_validation: str = "",
        subresource: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """PATCH with one of the content types of this module; ``force`` is for server-side apply."""
        resource = await self.resource_of(gvk)
        params = _write_params(dry_run, field_manager, field_validation)
        is_apply = content_type == APPLY_PATCH
        if is_apply and force:
            params["force"] = "true"
        purpose = Purpose(
            "apply" if is_apply else "patch",
            resource.label,
            dry_run,
            # Merge patches and applies say what shall be; a JSON patch says what to do.
            repeatable=dry_run or content_type != JSON_PATCH,
            namespace=namespace,
        )
        answer = await self._send(
            "PATCH",
            self._path(resource, namespace, name, subresource),
            purpose,
            params=params,
            body=body if isinstance(body, bytes) else orjson.dumps(body),
            headers={"Content-Type": content_type},
        )
        return _taken(answer, warnings)

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
        field_validation: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest:
        """Server-side apply.

        Raises:
            Conflict: without ``force``, another manager owns a field (``details["causes"]``).
        """
        key = key_of(manifest)
        return await self.patch(
            gvk_of(manifest),
            key.namespace,
            key.name,
            orjson.dumps(manifest),
            APPLY_PATCH,
            dry_run=dry_run,
            field_manager=field_manager,
            force=force,
            field_validation=field_validation,
            warnings=warnings,
        )

    async def delete(
        self,
        gvk: GVK,
        namespace: str,
        name: str,
        *,
        propagation_policy: str = "Foreground",
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> Manifest:
        """DELETE; the answer is the object on its way out, or a Status.

        ``uid`` guards against deleting a namesake, ``resource_version`` one that changed.

        Raises:
            NotFound: it is gone already. Conflict: ``uid`` or ``resource_version`` is another.
        """
        resource = await self.resource_of(gvk)
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if propagation_policy:
            options["propagationPolicy"] = propagation_policy
        guards = {"uid": uid, "resourceVersion": resource_version}
        if any(guards.values()):
            options["preconditions"] = {name: value for name, value in guards.items() if value}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if dry_run:
            options["dryRun"] = ["All"]
        repeatable = dry_run or uid is not None
        purpose = Purpose("delete", resource.label, dry_run, repeatable=repeatable, namespace=namespace)
        answer = await self._send(
            "DELETE", self._path(resource, namespace, name), purpose, body=orjson.dumps(options)
        )
        return decoded(answer)


def _write_params(dry_run: bool, field_manager: str, field_validation: str) -> dict[str, str]:
    params = {}
    if dry_run:
        params["dryRun"] = "All"
    if field_manager:
        params["fieldManager"] = field_manager
    if field_validation:
        params["fieldValidation"] = field_validation
    return params


def _taken(answer: Response, warnings: list[str] | None) -> Manifest:
    if warnings is not None:
        warnings.extend(answer.warnings)
    return decoded(answer)
