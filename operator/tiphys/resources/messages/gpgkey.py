"""Messages of the API package ``gpgkey``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.messages.stored_repositories import GnuPGPublicKey, GnuPGPublicKeyList
from tiphys.resources.shape import ApiObject


class GnuPGPublicKeyCreateRequest(ApiObject, frozen=True):
    """Request of ``GPGKeyService.Create``."""

    publickey: GnuPGPublicKey | None = None
    upsert: bool = False


class GnuPGPublicKeyCreateResponse(ApiObject, frozen=True):
    """Answer of ``GPGKeyService.Create``."""

    created: GnuPGPublicKeyList | None = None
    skipped: tuple[str, ...] = ()


class GnuPGPublicKeyQuery(ApiObject, frozen=True):
    """Request of ``GPGKeyService.List``, ``GPGKeyService.Get``, ``GPGKeyService.Delete``."""

    key_id: str = ""


class GnuPGPublicKeyResponse(ApiObject, frozen=True):
    """Answer of ``GPGKeyService.Delete``."""
