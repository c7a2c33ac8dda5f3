"""Answers to requests that become no call; the rest of such a request is not waited for."""

from tiphys.server.grpc.accepting import Failed, Refused
from tiphys.server.grpc.answers import RESPONSE, refusal
from tiphys.server.grpc.http2 import Http2
from tiphys.server.grpc.metadata import status
from tiphys.server.grpc.pings import PingRule
from tiphys.server.grpc.stream import NO_ERROR


class Refusals:
    """Those of one connection."""

    def __init__(self, http2: Http2, pings: PingRule):
        self._http2 = http2
        self._pings = pings

    def fail(self, stream_id: int, failed: Failed) -> None:
        """Trailers alone."""
        headers = RESPONSE + failed.headers + status(failed.failure.code, failed.failure.message)
        self._http2.send_headers(stream_id, headers, end_stream=True)
        self._stop(stream_id)

    def refuse(self, stream_id: int, refused: Refused) -> None:
        """An answer in HTTP's own words."""
        headers, body = refusal(refused.status, refused.text)
        if self._http2.local_flow_control_window(stream_id) >= len(body):
            self._http2.send_headers(stream_id, headers)
            self._http2.send_data(stream_id, body, end_stream=True)
        else:
            self._http2.send_headers(stream_id, headers[:2], end_stream=True)
        self._stop(stream_id)

    def _stop(self, stream_id: int) -> None:
        """The rest of the request is not wanted; its end may be on the way."""
        self._pings.sent()
        stream = self._http2.streams.get(stream_id)
        if stream is not None and not stream.closed:
            self._http2.reset_stream(stream_id, NO_ERROR)
