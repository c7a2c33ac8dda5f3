"""What the first start makes: the signing key and the admin's password (operations.md 1.3).

Several replicas may start at once, and any of them may be killed between any two requests. So every
write is bound to the version that was read, and the plain password is stored before its hash, marked
as pending: whoever finds no hash but a pending password takes that one up. Two replicas end with one
password; a kill leaves no hash whose password nobody knows. Without the mark a password of an earlier
reset would come back when somebody removes the hash to get a new one.
"""

import base64
import secrets
from collections.abc import Callable
from datetime import datetime

from tiphys.access.accounts import ADMIN, ATTEMPTS, SECRET, as_secret, encoded, read_accounts
from tiphys.access.errors import StateConflict
from tiphys.access.passwords import Passwords, new_password
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import AlreadyExists, Conflict, NotFound
from tiphys.resources.identity import Manifest, annotations_of
from tiphys.resources.times import to_timestamp
from tiphys.settings.reading import data_of
from tiphys.settings.store import MAIN_SECRET, PART_OF, SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

INITIAL = "argocd-initial-admin-secret"
PENDING = "tiphys.io/awaits-its-hash"


async def prepare(
    settings: SettingsStore,
    client: ClusterClient,
    namespace: str,
    passwords: Passwords,
    clock: Callable[[], datetime],
) -> None:
    """Make what is missing; call it after the settings were read.

    Raises:
        KubeError: Kubernetes refuses or is away.
    """
    for _ in range(ATTEMPTS):
        try:
            secret = await _main_secret(client, namespace)
            data = data_of(secret)
            values: dict[str, str] = {}
            if not data.get("server.secretkey"):
                values["server.secretkey"] = base64.b64encode(secrets.token_bytes(32)).decode()
            admin = read_accounts(settings.snapshot.raw, data)[ADMIN]
            if admin.is_enabled and not admin.password_hash:
                password = await _pending_password(client, namespace)
                values["admin.password"] = await passwords.hash(password)
                values["admin.passwordMtime"] = to_timestamp(clock())
            if values:
                patch = {
                    "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
                    "data": {key: encoded(value) for key, value in values.items()},
                }
                secret = await client.patch(SECRET, namespace, MAIN_SECRET, patch, MERGE_PATCH)
                log.info("made what was missing in Secret %s: %s", MAIN_SECRET, ", ".join(sorted(values)))
            settings.put(as_secret(secret))
            await _settle(client, namespace)
            return
        except (Conflict, AlreadyExists):
            continue  # another replica was faster: look again
    raise StateConflict(f"Secret {MAIN_SECRET}")


async def _main_secret(client: ClusterClient, namespace: str) -> Manifest:
    try:
        return as_secret(await client.get(SECRET, namespace, MAIN_SECRET))
    except NotFound:
        return as_secret(await client.create(_empty(namespace, MAIN_SECRET)))


async def _pending_password(client: ClusterClient, namespace: str) -> str:
    """The password whose hash is to be stored: the pending one, else a new one (then pending)."""
    try:
        held = as_secret(await client.get(SECRET, namespace, INITIAL))
    except NotFound:
        held = None
    if held is not None and PENDING in annotations_of(held) and (found := data_of(held).get("password")):
        return found
    password = new_password()
    data = {"password": encoded(password)}
    if held is None:
        secret = _empty(namespace, INITIAL, labelled=False)
        secret["metadata"]["annotations"] = {PENDING: "true"}
        await client.create({**secret, "data": data})
    else:
        metadata = {
            "resourceVersion": held["metadata"]["resourceVersion"],
            "annotations": {PENDING: "true"},
        }
        await client.patch(SECRET, namespace, INITIAL, {"metadata": metadata, "data": data}, MERGE_PATCH)
    log.info("the password of admin is in Secret %s", INITIAL)
    return password


async def _settle(client: ClusterClient, namespace: str) -> None:
    """Take the mark off: the hash is stored."""
    try:
        held = await client.get(SECRET, namespace, INITIAL)
        if PENDING in annotations_of(held):
            metadata = {"annotations": {PENDING: None}}
            await client.patch(SECRET, namespace, INITIAL, {"metadata": metadata}, MERGE_PATCH)
    except NotFound:
        return


def _empty(namespace: str, name: str, *, labelled: bool = True) -> Manifest:
    metadata: Manifest = {"name": name, "namespace": namespace}
    if labelled:
        metadata["labels"] = {PART_OF: "argocd", "app.kubernetes.io/name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}
