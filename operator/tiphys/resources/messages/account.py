"""Messages of the API package ``account``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.shape import ApiObject


class Token(ApiObject, frozen=True):
    """Part of ``Account``, ``TokensList``."""

    id: str = ""
    issued_at: int = 0
    expires_at: int = 0


class Account(ApiObject, frozen=True):
    """Answer of ``AccountService.GetAccount``."""

    name: str = ""
    enabled: bool = False
    capabilities: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()


class AccountsList(ApiObject, frozen=True):
    """Answer of ``AccountService.ListAccounts``."""

    items: tuple[Account, ...] = ()


class CanIRequest(ApiObject, frozen=True):
    """Request of ``AccountService.CanI``."""

    resource: str = ""
    action: str = ""
    subresource: str = ""


class CanIResponse(ApiObject, frozen=True):
    """Answer of ``AccountService.CanI``."""

    value: str = ""


class CreateTokenRequest(ApiObject, frozen=True):
    """Request of ``AccountService.CreateToken``."""

    name: str = ""
    expires_in: int = 0
    id: str = ""


class CreateTokenResponse(ApiObject, frozen=True):
    """Answer of ``AccountService.CreateToken``."""

    token: str = ""


class DeleteTokenRequest(ApiObject, frozen=True):
    """Request of ``AccountService.DeleteToken``."""

    name: str = ""
    id: str = ""


class EmptyResponse(ApiObject, frozen=True):
    """Answer of ``AccountService.DeleteToken``."""


class GetAccountRequest(ApiObject, frozen=True):
    """Request of ``AccountService.GetAccount``."""

    name: str = ""


class ListAccountRequest(ApiObject, frozen=True):
    """Request of ``AccountService.ListAccounts``."""


class TokensList(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    items: tuple[Token, ...] = ()


class UpdatePasswordRequest(ApiObject, frozen=True):
    """Request of ``AccountService.UpdatePassword``."""

    new_password: str = ""
    current_password: str = ""
    name: str = ""


class UpdatePasswordResponse(ApiObject, frozen=True):
    """Answer of ``AccountService.UpdatePassword``."""
