"""The HTTP/2 library's connection (``h2``), with what a public server needs changed; no socket here.

- It answers a stream too many with the end of the connection. Refusing the stream is enough, and lets
  clients try again (RFC 9113 5.1.2): ``connection`` does; only twice as many are still an error.
- It remembers every stream that ever was (65,536 of them); late frames need the last ones only.
- Each value of a setting lives in a deque of 760 bytes, 10 of the 16 KB that a connection takes.
- It makes an object of each DATA frame that goes out, and asks the state of the connection for each.
- It checks headers character by character; ``headers`` has the same rules.
- The client decides how large the table of our encoder may grow.
"""

from typing import Any

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, H2Connection
from h2.exceptions import FlowControlError
from h2.settings import SettingCodes, Settings
from h2.stream import StreamInputs

from tiphys.server.grpc.limits import Limits

TABLE = 4096
"""Header table of our encoder, however large a table the client offers."""

_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,  # ``headers`` does
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Http2(H2Connection):
    """See the module."""

    MAX_CLOSED_STREAMS = 256

    def __init__(self, limits: Limits):
        super().__init__(_CONFIGURATION)
        self._hard_limit = 2 * limits.max_streams
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.strangers_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_list,
            },
        )
        self.decoder.max_header_list_size = limits.header_list
        for settings in (self.local_settings, self.remote_settings):
            values: dict[Any, Any] = settings._settings
            settings._settings = {code: _Few(few) for code, few in values.items()}  # type: ignore[misc]

    @property
    def open_inbound_streams(self) -> int:
        """What the library compares with its limit."""
        count = super().open_inbound_streams
        return count if count >= self._hard_limit else 0

    def send_pieces(self, stream_id: int, data: memoryview) -> int:
        """Put data of a stream into frames as large as the client takes; how many these are.

        As ``send_data`` for each of them, but states and windows are asked once: frames of 16 KiB cost as
        much as what is in them.

        Raises:
            H2Error: the stream is closed, or its window or the connection's is smaller.
        """
        size = len(data)
        if size > self.local_flow_control_window(stream_id):
            raise FlowControlError("more than the client's window")
        stream = self.streams[stream_id]
        self.state_machine.process_input(ConnectionInputs.SEND_DATA)
        stream.state_machine.process_input(StreamInputs.SEND_DATA)
        largest = self.max_outbound_frame_size
        kind_and_stream = b"\0\0" + stream_id.to_bytes(4, "big")
        waiting: bytearray = self._data_to_send
        for position in range(0, size, largest):
            piece = data[position : position + largest]
            waiting += len(piece).to_bytes(3, "big") + kind_and_stream
            waiting += piece
        stream.outbound_flow_control_window -= size
        self.outbound_flow_control_window -= size
        return -(-size // largest)

    def take(self) -> bytearray:
        """What is to be sent, without a copy of it."""
        data, self._data_to_send = self._data_to_send, bytearray()
        return data

    def limit_table(self) -> None:
        """The client has changed its settings."""
        if self.encoder.header_table_size > TABLE:
            self.encoder.header_table_size = TABLE


class _Few(list[Any]):
    """The values of a setting: the one in force, and the next until it is acknowledged."""

    __slots__ = ()

    def popleft(self) -> Any:
        """As a deque has it."""
        return self.pop(0)
