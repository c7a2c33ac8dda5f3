"""Messages of the API package ``session``."""

from tiphys.resources.shape import ApiObject


class GetUserInfoRequest(ApiObject, frozen=True):
    """Asks who the caller is."""


class GetUserInfoResponse(ApiObject, frozen=True):
    """Who the caller is."""

    logged_in: bool = False
    username: str = ""
    iss: str = ""
    """Who issued the token: ``argocd`` for local accounts, else the provider's URL."""
    groups: tuple[str, ...] = ()


class SessionCreateRequest(ApiObject, frozen=True):
    """A login by password."""

    username: str = ""
    password: str = ""
    token: str = ""
    """Refused."""


class SessionDeleteRequest(ApiObject, frozen=True):
    """Asks to log out."""


class SessionResponse(ApiObject, frozen=True):
    """The session's token; empty after a logout."""

    token: str = ""
