"""A new token for the service account that we are in a cluster (api.md 9 "Cluster", RotateAuth).

The order is such that a failure at any step leaves a token that works: a new token Secret is made and
filled by the cluster's controllers, the caller tries and stores the token, and only then is the old one
retired. Tokens that the cluster hands out for a time (no Secret of theirs) are replaced alike.
"""

import asyncio
import base64
from typing import Any

import jwt
import msgspec

from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.resources.identity import GVK
from tiphys.server.api.failures import unknown

SECRET = GVK("", "v1", "Secret")
SERVICE_ACCOUNT = GVK("", "v1", "ServiceAccount")
SECONDS = 30.0
POLL = 0.1

_PREFIX = "kubernetes.io/serviceaccount/"


class Account(msgspec.Struct, frozen=True):
    """A service account, and the Secret of the token in use (``""``: it has none)."""

    namespace: str
    name: str
    secret: str = ""


class NewToken(msgspec.Struct, frozen=True):
    """A token Secret and its token."""

    secret: str
    token: str

    def __repr__(self) -> str:
        return f"NewToken({self.secret!r}, …)"


def account_of(token: str) -> Account | None:
    """Whose token it is; None: no service account's. The signature is the cluster's business."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    bound = claims.get("kubernetes.io")
    if isinstance(bound, dict):
        owner = bound.get("serviceaccount")
        namespace, name = bound.get("namespace"), owner.get("name") if isinstance(owner, dict) else None
        secret: Any = ""
    else:
        keys = ("namespace", "service-account.name", "secret.name")
        namespace, name, secret = (claims.get(_PREFIX + key, "") for key in keys)
    if not (isinstance(namespace, str) and isinstance(name, str) and isinstance(secret, str)):
        return None
    return Account(namespace, name, secret) if namespace and name else None


async def new_token(client: ClusterClient, account: Account) -> NewToken:
    """Make a token Secret and wait for its token.

    Raises:
        ApiFailure: the cluster fills in no token. ApiError, ClusterUnreachable: it may not be made.
    """
    made = await client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "generateName": f"{account.name}-token-",
                "namespace": account.namespace,
                "annotations": {"kubernetes.io/service-account.name": account.name},
            },
        }
    )
    name = made["metadata"]["name"]
    try:
        async with asyncio.timeout(SECONDS):
            while not (token := (made.get("data") or {}).get("token")):
                await asyncio.sleep(POLL)  # a watch would need a right more
                made = await client.get(SECRET, account.namespace, name)
    except TimeoutError:
        await discard(client, account, name)
        raise unknown(
            f"no token was made for service account {account.namespace}/{account.name} within {SECONDS:.0f} s"
        ) from None
    return NewToken(name, base64.b64decode(token).decode())


async def retire(client: ClusterClient, account: Account, replacement: str) -> None:
    """Take the old token's Secret off the service account, then delete it: the token is worth nothing
    from then on."""
    held = await client.get(SERVICE_ACCOUNT, account.namespace, account.name)
    references = [each for each in held.get("secrets") or () if each.get("name") != account.secret]
    if all(each.get("name") != replacement for each in references):
        references.append({"name": replacement})
    await client.patch(SERVICE_ACCOUNT, account.namespace, account.name, {"secrets": references}, MERGE_PATCH)
    if account.secret:
        await discard(client, account, account.secret)


async def discard(client: ClusterClient, account: Account, secret: str) -> None:
    """Delete a token Secret; one that is gone is well gone."""
    try:
        await client.delete(SECRET, account.namespace, secret, propagation_policy="")
    except NotFound:
        pass
