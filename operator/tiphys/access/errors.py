"""How access fails, as types; the layer above gives them codes (api.md 4, 11)."""


class AccessError(Exception):
    """A refusal in the reference's words; never with a secret."""


class InvalidToken(AccessError):
    """A token that was not accepted; the text is the reason (``invalid session: <reason>``).

    Attributes:
        expired_sso: an SSO token that is only too old: the caller is told where to go.
        lacks_groups: the token is good, but the groups of its owner could not be asked for.
    """

    def __init__(self, reason: str, *, expired_sso: bool = False, lacks_groups: bool = False):
        super().__init__(reason)
        self.expired_sso = expired_sso
        self.lacks_groups = lacks_groups


class LoginRefused(AccessError):
    """A login that failed."""


class UsernameTooLong(AccessError):
    """A user name that no account can have."""

    def __init__(self, limit: int):
        super().__init__(f"Username is too long ({limit} bytes max)")


class AccountNotFound(AccessError):
    """No such account."""

    def __init__(self, name: str):
        super().__init__(f"account '{name}' does not exist")
        self.name = name


class TokenNotFound(AccessError):
    """The account has no such token."""

    def __init__(self, token_id: str):
        super().__init__(f"token with id '{token_id}' does not exist")
        self.token_id = token_id


class AccountError(AccessError):
    """A change of an account that is not possible."""


class StateConflict(AccessError):
    """Somebody else wrote at the same moment, again and again."""

    def __init__(self, what: str):
        super().__init__(f"could not write {what}: too many concurrent changes")
