"""One call of a method, as the method sees it: who calls, by which transport, until when."""

from collections.abc import Mapping, Sequence

import msgspec

from tiphys.access.identity import NOBODY, Identity
from tiphys.server.api.failures import ApiFailure


class Call(msgspec.Struct):
    """The context of a call; made by a transport, filled in by ``invoke``.

    Attributes:
        transport: ``rest``, ``grpc`` or ``grpc-web``.
        metadata: what came along, keys in lower case (``authorization``, ``token``,
            ``grpcgateway-cookie``, ``user-agent``…); of a repeated key all values in order.
        peer: address of the client, for the log.
        deadline: moment of the loop's clock at which the client gives up, or None.
        identity: who calls.
        headers: response header metadata (``renew-token``).
        renewed_state: what a browser is to keep beside a renewed SSO token, sealed (cookies only).
        late: what a caller hears whose deadline passes, instead of the usual; a method sets it.
        query: over REST, all query parameters as sent, also those that the request has no field for
            (``fields``, ``limit``, ``continue``…); empty over gRPC.
    """

    transport: str = "rest"
    metadata: Mapping[str, tuple[str, ...]] = {}
    peer: str = ""
    deadline: float | None = None
    identity: Identity = NOBODY
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    renewed_state: str = ""
    late: ApiFailure | None = None
    query: Mapping[str, Sequence[str]] = {}

    def first(self, key: str) -> str:
        """The first value of a metadata key, or ``""``."""
        values = self.metadata.get(key)
        return values[0] if values else ""

    def parameter(self, name: str) -> str:
        """The first value of a query parameter, or ``""``."""
        values = self.query.get(name)
        return values[0] if values else ""
