"""Messages of the API package ``account``."""

from tiphys.resources.shape import ApiObject


class Token(ApiObject, frozen=True):
    """An API token of an account, without its secret."""

    id: str = ""
    issued_at: int = 0
    """Seconds since 1970."""
    expires_at: int = 0
    """Seconds since 1970; 0 means never."""


class Account(ApiObject, frozen=True):
    """A local account."""

    name: str = ""
    enabled: bool = False
    capabilities: tuple[str, ...] = ()
    """``login`` (password) and ``apiKey`` (tokens)."""
    tokens: tuple[Token, ...] = ()


class AccountsList(ApiObject, frozen=True):
    """The accounts that the caller may see."""

    items: tuple[Account, ...] = ()


class CanIRequest(ApiObject, frozen=True):
    """Asks whether the caller may do ``action`` on an object."""

    resource: str = ""
    action: str = ""
    subresource: str = ""
    """Name of the object, as in policies; may hold slashes."""


class CanIResponse(ApiObject, frozen=True):
    """The answer, in words for scripts."""

    value: str = ""
    """``yes`` or ``no``."""


class CreateTokenRequest(ApiObject, frozen=True):
    """Asks for a new API token of an account."""

    name: str = ""
    """The account."""
    expires_in: int = 0
    """Seconds; 0 means that it never expires."""
    id: str = ""
    """Name of the token; a random one when empty."""


class CreateTokenResponse(ApiObject, frozen=True):
    """The new token; it is shown only here."""

    token: str = ""


class DeleteTokenRequest(ApiObject, frozen=True):
    """Names a token of an account to revoke."""

    name: str = ""
    """The account."""
    id: str = ""


class EmptyResponse(ApiObject, frozen=True):
    """Nothing: it is done."""


class GetAccountRequest(ApiObject, frozen=True):
    """Names an account."""

    name: str = ""


class ListAccountRequest(ApiObject, frozen=True):
    """Asks for all accounts."""


class TokensList(ApiObject, frozen=True):
    """Tokens of an account (of the reference's description; no method answers it)."""

    items: tuple[Token, ...] = ()


class UpdatePasswordRequest(ApiObject, frozen=True):
    """Changes a password."""

    new_password: str = ""
    current_password: str = ""
    """The password of the caller, who may change that of another account."""
    name: str = ""
    """The account; the caller's own when empty."""


class UpdatePasswordResponse(ApiObject, frozen=True):
    """Nothing: the password is changed."""
