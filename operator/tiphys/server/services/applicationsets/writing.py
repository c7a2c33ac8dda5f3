"""Storing ApplicationSets, at the version that was read, without losing what our types do not know."""

import msgspec

from tiphys.kube.errors import Conflict
from tiphys.resources.applicationset import KIND, ApplicationSet, decode
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.resources.shape import to_json
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.services.overlaying import overlaid
from tiphys.server.state import State

APPLICATION_SET = GVK("argoproj.io", "v1alpha1", KIND)
PLURAL = "applicationsets"
MANAGER = "argocd-server"
TRIES = 10


class AppSets:
    """See the module."""

    def __init__(self, state: State):
        self._state = state

    async def read(self, key: AppKey) -> Manifest:
        """A set as the API server has it now.

        Raises:
            NotFound: there is none.
        """
        manifest = await self._state.client.get(APPLICATION_SET, key.namespace, key.name)
        self._state.take(PLURAL, manifest)
        return manifest

    async def create(self, appset: ApplicationSet, namespace: str) -> ApplicationSet:
        """Store a new set.

        Raises:
            AlreadyExists, Invalid: by the API server.
        """
        body: Manifest = to_json(appset)
        body |= {"apiVersion": APPLICATION_SET.api_version, "kind": KIND}
        body["metadata"] = {**body["metadata"], "namespace": namespace}
        body.pop("status", None)  # the controller's
        return self._taken(await self._state.client.create(body, field_manager=MANAGER))

    async def merge(self, manifest: Manifest, wanted: ApplicationSet) -> ApplicationSet:
        """Another spec and finalizers for a stored set, and labels and annotations besides its own.

        Raises:
            NotFound: it is gone. ApiFailure: others wrote in between each of ten times.
        """
        for _ in range(TRIES):
            stored = decode(manifest)
            metadata = msgspec.structs.replace(
                stored.metadata,
                labels={**stored.metadata.labels, **wanted.metadata.labels},
                annotations={**stored.metadata.annotations, **wanted.metadata.annotations},
                finalizers=wanted.metadata.finalizers,
            )
            changed = msgspec.structs.replace(stored, metadata=metadata, spec=wanted.spec)
            body = overlaid(manifest, to_json(stored), to_json(changed))
            try:
                return self._taken(await self._state.client.replace(body, field_manager=MANAGER))
            except Conflict:
                manifest = await self.read(stored.key)
        raise ApiFailure(Code.INTERNAL, "Failed to update ApplicationSets. Too many conflicts")

    async def delete(self, appset: ApplicationSet) -> None:
        """Delete a set; what it made goes by garbage collection or stays, as its policy says.

        Raises:
            NotFound: it is gone already.
        """
        key, uid = appset.key, appset.metadata.uid
        answer = await self._state.client.delete(
            APPLICATION_SET, key.namespace, key.name, propagation_policy="", uid=uid or None
        )
        if answer.get("kind") == KIND and (answer.get("metadata") or {}).get("finalizers"):
            self._taken(answer)
        else:
            self._state.forget(PLURAL, key, uid)

    def _taken(self, manifest: Manifest) -> ApplicationSet:
        self._state.take(PLURAL, manifest)
        return decode(manifest)
