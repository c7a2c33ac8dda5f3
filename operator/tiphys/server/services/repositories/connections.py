"""Whether repositories answer, remembered for an hour (api.md 9, "Repository").

A state belongs to the repository *and* everything that decides about access: other credentials, other
trusted certificates or known hosts are asked anew. Callers who want the same state at the same time
share one attempt.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from tiphys.resources.messages.clusters import ConnectionState
from tiphys.resources.times import Timestamp, to_timestamp
from tiphys.server.state import State
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.flights import Flights
from tiphys.sources.queries import check_access

SUCCESSFUL = "Successful"
FAILED = "Failed"

_REMEMBERED = 20_000
_AT_A_TIME = 16
_BROKEN_SECRET = "Configuration error - please check the server logs"


class ConnectionStates:
    """Answers for completed repositories (with the credentials they inherit)."""

    def __init__(self, state: State):
        self._state = state
        self._known: OrderedDict[str, tuple[float, ConnectionState]] = OrderedDict()
        self._flights: Flights[ConnectionState] = Flights()
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._trust: object = None

    async def of_all(self, repositories: Iterable[Repository], *, fresh: bool) -> Sequence[ConnectionState]:
        """The states in the order asked; what is not known is tried at the same time."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.of(each, fresh=fresh)) for each in repositories]
        return [task.result() for task in tasks]

    async def of(self, repository: Repository, *, fresh: bool) -> ConnectionState:
        """The state of one; ``fresh`` tries it now. A Secret that cannot be read is Failed."""
        if repository.problem:
            return self._failed(_BROKEN_SECRET)
        self._forget_other_trust()
        key = _key(repository)
        if not fresh and (known := self._known.get(key)) is not None:
            age = asyncio.get_running_loop().time() - known[0]
            if age < self._state.settings.params.server_connection_status_cache_expiration:
                return known[1]
        return await self._flights.share(key, lambda: self._try(key, repository))

    async def _try(self, key: str, repository: Repository) -> ConnectionState:
        async with self._slots:
            try:
                await check_access(self._state.git, self._state.renderer.charts, repository)
                found = ConnectionState(status=SUCCESSFUL, attempted_at=self._now())
            except SourceError as error:
                found = self._failed(
                    f"Unable to connect to repository: rpc error: code = {error.code} desc = {error.message}"
                )
        self._remember(key, found)
        return found

    def _failed(self, message: str) -> ConnectionState:
        return ConnectionState(status=FAILED, message=message, attempted_at=self._now())

    def _now(self) -> Timestamp:
        return to_timestamp(self._state.clock())

    def _remember(self, key: str, found: ConnectionState) -> None:
        self._known[key] = (asyncio.get_running_loop().time(), found)
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _forget_other_trust(self) -> None:
        settings = self._state.settings
        trust = (settings.ssh_known_hosts, settings.tls_certificates)
        if trust != self._trust:
            self._trust = trust
            self._known.clear()


def _key(repository: Repository) -> str:
    return f"{repository.credential_digest} {repository.project}"
