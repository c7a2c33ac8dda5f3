"""What the headers of a request come to: a call, or why there is none. Values only; ``connection`` acts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure
from tiphys.server.grpc.answers import not_grpc
from tiphys.server.grpc.messages import no_decompressor
from tiphys.server.grpc.metadata import Headers, opening, seconds
from tiphys.server.grpc.table import Bound, find


class Accepted(msgspec.Struct, frozen=True):
    """A call of a method; ``encoding`` is that of its messages."""

    bound: Bound
    call: Call
    encoding: str


class Refused(msgspec.Struct, frozen=True):
    """No gRPC: an answer in HTTP's own words."""

    status: int
    text: str


class Failed(msgspec.Struct, frozen=True):
    """A call that fails before it begins; ``headers`` go with its status."""

    failure: ApiFailure
    headers: Headers = []


def accept(
    headers: Any,
    table: Mapping[str, Bound],
    peer: str,
    certificate: Mapping[str, tuple[str, ...]],
    now: float,
) -> Accepted | Refused | Failed:
    """Decide about a request.

    Args:
        certificate: what the client's certificate adds to the metadata.
        now: the loop's clock, for the deadline.
    """
    try:
        heading = opening(headers)
        problem = not_grpc(heading)
        if problem is not None:
            return Refused(*problem)
        length = seconds(heading.timeout)
        call = Call(
            transport="grpc",
            metadata={**heading.metadata, **certificate} if certificate else heading.metadata,
            peer=peer,
            deadline=None if length is None else now + length,
        )
        if heading.encoding not in ("", "identity"):
            return Failed(no_decompressor(heading.encoding), [(b"grpc-accept-encoding", b"identity")])
        return Accepted(find(table, heading.path), call, heading.encoding)
    except ApiFailure as failure:
        return Failed(failure)
    except ValueError as error:
        return Refused(400, str(error))
