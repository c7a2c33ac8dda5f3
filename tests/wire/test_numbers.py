"""Every message of the reference is there, with its fields (api.md 6, "Reading wire.json")."""

import pytest

from tests.wire import oracle
from tiphys.resources.messages.account import EmptyResponse as AccountEmptyResponse
from tiphys.resources.messages.project import EmptyResponse as ProjectEmptyResponse
from tiphys.resources.meta import GroupKindItem
from tiphys.resources.wire.descriptors import file_name, files, pool, proto_name
from tiphys.resources.wire.fields import Many, messages

WITHOUT_STRUCT = {
    *oracle.TIMES,
    *oracle.RAW,
    oracle.INT_OR_STRING,
}
"""Forms of plain values."""

INLINED = {
    f"{oracle.V1ALPHA1}.{name}" for name in ("KustomizeGvk", "KustomizeResId", "OptionalArray", "OptionalMap")
}
"""Messages that exist only as a part of another struct."""

LEFT_OUT = {f"{oracle.META}.{name}" for name in ("FieldsV1", "ManagedFieldsEntry", "ShardInfo")}
"""Messages of the fields in ``oracle.OMITTED``, which clients never get from us."""

OURS = {message.full_name: message for message in messages().all()}
NAMES = sorted(set(oracle.MESSAGES) - LEFT_OUT)


def test_the_same_messages():
    assert set(OURS) == set(oracle.MESSAGES) - LEFT_OUT


def test_every_message_has_a_struct():
    without = {name for name, message in OURS.items() if message.struct is None}
    assert without == WITHOUT_STRUCT


@pytest.mark.parametrize("name", NAMES)
def test_fields(name):
    """Numbers, names, JSON names, types and labels."""
    ours = {
        (field.number, field.name, field.type, field.many, field.required, field.oneof)
        for field in OURS[name].fields
    }
    theirs = set()
    for field in oracle.fields_of(name):
        many = {"map": Many.MAP, "repeated": Many.LIST}.get(field["label"], Many.ONE)
        kind = oracle.map_value(field) if many is Many.MAP else field["type"]
        required = field["label"] == "required"
        theirs.add((field["number"], field["name"], kind, many, required, field.get("oneof", "")))
    assert ours == theirs
    assert OURS[name].syntax == oracle.syntax_of(name)
    for field in OURS[name].fields:
        source = next(other for other in oracle.MESSAGES[name] if other["number"] == field.number)
        assert field.lifted == source.get("json_inline", False)
        if not field.lifted and name not in WITHOUT_STRUCT:
            assert field.json == oracle.json_key(source)


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_STRUCT - INLINED))
def test_presence(name):
    """Pointers of the reference are pointers here, values are values."""
    for field in OURS[name].fields:
        source = next(other for other in oracle.MESSAGES[name] if other["number"] == field.number)
        if field.many is Many.ONE and field.type != "bytes" and not field.required:
            singular = oracle.syntax_of(name) == "proto3" and field.type in oracle.SCALARS
            assert field.pointer != (singular or source.get("wire_always", False)), field.name


@pytest.mark.parametrize("name", NAMES)
def test_descriptors(name):
    """What reflection tells is what the reference's files say."""
    ours = pool().FindMessageTypeByName(name)
    theirs = oracle.message_class(name).DESCRIPTOR
    omitted = {field for message, field in oracle.OMITTED if message == name}
    assert {field.name for field in ours.fields} == {field.name for field in theirs.fields} - omitted
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated, field.is_required, field.is_packed) == (
            other.number,
            other.type,
            other.is_repeated,
            other.is_required,
            other.is_packed,
        )


def test_names_of_structs():
    assert proto_name(AccountEmptyResponse) == "account.EmptyResponse"
    assert proto_name(ProjectEmptyResponse) == "project.EmptyResponse"
    assert proto_name(GroupKindItem) == f"{oracle.META}.GroupKind"


def test_files_come_after_their_imports():
    seen = set()
    for name, file in files().items():
        assert set(file.dependency) <= seen
        seen.add(name)
    assert file_name("k8s.io.api.core.v1") in seen
