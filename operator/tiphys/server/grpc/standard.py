"""Health and reflection over the API's methods, for ``others`` of both transports."""

from collections.abc import Iterable

from tiphys.server.api.rpc import Method
from tiphys.server.grpc.health import FILE, HealthService
from tiphys.server.grpc.reflection import Reflection
from tiphys.server.grpc.table import Bound


def standard_services(methods: Iterable[Method]) -> list[Bound]:
    """The methods of both."""
    reflection = Reflection(methods, (FILE,))
    return [*HealthService(reflection.services).bound(), *reflection.bound()]
