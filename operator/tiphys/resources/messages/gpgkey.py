"""Messages of the API package ``gpgkey``."""

from tiphys.resources.messages.stored_repositories import GnuPGPublicKey, GnuPGPublicKeyList
from tiphys.resources.shape import ApiObject


class GnuPGPublicKeyCreateRequest(ApiObject, frozen=True):
    """Keys to add."""

    publickey: GnuPGPublicKey | None = None
    """``keyData`` holds one or more armoured keys."""
    upsert: bool = False
    """Replace keys that are there."""


class GnuPGPublicKeyCreateResponse(ApiObject, frozen=True):
    """Which keys were added."""

    created: GnuPGPublicKeyList | None = None
    skipped: tuple[str, ...] = ()
    """IDs of keys that were there already."""


class GnuPGPublicKeyQuery(ApiObject, frozen=True):
    """Names a key."""

    key_id: str = ""
    """The last 16 digits of its fingerprint."""


class GnuPGPublicKeyResponse(ApiObject, frozen=True):
    """Nothing: the key is removed."""
