"""``grpc.health.v1.Health``: whether the server takes calls (api.md 2; a login is needed).

Whoever is answered is answered by a server that serves, so the state is SERVING for the server as a whole
and for each of its services, until its connections end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

from tiphys.server.api.calls import Call
from tiphys.server.api.failures import not_found
from tiphys.server.api.rpc import Method
from tiphys.server.grpc.described import Described, decoder, described_file, encode, message_class
from tiphys.server.grpc.table import Bound

SERVING, SERVICE_UNKNOWN = 1, 3

FILE = described_file(
    "grpc/health/v1/health.proto",
    "grpc.health.v1",
    {
        "HealthCheckRequest": [("service", 1, "string", "one")],
        "HealthCheckResponse": [("status", 1, "ServingStatus", "one")],
    },
    {
        "Health": [
            ("Check", "HealthCheckRequest", "HealthCheckResponse", False, False),
            ("Watch", "HealthCheckRequest", "HealthCheckResponse", False, True),
        ]
    },
    {"ServingStatus": ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]},
)


class HealthService:
    """See the module."""

    def __init__(self, services: Iterable[str]):
        """``services``: full names of what is served."""
        self._services = {"", *services}
        self._answer = message_class(FILE, "HealthCheckResponse")

    async def check(self, call: Call, request: Described) -> Described:
        """The state of one service, or of the server.

        Raises:
            ApiFailure: NotFound; there is no such service.
        """
        if request.message.service not in self._services:
            raise not_found("unknown service")
        return Described(self._answer(status=SERVING))

    async def watch(self, call: Call, request: Described) -> AsyncIterator[Described]:
        """The same now, and whenever it changes: which it does not while a stream lives."""
        known = request.message.service in self._services
        yield Described(self._answer(status=SERVING if known else SERVICE_UNKNOWN))
        await asyncio.Event().wait()

    def bound(self) -> list[Bound]:
        """The methods, for the transports."""
        decode = decoder(message_class(FILE, "HealthCheckRequest"))
        return [
            Bound(
                Method(
                    package="grpc.health.v1",
                    service="Health",
                    name=name,
                    request=Described,
                    response=Described,
                    handler=handler,
                    server_streaming=streams,
                ),
                decode,
                encode,
            )
            for name, handler, streams in (("Check", self.check, False), ("Watch", self.watch, True))
        ]
