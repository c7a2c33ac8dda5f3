"""Writing to our own Applications: one merge patch a reconcile, and its answer taken in at once.

A patch holds only what differs, so fields that we do not know and edits that others make meanwhile
survive. ``guard`` adds the resourceVersion that the decision was based on; the API server then
refuses the patch (:class:`Stale`) if anything was written in between.
"""

from typing import Any

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError, Conflict, NotFound
from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application
from tiphys.resources.identity import GVK

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")
MERGE_PATCH = "application/merge-patch+json"


class Stale(Exception):
    """The Application was changed since it was read; look again."""


class Vanished(Exception):
    """The Application is gone."""


class TooLarge(Exception):
    """The status does not fit into the API server's size limit."""


class ApplicationWriter:
    """Patches Applications and keeps the store in step."""

    def __init__(self, client: ClusterClient, store: Store[Application]):
        self.client = client
        self._store = store

    async def patch(self, app: Application, body: dict[str, Any], *, guard: bool = False) -> Application:
        """Merge ``body`` into ``app`` and give back the Application as it is then.

        Raises:
            Stale: ``guard`` was set and somebody else wrote first.
            Vanished: the Application does not exist any more.
            TooLarge: the object would exceed the API server's or etcd's limit.
            ApiError, ClusterUnreachable: anything else.
        """
        if not body:
            return app
        if guard:
            metadata = dict(body.get("metadata") or {})
            metadata["resourceVersion"] = app.metadata.resource_version
            body = {**body, "metadata": metadata}
        key = app.key
        try:
            answer = await self.client.patch(APPLICATION, key.namespace, key.name, body, MERGE_PATCH)
        except NotFound as error:
            self._store.delete(key, app.metadata.uid)
            raise Vanished(str(key)) from error
        except Conflict as error:
            await self.reread(app)
            raise Stale(str(key)) from error
        except ApiError as error:
            if error.status == 413 or "too large" in error.message.lower():
                raise TooLarge(str(key)) from error
            raise
        self._store.put(answer)
        return self._store.get(key) or app

    async def reread(self, app: Application) -> Application | None:
        """The Application as the API server has it now (also taken into the store)."""
        key = app.key
        try:
            manifest = await self.client.get(APPLICATION, key.namespace, key.name)
        except NotFound:
            self._store.delete(key, app.metadata.uid)
            return None
        self._store.put(manifest)
        return self._store.get(key)
