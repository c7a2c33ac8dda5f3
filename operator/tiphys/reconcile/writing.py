"""Writing to our own Applications: one merge patch a reconcile, and its answer taken in at once.

A patch holds only what differs, so edits that others make meanwhile survive, and so do fields that
we do not know (in lists with the help of ``unknown``). It names the uid, so it never reaches another
Application of the same name. ``guard`` adds the resourceVersion that the decision was based on; the
API server then refuses the patch (:class:`Stale`) if anything was written in between.

The answer may hold edits of others whose watch events, being older than the answer, tell nobody
anything any more: ``on_written`` is where they are noticed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError, Conflict, Invalid, NotFound
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unknown import with_unknown
from tiphys.resources.application import Application
from tiphys.resources.identity import GVK, AppKey

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")
MERGE_PATCH = "application/merge-patch+json"


class Stale(Exception):
    """The Application was changed since it was read; look again."""


class Vanished(Exception):
    """The Application is gone, or another one has its name."""


class TooLarge(Exception):
    """The status does not fit into the API server's size limit.

    Attributes:
        why: the server's words.
    """

    def __init__(self, key: AppKey, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.why = why


class ApplicationWriter:
    """Patches Applications and keeps the store in step.

    ``on_written`` is told of each patch: what was held before, what was written, and the answer.
    """

    def __init__(self, client: ClusterClient, store: Store[Application]):
        self.client = client
        self._store = store
        self.on_written: Callable[[Application, Mapping[str, Any], Application], None] = (
            lambda before, body, after: None
        )

    async def patch(self, app: Application, body: dict[str, Any], *, guard: bool = False) -> Application:
        """Merge ``body`` into ``app`` and give back the Application as it is then.

        Raises:
            Stale: ``guard`` was set and somebody else wrote first.
            Vanished: this Application does not exist any more.
            TooLarge: the object would exceed the API server's or etcd's limit.
            ApiError, ClusterUnreachable: anything else.
        """
        if not body:
            return app
        metadata = {**(body.get("metadata") or {}), "uid": app.metadata.uid}
        if guard:
            metadata["resourceVersion"] = app.metadata.resource_version
        key = app.key
        whole = with_unknown(app, {**body, "metadata": metadata}, self._store.kept(key))
        try:
            answer = await self.client.patch(APPLICATION, key.namespace, key.name, whole, MERGE_PATCH)
        except NotFound as error:
            self._store.delete(key, app.metadata.uid)
            raise Vanished(str(key)) from error
        except Conflict as error:
            await self.reread(app)
            raise Stale(str(key)) from error
        except Invalid as error:
            if _is_of_uid(error):
                await self.reread(app)
                raise Vanished(str(key)) from error
            raise
        except ApiError as error:
            if error.status == 413 or "too large" in error.message.lower():
                raise TooLarge(key, error.message) from error
            raise
        before = self._store.get(key)
        self._store.put(answer)
        after = self._store.get(key)
        if after is None or after.metadata.uid != app.metadata.uid:
            raise Vanished(str(key))
        # Events between the state that the patch was made for and the one held were judged already.
        known = before is not None and before.metadata.uid == app.metadata.uid
        self.on_written(before if known and before is not None else app, body, after)
        return after

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


def _is_of_uid(error: Invalid) -> bool:
    causes = error.details.get("causes") or ()
    return any(cause.get("field") == "metadata.uid" for cause in causes)
