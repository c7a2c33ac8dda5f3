"""What goes out besides messages: head and trailers of an answer, refusals in HTTP's own words, goodbyes.
Values only; ``connection`` sends them.
"""

from collections.abc import Mapping

from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import GoAwayFrame

from tiphys.server.grpc.metadata import CONTENT_TYPE, Headers, Opening, binary_safe

RESPONSE: Headers = [(b":status", b"200"), (b"content-type", b"application/grpc")]


def not_grpc(heading: Opening) -> tuple[int, str] | None:
    """Why a request is none of gRPC: HTTP status and text (api.md 1)."""
    if heading.content_type != CONTENT_TYPE:
        return (
            415,
            "HTTP/2 is for gRPC here (content-type application/grpc); use HTTP/1.1 for the rest",
        )
    if heading.verb != "POST":
        return 405, "gRPC calls are POST requests"
    return None


def head(headers: Mapping[str, str]) -> Headers:
    """The head of an answer with its header metadata, which may hold tokens: no table keeps them."""
    return RESPONSE + [NeverIndexedHeaderTuple(*pair) for pair in binary_safe(headers)]


def goaway(last_stream: int, code: int, reason: str) -> bytes:
    """A GOAWAY frame."""
    frame = GoAwayFrame(0, last_stream_id=last_stream, error_code=code, additional_data=reason.encode())
    return frame.serialize()


def refusal(code: int, text: str) -> tuple[Headers, bytes]:
    """Headers and body of an answer in HTTP's own words."""
    body = text.encode() + b"\n"
    headers = [
        (b":status", str(code).encode()),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    return headers, body
