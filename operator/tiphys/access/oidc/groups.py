"""Groups that no token holds: the provider's userinfo, and Azure's overage (api.md 12).

Both need the access token of a login. It comes with the browser (``sealing``); what was found is kept
in memory for as long as the settings say, and forgotten at the next login of that person.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.access.errors import InvalidToken
from tiphys.access.oidc.config import OidcConfig
from tiphys.access.oidc.provider import Provider, ProviderError
from tiphys.access.oidc.verifying import FAILED, allowed_algorithms, header_of, signed_claims
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_KEPT = 10_000


class Remembered:
    """Values by name until they expire, at most so many."""

    def __init__(self, monotonic: Callable[[], float], most: int = _KEPT):
        self._monotonic = monotonic
        self._most = most
        self._values: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def get(self, name: str) -> Any:
        """The value, or None."""
        found = self._values.get(name)
        if found is None or found[0] <= self._monotonic():
            return None
        return found[1]

    def put(self, name: str, value: Any, seconds: float) -> None:
        """Keep a value for so long."""
        if seconds <= 0:
            return
        self._values[name] = (self._monotonic() + seconds, value)
        self._values.move_to_end(name)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        self._values.pop(name, None)


class Groups:
    """Asks the provider for groups where the settings or the token want it."""

    def __init__(self, provider: Provider, monotonic: Callable[[], float]):
        self._provider = provider
        self._found = Remembered(monotonic)

    def forget(self, subject: str) -> None:
        """A new login: what was found before may have changed."""
        self._found.forget(subject)

    def are_elsewhere(self, claims: Mapping[str, Any]) -> bool:
        """Whether the groups of this token have to be asked for."""
        config = self._provider.sso.oidc
        return _from_userinfo(config) or _is_overage(config, claims)

    async def complete(self, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        """The claims with the groups that are elsewhere.

        Raises:
            InvalidToken: they could not be had.
        """
        try:
            return await self._complete(claims, access_token)
        except InvalidToken as error:
            raise InvalidToken(str(error), lacks_groups=True) from None

    async def _complete(self, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        config = self._provider.sso.oidc
        if not self.are_elsewhere(claims):
            return claims
        subject = str(claims.get("sub") or "")
        groups = self._found.get(subject)
        if groups is None:
            if not access_token:
                raise InvalidToken("groups cannot be asked for: no access token of a login is known")
            try:
                if _from_userinfo(config):
                    groups, seconds = await self._userinfo(subject, access_token), config.userinfo_cache
                else:
                    groups = await self._provider.member_objects(access_token)
                    seconds = config.azure.overage_cache
            except ProviderError as error:
                log.warning("groups of an SSO user cannot be had: %s", error)
                raise InvalidToken(f"groups cannot be had: {error}") from None
            self._found.put(subject, groups, seconds)
        return {**claims, "groups": list(groups)}

    async def _userinfo(self, subject: str, access_token: str) -> tuple[str, ...]:
        answer = await self._provider.userinfo(access_token)
        if isinstance(answer, str):
            key_id = header_of(answer).get("kid")
            keys = await self._provider.keys(key_id if isinstance(key_id, str) else "")
            answer = signed_claims(answer, keys, allowed_algorithms(await self._provider.discovery()))
        if answer.get("sub") != subject:
            log.warning("the userinfo of an SSO user is another's")
            raise InvalidToken(FAILED)
        groups = answer.get("groups")
        if isinstance(groups, str):
            return (groups,)
        return tuple(each for each in groups if isinstance(each, str)) if isinstance(groups, list) else ()


def _from_userinfo(config: OidcConfig) -> bool:
    return config.enable_userinfo_groups and bool(config.userinfo_path)


def _is_overage(config: OidcConfig, claims: Mapping[str, Any]) -> bool:
    names = claims.get("_claim_names")
    return config.azure.groups_overage and isinstance(names, Mapping) and "groups" in names
