"""Writing repository and credential Secrets; the writer reads its own write at once.

Merge patches of the changed keys only, so that keys of somebody else's survive; each answer goes
straight into the settings. Errors name the Secret and never a value.
"""

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import AlreadyExists, NotFound
from tiphys.kube.writes import MERGE_PATCH
from tiphys.resources.identity import GVK, Manifest, ResourceKey, annotations_of, labels_of
from tiphys.server.api.failures import invalid_argument
from tiphys.server.services.repositories.stored import (
    MANAGED_BY,
    MANAGER,
    Form,
    Message,
    data_of_message,
    encoded,
    new_secret,
)
from tiphys.settings.store import SECRET_TYPE, SettingsStore

SECRET = GVK("", "v1", "Secret")


class SecretTaken(Exception):
    """A Secret of this kind has the name already: the thing exists."""


class Secrets:
    """Secrets of one kind."""

    def __init__(self, form: Form, client: ClusterClient, settings: SettingsStore, namespace: str):
        self._form = form
        self._client = client
        self._settings = settings
        self._namespace = namespace

    async def create(self, message: Message) -> None:
        """Raises:
        SecretTaken: it exists (and is in the settings now).
        ApiFailure: InvalidArgument when another Secret has the name.
        ApiError: Kubernetes refused it.
        """
        wanted = new_secret(self._form, message, self._namespace)
        try:
            self._settings.put(await self._client.create(wanted))
        except AlreadyExists:
            name = wanted["metadata"]["name"]
            held = await self._client.get(SECRET, self._namespace, name)
            if labels_of(held).get(SECRET_TYPE) != self._form.label:
                raise invalid_argument(
                    f'secret "{name}" doesn\'t have the proper "{SECRET_TYPE}" label: '
                    "please fix the secret or delete it"
                ) from None
            self._settings.put(held)
            raise SecretTaken(name) from None

    async def update(self, name: str, message: Message) -> bool:
        """Write the keys that are there already or have a value now (``sources.md`` 18.1); whether
        the Secret was still there."""
        held = await self._held(name)
        if held is None:
            return False
        before = held.get("data") or {}
        data = encoded(data_of_message(self._form, message, present=before))
        changes = {key: value for key, value in data.items() if before.get(key) != value}
        if not changes:
            self._settings.put(held)
            return True
        try:
            answer = await self._client.patch(SECRET, self._namespace, name, {"data": changes}, MERGE_PATCH)
        except NotFound:
            return self._gone(name)
        self._settings.put(answer)
        return True

    async def delete(self, name: str) -> bool:
        """Delete what the API made; take the label from what somebody else made (``sources.md``
        18.1). Whether the Secret was still there."""
        held = await self._held(name)
        if held is None:
            return False
        try:
            if annotations_of(held).get(MANAGED_BY) == MANAGER:
                # in the background: in the foreground the Secret would still have its name for a
                # moment, and whoever makes the repository again would meet it
                await self._client.delete(
                    SECRET,
                    self._namespace,
                    name,
                    propagation_policy="Background",
                    uid=held["metadata"]["uid"],
                )
                self._gone(name)
                return True
            patch = {"metadata": {"labels": {SECRET_TYPE: None}}}
            answer = await self._client.patch(SECRET, self._namespace, name, patch, MERGE_PATCH)
        except NotFound:
            return self._gone(name)
        self._settings.put(answer)
        return True

    async def _held(self, name: str) -> Manifest | None:
        """The Secret as it is now, unless it is gone or another kind's by now."""
        try:
            held = await self._client.get(SECRET, self._namespace, name)
        except NotFound:
            self._gone(name)
            return None
        if labels_of(held).get(SECRET_TYPE) != self._form.label:
            self._settings.put(held)
            return None
        return held

    def _gone(self, name: str) -> bool:
        self._settings.delete(ResourceKey("", "Secret", self._namespace, name))
        return False
