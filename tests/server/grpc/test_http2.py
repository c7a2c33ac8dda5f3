"""What we changed of the HTTP/2 library does what the library does."""

from __future__ import annotations

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived
from h2.exceptions import FlowControlError, H2Error
from h2.settings import SettingCodes, Settings
from hypothesis import given
from hypothesis import strategies as st

from tiphys.server.grpc.http2 import Http2
from tiphys.server.grpc.limits import Limits

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]
RESPONSE = [(b":status", b"200")]


def pair(frame: int) -> tuple[H2Connection, Http2]:
    """A client that takes frames of this size, and a server that has begun to answer its stream 1."""
    client = H2Connection(H2Configuration(client_side=True))
    client.local_settings = Settings(client=True, initial_values={SettingCodes.MAX_FRAME_SIZE: frame})
    client.max_inbound_frame_size = frame
    client.initiate_connection()
    client.send_headers(1, REQUEST, end_stream=True)
    server = Http2(Limits())
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    server.send_headers(1, RESPONSE)
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    return client, server


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=4), st.sampled_from((16_384, 20_000, 65_535)))
def test_pieces_are_the_frames_of_the_library(sizes: list[int], frame: int) -> None:
    (client, ours), (_, theirs) = pair(frame), pair(frame)
    received = b""
    for number, size in enumerate(sizes):
        size = min(size, ours.local_flow_control_window(1))
        data = bytes((number,)) * size
        count = ours.send_pieces(1, memoryview(data))
        pieces = [data[at : at + frame] for at in range(0, size, frame)]
        for piece in pieces:
            theirs.send_data(1, piece)
        assert count == len(pieces)
        sent = bytes(ours.take())
        assert sent == theirs.data_to_send()
        assert ours.local_flow_control_window(1) == theirs.local_flow_control_window(1)
        assert ours.outbound_flow_control_window == theirs.outbound_flow_control_window
        for event in client.receive_data(sent):
            if isinstance(event, DataReceived):
                received += event.data
    assert len(received) == 65_535 - ours.local_flow_control_window(1)
    assert not ours.take()


def test_more_than_the_window() -> None:
    _, server = pair(16_384)
    with pytest.raises(FlowControlError):
        server.send_pieces(1, memoryview(bytes(65_536)))
    assert server.local_flow_control_window(1) == 65_535
    assert not server.take()


def test_a_stream_that_is_gone() -> None:
    client, server = pair(16_384)
    client.reset_stream(1)
    server.receive_data(client.data_to_send())
    with pytest.raises(H2Error):
        server.send_pieces(1, memoryview(b"x"))
