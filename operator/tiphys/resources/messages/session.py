"""Messages of the API package ``session``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.shape import ApiObject


class GetUserInfoRequest(ApiObject, frozen=True):
    """Request of ``SessionService.GetUserInfo``."""


class GetUserInfoResponse(ApiObject, frozen=True):
    """Answer of ``SessionService.GetUserInfo``."""

    logged_in: bool = False
    username: str = ""
    iss: str = ""
    groups: tuple[str, ...] = ()


class SessionCreateRequest(ApiObject, frozen=True):
    """Request of ``SessionService.Create``."""

    username: str = ""
    password: str = ""
    token: str = ""


class SessionDeleteRequest(ApiObject, frozen=True):
    """Request of ``SessionService.Delete``."""


class SessionResponse(ApiObject, frozen=True):
    """Answer of ``SessionService.Create``, ``SessionService.Delete``."""

    token: str = ""
