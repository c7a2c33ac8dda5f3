"""``GPGKeyService``: the public keys that signatures of commits may be made with (api.md 9).

They stand in ``argocd-gpg-keys-cm``: key id → armored text of exactly one key. What is in a text is
for the real ``gpg`` to say; answers are remembered by the text, which never changes its meaning. An
entry that cannot be read is left out of the list and told in the log; the others are shown.
"""

from collections import OrderedDict

from tiphys.kube.errors import AlreadyExists, NotFound
from tiphys.kube.writes import MERGE_PATCH
from tiphys.resources.identity import GVK
from tiphys.resources.messages.gpgkey import (
    GnuPGPublicKeyCreateRequest,
    GnuPGPublicKeyCreateResponse,
    GnuPGPublicKeyQuery,
    GnuPGPublicKeyResponse,
)
from tiphys.resources.messages.stored_repositories import GnuPGPublicKey, GnuPGPublicKeyList
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.state import State
from tiphys.settings.store import GPG_KEYS, PART_OF
from tiphys.sources.errors import SourceError
from tiphys.sources.gpg.keys import PublicKey, describe_keys, key_id_of, separate_keys
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_PATH = "/api/v1/gpgkeys"
_CONFIG_MAP = GVK("", "v1", "ConfigMap")
_REMEMBERED = 1024


class GPGKeyService:
    """See the module."""

    package, service = "gpgkey", "GPGKeyService"

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._guard = guard
        self._described: OrderedDict[str, PublicKey] = OrderedDict()

    @rpc("List", Route("GET", _PATH))
    async def list_keys(self, call: Call, request: GnuPGPublicKeyQuery) -> GnuPGPublicKeyList:
        """All keys by id, without their texts."""
        self._guard.enforce(call, "gpgkeys", "get", "")
        items: list[GnuPGPublicKey] = []
        for name, text in sorted(self._state.settings.gpg_keys.items()):
            try:
                items.append(_message(await self._describe(name, text)))
            except SourceError as error:
                log.warning("entry of %s ignored: %s", GPG_KEYS, error, extra={"key": name})
        return GnuPGPublicKeyList(items=tuple(items))

    @rpc("Get", Route("GET", f"{_PATH}/{{keyID}}"))
    async def get(self, call: Call, request: GnuPGPublicKeyQuery) -> GnuPGPublicKey:
        """One key with its text, by id or fingerprint.

        Raises:
            ApiFailure: Unknown ``no such key: …``.
        """
        self._guard.enforce(call, "gpgkeys", "get", "")
        key_id = _checked(request.key_id)
        for name, text in self._state.settings.gpg_keys.items():
            if key_id_of(name) == key_id:
                return _message(await self._describe(name, text), text)
        raise unknown(f"no such key: {key_id}")

    @rpc("Create", Route("POST", _PATH, "publickey"), quiet=True)
    async def create(self, call: Call, request: GnuPGPublicKeyCreateRequest) -> GnuPGPublicKeyCreateResponse:
        """Add the keys of a text; those that are there already are skipped.

        Raises:
            ApiFailure: Unknown for an empty text.
            SourceError: the text holds no public key.
        """
        self._guard.enforce(call, "gpgkeys", "create", "")
        text = request.publickey.key_data if request.publickey is not None else ""
        if not text.strip():
            raise unknown("submitted key data is empty")
        found = await separate_keys(text)
        known = {key_id_of(name) for name in self._state.settings.gpg_keys}
        new = [key for key in found if key.key_id not in known]
        if new:
            await self._write({key.key_id: key.armored for key in new})
        return GnuPGPublicKeyCreateResponse(
            created=GnuPGPublicKeyList(items=tuple(_message(key, key.armored) for key in new)),
            skipped=tuple(key.key_id for key in found if key.key_id in known),
        )

    @rpc("Delete", Route("DELETE", _PATH))
    async def delete(self, call: Call, request: GnuPGPublicKeyQuery) -> GnuPGPublicKeyResponse:
        """Remove a key by id or fingerprint.

        Raises:
            ApiFailure: Unknown ``no such key configured: …``.
        """
        self._guard.enforce(call, "gpgkeys", "delete", "")
        key_id = _checked(request.key_id)
        names = [name for name in self._state.settings.gpg_keys if key_id_of(name) == key_id]
        if not names:
            raise unknown(f"no such key configured: {key_id}")
        await self._write(dict.fromkeys(names))
        return GnuPGPublicKeyResponse()

    async def _describe(self, name: str, text: str) -> PublicKey:
        """The one key of an entry. Raises SourceError."""
        place = f"{name}\n{text}"
        found = self._described.get(place)
        if found is None:
            keys = await describe_keys(text)
            if len(keys) != 1:
                raise SourceError("Unknown", "more than one key found in input data")
            if keys[0].key_id != key_id_of(name):
                raise SourceError("Unknown", f"entry {name} holds the key {keys[0].key_id}")
            found = self._described[place] = keys[0]
            if len(self._described) > _REMEMBERED:
                self._described.popitem(last=False)
        self._described.move_to_end(place)
        return found

    async def _write(self, data: dict[str, str | None] | dict[str, str]) -> None:
        client, namespace = self._state.client, self._state.namespace
        patch = {"data": data}
        try:
            answer = await client.patch(_CONFIG_MAP, namespace, GPG_KEYS, patch, MERGE_PATCH)
        except NotFound:
            metadata = {"name": GPG_KEYS, "namespace": namespace, "labels": {PART_OF: "argocd"}}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            try:
                answer = await client.create(body)
            except AlreadyExists:  # made by somebody else a moment ago
                answer = await client.patch(_CONFIG_MAP, namespace, GPG_KEYS, patch, MERGE_PATCH)
        self._state.settings_store.put(answer)


def _checked(text: str) -> str:
    found = key_id_of(text)
    if not found:
        raise unknown("KeyID is malformed or empty")
    return found


def _message(key: PublicKey, text: str = "") -> GnuPGPublicKey:
    return GnuPGPublicKey(
        key_id=key.key_id,
        fingerprint=key.fingerprint,
        owner=key.owner,
        trust="unknown",
        sub_type=key.kind,
        key_data=text,
    )
