"""Protobuf and JSON of every message, against an encoder made from the reference's description."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import oracle
from tests.wire.test_numbers import INLINED, LEFT_OUT, OURS, WITHOUT_STRUCT
from tiphys.resources.application import (
    Application,
    ApplicationSource,
    ApplicationSourceHelm,
    ApplicationSpec,
)
from tiphys.resources.decoding import decode_as
from tiphys.resources.gojson import dumps, loads
from tiphys.resources.messages.application import (
    ApplicationQuery,
    ApplicationServerSideDiffResponse,
    ApplicationSyncRequest,
    FileChunk,
    LogEntry,
)
from tiphys.resources.messages.project import ProjectTokenResponse
from tiphys.resources.meta import ObjectMeta
from tiphys.resources.wire.codec import decode, encode
from tiphys.resources.wire.errors import WireError

NAMES = sorted(set(oracle.MESSAGES) - WITHOUT_STRUCT - INLINED - LEFT_OUT)

# Written for people in JSON (YAML text inside); its own cases are in test_gojson.
OVERRIDES = {f"{oracle.V1ALPHA1}.ResourceOverride", "cluster.Settings"}

# The reference's JSON of it has the key always; only we never send it.
UNUSED = {f"{oracle.V1ALPHA1}.RefTarget"}


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_json_struct_protobuf_and_back(name, seed):
    """JSON → struct → protobuf → struct → JSON is the identity, and the bytes are the reference's."""
    kind = OURS[name].struct
    content = oracle.Maker(Random(seed)).message(name)
    if name in OVERRIDES:
        value = decode_as(kind, json.dumps(content).encode())
    else:
        value = loads(kind, json.dumps(content).encode())
    data = encode(value)
    assert data == oracle.encode(name, content)
    again = decode(kind, data)
    assert again == value
    if name not in OVERRIDES | UNUSED:
        assert json.loads(dumps(again)) == content


@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_are_the_empty_message(name):
    """Decoders elsewhere accept absence, and so do we (api.md 6); required fields are another matter."""
    kind = OURS[name].struct
    if any(field.required for field in OURS[name].fields):
        with pytest.raises(WireError, match=r'^\S+: proto: required field "\w+" not set$'):
            decode(kind, b"")
    else:
        assert decode(kind, b"") == kind()


@given(data=st.binary(max_size=200), name=st.sampled_from(NAMES))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_message_or_an_error(data, name):
    try:
        decode(OURS[name].struct, data)
    except WireError:
        pass


@given(seed=st.integers(0, 2**32), position=st.integers(0, 2**16), byte=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_damaged_message_is_a_message_or_an_error(seed, position, byte):
    name = f"{oracle.V1ALPHA1}.Application"
    data = bytearray(oracle.encode(name, oracle.Maker(Random(seed)).message(name)))
    data[position % len(data)] = byte
    try:
        value = decode(Application, bytes(data))
    except WireError:
        return
    encode(value)
    dumps(value)


CASES = [
    pytest.param(
        LogEntry(content="", time_stamp="2026-01-31T12:00:00Z", last=False, time_stamp_str="", pod_name=""),
        b"\x0a\x00\x12\x08\x08\xc0\xdd\xf7\xcb\x06\x10\x00\x18\x00\x22\x00\x2a\x00",
        id="times have nanos",
    ),
    pytest.param(
        LogEntry(content="no such container", last=False, time_stamp_str="", pod_name=""),
        b"\x0a\x11no such container\x12\x00\x18\x00\x22\x00\x2a\x00",
        id="a required time that is none",
    ),
    pytest.param(ApplicationQuery(), b"", id="pointers only when set"),
    pytest.param(ApplicationQuery(name="", project=("a",)), b"\x0a\x00\x42\x01a", id="a set pointer to zero"),
    pytest.param(ApplicationServerSideDiffResponse(modified=False), b"\x10\x00", id="required zero"),
    pytest.param(ProjectTokenResponse(), b"", id="proto3 zero"),
]


@pytest.mark.parametrize(("value", "data"), CASES)
def test_encoding_rules(value, data):
    """api.md 6, "Encoding rules"."""
    assert encode(value) == data
    assert decode(type(value), data) == value


def test_the_zero_time_is_an_empty_message():
    zero = Application(metadata=ObjectMeta(creation_timestamp="0001-01-01T00:00:00Z"))
    assert encode(zero) == encode(Application())
    far = oracle.message_class(f"{oracle.META}.Time")(seconds=-62135596800)
    meta = b"\x42" + bytes([far.ByteSize()]) + far.SerializeToString()
    assert decode(ObjectMeta, meta) == ObjectMeta()
    assert decode(ObjectMeta, b"\x42\x00") == ObjectMeta()
    assert decode(ObjectMeta, b"\x42\x02\x08\x00").creation_timestamp == "1970-01-01T00:00:00Z"


def test_unknown_fields_are_skipped():
    data = encode(ApplicationQuery(name="a"))
    # A varint, a 64-bit, a length-delimited, a group and a 32-bit field with unknown numbers.
    strange = (
        b"\xa0\x06\x01" + b"\xa9\x06" + b"x" * 8 + b"\xb2\x06\x02hi" + b"\xbb\x06\xbc\x06" + b"\xc5\x06abcd"
    )
    assert decode(ApplicationQuery, strange + data) == ApplicationQuery(name="a")


MALFORMED = [
    pytest.param(Application, b"\x0a\xff\xff\xff\xff\x0f", id="a length beyond the end"),
    pytest.param(Application, b"\xff" * 20, id="an endless number"),
    pytest.param(Application, b"\xa3\x06" * 100_000, id="groups without end"),
    pytest.param(Application, b"\x0a\x03\x0a\x01\xff", id="no text"),
    pytest.param(ApplicationQuery, b"\x1a\x01\xff", id="no text in a list"),
    pytest.param(Application, b"\x0a\x08\x5a\x06\x0a\x01\xff\x12\x01a", id="no text in a map"),
    pytest.param(Application, b"\x0a\x0a\x42\x08\x08" + b"\xff" * 6 + b"\x7f", id="a time out of range"),
]


@pytest.mark.parametrize(("kind", "data"), MALFORMED)
def test_malformed(kind, data):
    with pytest.raises(WireError):
        decode(kind, data)


def test_a_large_message_of_many_parts_is_refused():
    """Two bytes on the wire are hundreds in memory."""
    head = encode(ApplicationSyncRequest(name="a"))
    empty_info = b"\x4a\x00"
    assert len(decode(ApplicationSyncRequest, head + empty_info * 1000).infos) == 1000
    with pytest.raises(WireError, match="parts"):
        decode(ApplicationSyncRequest, head + empty_info * 600_000)
    inside = Application(spec=ApplicationSpec(sources=(ApplicationSource(),)))
    text = FileChunk(chunk=b"x" * 3_000_000)
    assert decode(FileChunk, encode(text)) == text
    assert decode(Application, encode(inside)) == inside


def test_free_json_must_be_json():
    values = ApplicationSourceHelm(values_object={"a": 1})
    good = encode(Application(spec=ApplicationSpec(source=ApplicationSource(helm=values))))
    with pytest.raises(WireError):
        decode(Application, good.replace(b'{"a":1}', b'{"a":1!'))


def test_what_cannot_be_encoded():
    with pytest.raises(WireError, match='required field "content" not set'):
        encode(LogEntry(last=True))
    with pytest.raises(WireError):
        encode(Application(metadata=ObjectMeta(creation_timestamp="yesterday")))
    with pytest.raises(WireError):
        encode(Application(metadata=ObjectMeta(generation=2**63)))
