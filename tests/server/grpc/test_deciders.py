"""The parts that decide about bytes and know no socket: frames, messages, metadata, pings, the ledger."""

from __future__ import annotations

import base64
import itertools
from urllib.parse import unquote_to_bytes

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.grpc.frames import PREFACE, Abuse, FrameGate
from tiphys.server.grpc.ledger import Ledger
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.messages import MessageReader, framed
from tiphys.server.grpc.metadata import binary_safe, metadata_of, opening, percent_encoded, seconds, status
from tiphys.server.grpc.pings import PingRule

BODIES = st.lists(st.binary(max_size=300), max_size=8)


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


@given(BODIES, st.lists(st.integers(min_value=0), max_size=12))
def test_frames_come_out_whole_however_they_arrive(bodies: list[bytes], cuts: list[int]) -> None:
    data = PREFACE + b"".join(DataFrame(1, body).serialize() for body in bodies)
    gate = FrameGate(Limits(), 0)
    out = [gate.take(piece, 0).frames for piece in _cut(data, cuts)]
    assert b"".join(out) == data
    ends = {len(PREFACE)}
    for body in bodies:
        ends.add(max(ends) + 9 + len(body))
    position = 0
    for piece in out:
        position += len(piece)
        assert position in ends or position == 0


@given(BODIES, st.integers(min_value=0, max_value=8), st.lists(st.integers(min_value=0), max_size=6))
def test_a_goaway_is_kept_from_the_library(bodies: list[bytes], place: int, cuts: list[int]) -> None:
    frames = [DataFrame(1, body).serialize() for body in bodies]
    kept = PREFACE + b"".join(frames)
    frames.insert(place, GoAwayFrame(0, additional_data=b"bye").serialize())
    gate = FrameGate(Limits(), 0)
    arrived = [gate.take(piece, 0) for piece in _cut(PREFACE + b"".join(frames), cuts)]
    assert b"".join(piece.frames for piece in arrived) == kept
    assert [piece.leaving for piece in arrived].count(True) == 1


def test_useless_frames_are_forgiven_by_time_and_work() -> None:
    limits = Limits(patience=100, forgiven=10)
    ping = PingFrame(0, b"12345678").serialize()  # costs 5
    gate = FrameGate(limits, 0)
    gate.take(PREFACE + ping * 20, 0)
    with pytest.raises(Abuse, match="too many frames without use"):
        gate.take(ping, 0)

    gate = FrameGate(limits, 0)
    gate.take(PREFACE + ping * 20, 0)
    gate.take(ping * 2, 1)  # ten more were earned by a second
    with pytest.raises(Abuse):
        gate.take(ping, 1)

    gate = FrameGate(limits, 0)
    gate.take(PREFACE + ping * 20, 0)
    gate.earn(1000)  # never more than the patience
    gate.take(ping * 20, 0)
    with pytest.raises(Abuse):
        gate.take(ping, 0)


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.0\r\n\r\nSM\r\n\r\n", b"\0"],
    ids=["http/1", "other version", "noise"],
)
def test_no_preface(data: bytes) -> None:
    with pytest.raises(Abuse, match="no HTTP/2 preface"):
        FrameGate(Limits(), 0).take(data, 0)


def test_a_frame_too_large_is_refused_by_its_head() -> None:
    gate = FrameGate(Limits(), 0)
    gate.take(PREFACE + SettingsFrame(0).serialize(), 0)
    with pytest.raises(Abuse, match="frame too large"):
        gate.take(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", 0)


@given(BODIES, st.lists(st.integers(min_value=0), max_size=12))
def test_messages_come_out_whole_however_they_arrive(bodies: list[bytes], cuts: list[int]) -> None:
    reader = MessageReader(1000)
    found = []
    for piece in _cut(b"".join(map(framed, bodies)), cuts):
        reader.feed(piece)
        while (message := reader.next()) is not None:
            found.append(message)
    assert found == bodies
    assert reader.is_between


@pytest.mark.parametrize(
    ("data", "encoding", "code", "text"),
    [
        (b"\1\0\0\0\0", "", Code.INTERNAL, "grpc: compressed flag set with identity or empty encoding"),
        (b"\1\0\0\0\0", "identity", Code.INTERNAL, "grpc: compressed flag set with identity"),
        (b"\1\0\0\0\0", "br", Code.UNIMPLEMENTED, 'Decompressor is not installed for grpc-encoding "br"'),
        (b"\2\0\0\0\0", "", Code.INTERNAL, "grpc: received unexpected payload format 2"),
        (b"\0\0\0\x03\xe9", "", Code.RESOURCE_EXHAUSTED, "larger than max (1001 vs. 1000)"),
    ],
)
def test_what_is_no_message(data: bytes, encoding: str, code: Code, text: str) -> None:
    reader = MessageReader(1000, encoding)
    reader.feed(data)
    with pytest.raises(ApiFailure) as failed:
        reader.next()
    assert failed.value.code is code
    assert text in failed.value.message


@given(st.text(max_size=500))
def test_percent_encoding_can_be_undone(text: str) -> None:
    encoded = percent_encoded(text)
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert unquote_to_bytes(encoded) == text.encode("utf-8", "replace")


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("ok", b"ok"), ("50%", b"50%25"), ("ä\n", b"%C3%A4%0A"), ("\x7f~ ", b"%7F~ ")],
)
def test_percent_encoding(text: str, encoded: bytes) -> None:
    assert percent_encoded(text) == encoded


def test_a_long_message_is_cut() -> None:
    assert percent_encoded("x" * 5000) == b"x" * 4095 + b"%E2%80%A6"


def test_status() -> None:
    assert status(Code.OK, "") == [(b"grpc-status", b"0")]
    assert status(Code.NOT_FOUND, "gone") == [(b"grpc-status", b"5"), (b"grpc-message", b"gone")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("1H", 3600),
        ("2M", 120),
        ("30S", 30),
        ("5m", 0.005),
        ("7u", 7e-6),
        ("99999999n", 0.099999999),
    ],
)
def test_timeouts(text: str, value: float | None) -> None:
    assert seconds(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("text", ["5", "S", "123456789S", "-1S", "1.5S", "1s", "1 S", "\u0661S"])
def test_malformed_timeouts(text: str) -> None:
    with pytest.raises(ValueError, match="malformed grpc-timeout"):
        seconds(text)


def test_the_headers_of_a_call() -> None:
    heading = opening(
        [
            (b":method", b"POST"),
            (b":path", b"/a.B/C"),
            (b":authority", b"host"),
            (b"content-type", b"application/grpc"),
            (b"grpc-encoding", b"gzip"),
            (b"grpc-timeout", b"1S"),
            (b"token", b"t"),
            (b"x", b"\xc3\xa4"),
            (b"x", b"\xff"),
            (b"x-bin", base64.b64encode(b"\0\xff").rstrip(b"=") + b", " + base64.b64encode(b"a")),
        ]
    )
    assert (heading.verb, heading.path, heading.content_type) == ("POST", "/a.B/C", "application/grpc")
    assert (heading.encoding, heading.timeout) == ("gzip", "1S")
    assert heading.metadata == {
        ":authority": ("host",),
        "content-type": ("application/grpc",),
        "grpc-timeout": ("1S",),
        "token": ("t",),
        "x": ("ä", "\xff"),
        "x-bin": ("\0\xff", "a"),
    }


def test_a_key_that_only_we_may_add() -> None:
    assert metadata_of([(b":client-certificate", b"x"), (b"Token", b"t")]) == {"token": ("t",)}
    forged = [(b":method", b"POST"), (b":client-certificate", b"x")]
    assert ":client-certificate" not in opening(forged).metadata


def test_binary_metadata_that_is_none() -> None:
    with pytest.raises(ApiFailure, match="malformed binary metadata"):
        metadata_of([(b"X-Bin", b"***")])


@given(st.binary(max_size=50))
def test_binary_metadata_there_and_back(data: bytes) -> None:
    (sent,) = binary_safe({"x-bin": data.decode("latin-1")})
    assert metadata_of([sent]) == {"x-bin": (data.decode("latin-1"),)}


@pytest.mark.parametrize(
    ("times", "calls", "allowed"),
    [
        ([0, 10, 20, 30], True, [True] * 4),
        ([0, 1, 2, 3], True, [True, True, True, False]),
        ([0, 1, 11, 12, 13], True, [True, True, True, True, False]),
        ([0, 10, 20, 30], False, [True, True, True, False]),
        ([0, 7200, 14400, 21600], False, [True] * 4),
    ],
    ids=["slow", "fast", "some fast", "idle", "rare and idle"],
)
def test_pings(times: list[int], calls: bool, allowed: list[bool]) -> None:  # api.md 2
    rule = PingRule(Limits())
    assert [rule.allows(now, calls) for now in times] == allowed


def test_what_we_send_forgives_pings() -> None:
    rule = PingRule(Limits())
    for now in range(50):
        rule.sent()
        assert rule.allows(now, True)


class _Holder:
    def __init__(self, unfinished: int):
        self.unfinished = unfinished
        self.closed = False

    def overloaded(self) -> None:
        self.closed = True


def test_the_heaviest_connection_goes() -> None:
    ledger = Ledger(Limits(all_unfinished=100))
    light, heavy = _Holder(20), _Holder(80)
    ledger.holders.update((light, heavy))
    ledger.count(100)
    assert not heavy.closed
    ledger.count(1)
    assert heavy.closed
    assert not light.closed


def test_room_for_large_requests() -> None:
    ledger = Ledger(Limits(large_messages=100))
    ledger.reserve(60)
    with pytest.raises(ApiFailure, match="too many large messages") as failed:
        ledger.reserve(60)
    assert failed.value.code is Code.RESOURCE_EXHAUSTED
    ledger.release(60)
    ledger.reserve(60)
