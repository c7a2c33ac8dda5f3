"""JSON as the reference's gateway writes and reads it (api.md 3)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.resources.application import (
    Application,
    ApplicationList,
    ApplicationSource,
    ApplicationSourceHelm,
    ApplicationSpec,
    ApplicationStatus,
    RevisionHistory,
)
from tiphys.resources.errors import InvalidObject
from tiphys.resources.gojson import dumps, loads
from tiphys.resources.messages.account import AccountsList
from tiphys.resources.messages.application import (
    ApplicationSyncWindowsResponse,
    LogEntry,
    ManagedResourcesResponse,
)
from tiphys.resources.messages.cluster import Settings
from tiphys.resources.messages.clusters import Cluster, ClusterList
from tiphys.resources.messages.events import Event, EventList
from tiphys.resources.messages.overrides import KnownTypeField, OverrideIgnoreDiff, ResourceOverride
from tiphys.resources.messages.session import GetUserInfoResponse
from tiphys.resources.messages.stored_repositories import RepositoryCertificate
from tiphys.resources.messages.trees import ApplicationWatchEvent
from tiphys.resources.messages.version import VersionMessage
from tiphys.resources.meta import ListMeta, ObjectMeta
from tiphys.resources.project import AppProject, AppProjectSpec

WRITTEN = [
    pytest.param(ApplicationList(), '{"metadata":{},"items":null}', id="empty list is null"),
    pytest.param(
        ApplicationList(metadata=ListMeta(resource_version="7")),
        '{"metadata":{"resourceVersion":"7"},"items":null}',
        id="resourceVersion of a list",
    ),
    pytest.param(AccountsList(), "{}", id="service lists omit items"),
    pytest.param(ManagedResourcesResponse(), "{}", id="service lists omit items (proto2)"),
    pytest.param(GetUserInfoResponse(logged_in=False), "{}", id="proto3 zero is absent"),
    pytest.param(LogEntry(last=False), '{"last":false}', id="proto2 zero that was set appears"),
    pytest.param(
        ApplicationSyncWindowsResponse(can_sync=False), '{"canSync":false}', id="proto2 zero that was set"
    ),
    pytest.param(VersionMessage(version="v3"), '{"Version":"v3"}', id="capital keys"),
    pytest.param(
        LogEntry(content="<a>&\u2028\u2029"), r'{"content":"\u003ca\u003e\u0026\u2028\u2029"}', id="html"
    ),
    pytest.param(
        Event(event_time="2026-01-31T12:00:00.000000Z"),
        '{"metadata":{},"involvedObject":{},"source":{},"firstTimestamp":null,"lastTimestamp":null,'
        '"eventTime":"2026-01-31T12:00:00.000000Z"}',
        id="zero times are null",
    ),
    pytest.param(
        RepositoryCertificate(server_name="a", cert_data=b"\x00\xff"),
        '{"serverName":"a","certType":"","certSubType":"","certData":"AP8=","certInfo":""}',
        id="bytes are base64",
    ),
    pytest.param(
        RepositoryCertificate(),
        '{"serverName":"","certType":"","certSubType":"","certData":null,"certInfo":""}',
        id="no bytes are null",
    ),
]


@pytest.mark.parametrize(("message", "text"), WRITTEN)
def test_writing(message: Any, text: str) -> None:
    assert dumps(message).decode() == text


def test_map_keys_are_sorted_and_type_meta_is_lost() -> None:
    app = Application(metadata=ObjectMeta(name="a", labels={"b": "1", "B": "2", "a": "3"}))
    text = dumps(app).decode()
    assert text.startswith('{"metadata":{"name":"a","labels":{"B":"2","a":"3","b":"1"}},"spec":')
    assert "apiVersion" not in text
    assert json.loads(dumps(ApplicationWatchEvent(type="ADDED", application=app)))["application"].keys() == {
        "metadata",
        "spec",
        "status",
    }


def test_free_json_is_left_alone() -> None:
    values = {"items": [], "creationTimestamp": "", "kind": "x", "b": None, "a": {}}
    helm = ApplicationSourceHelm(values_object=values)
    app = Application(
        metadata=ObjectMeta(labels={"deployedAt": ""}),
        spec=ApplicationSpec(source=ApplicationSource(helm=helm)),
        status=ApplicationStatus(history=(RevisionHistory(id=1),)),
    )
    written = json.loads(dumps(app))
    assert written["spec"]["source"]["helm"]["valuesObject"] == values
    assert written["metadata"]["labels"] == {"deployedAt": ""}
    assert written["status"]["history"][0]["deployedAt"] is None


def test_nulls_deep_inside() -> None:
    listed = json.loads(dumps(ClusterList(items=(Cluster(server="x"),))))
    assert listed["items"][0]["connectionState"] == {"status": "", "message": "", "attemptedAt": None}
    assert listed["items"][0]["info"]["connectionState"]["attemptedAt"] is None
    assert json.loads(dumps(EventList(items=(Event(),))))["items"][0]["eventTime"] is None


def test_an_empty_whitelist_is_no_missing_one() -> None:
    """An empty whitelist forbids everything and a missing one nothing: a client that reads a project to
    write it back must see the difference."""
    assert json.loads(dumps(AppProject(spec=AppProjectSpec(namespace_resource_whitelist=()))))["spec"] == {
        "namespaceResourceWhitelist": []
    }


def test_overrides_are_written_as_in_the_settings() -> None:
    override = ResourceOverride(
        health_lua="return 1",
        use_open_libs=True,
        ignore_differences=OverrideIgnoreDiff(json_pointers=("/spec/a", "/b")),
        known_type_fields=(KnownTypeField(field="spec", type="core/v1/PodSpec"),),
    )
    written = json.loads(dumps(Settings(resource_overrides={"apps/Deployment": override})))
    assert written["resourceOverrides"]["apps/Deployment"] == {
        "health.lua": "return 1",
        "health.lua.useOpenLibs": True,
        "ignoreDifferences": (
            "jqPathExpressions: null\njsonPointers:\n- /spec/a\n- /b\nmanagedFieldsManagers: null\n"
        ),
        "ignoreResourceUpdates": "jqPathExpressions: null\njsonPointers: null\nmanagedFieldsManagers: null\n",
        "knownTypeFields": [{"field": "spec", "type": "core/v1/PodSpec"}],
    }


READ = [
    pytest.param(b"", Application(), id="no body"),
    pytest.param(b" \n", Application(), id="white space"),
    pytest.param(b"null", Application(), id="null"),
    pytest.param(b'{"x":1,"metadata":{"y":[]}}', Application(), id="unknown keys"),
    pytest.param(
        b'{"METADATA":{"Name":"a"}}', Application(metadata=ObjectMeta(name="a")), id="keys in any case"
    ),
    pytest.param(
        b'{"metadata":{"name":"a"}} {"metadata":{"name":"b"}}',
        Application(metadata=ObjectMeta(name="a")),
        id="only the first value",
    ),
    pytest.param(b"{}garbage", Application(), id="what follows is not looked at"),
    pytest.param(
        b'{"metadata":{"name":null,"labels":null,"finalizers":null},"spec":null,"operation":null}',
        Application(),
        id="null is empty",
    ),
    pytest.param(
        b'{"metadata":{"creationTimestamp":"2026-01-31T14:00:00.9+02:00"}}',
        Application(metadata=ObjectMeta(creation_timestamp="2026-01-31T12:00:00Z")),
        id="times in UTC",
    ),
    pytest.param(
        b'{"metadata":{"creationTimestamp":"0001-01-01T00:00:00Z"}}', Application(), id="Go's zero time"
    ),
    pytest.param(
        b'{"kind":"Pod","apiVersion":"v1"}', Application(), id="type meta does not pass the gateway"
    ),
    pytest.param(
        b'{"metadata":{"finalizers":["a",null],"labels":{"a":null}},"spec":{"sources":[null]}}',
        Application(
            metadata=ObjectMeta(finalizers=("a", ""), labels={"a": ""}),
            spec=ApplicationSpec(sources=(ApplicationSource(),)),
        ),
        id="null in lists and maps",
    ),
]


@pytest.mark.parametrize(("text", "message"), READ)
def test_reading(text: bytes, message: Any) -> None:
    assert loads(type(message), text) == message


REFUSED = [
    pytest.param(b"{", "", id="cut off"),
    pytest.param(b"[1]", "", id="a list"),
    pytest.param(b'"text"', "", id="a text"),
    pytest.param(b"NaN", "", id="no JSON number"),
    pytest.param(b"\xff\xfe", "", id="no UTF-8"),
    pytest.param(b"[" * 1_000_000, "", id="deep"),
    pytest.param(b'{"a":' * 1_000_000, "", id="deep objects"),
    pytest.param(b'{"spec":{"info":[' + b"{}," * 500_000 + b"{}]}}", "", id="many parts"),
    pytest.param(b'{"metadata":{"generation":"5"}}', "metadata.generation", id="quoted number"),
    pytest.param(b'{"metadata":{"generation":5.0}}', "metadata.generation", id="fraction"),
    pytest.param(b'{"metadata":{"generation":9223372036854775808}}', "metadata.generation", id="too large"),
    pytest.param(b'{"metadata":{"generation":true}}', "metadata.generation", id="bool for a number"),
    pytest.param(b'{"metadata":{"name":1}}', "metadata.name", id="number for a text"),
    pytest.param(b'{"metadata":[]}', "metadata", id="list for an object"),
    pytest.param(b'{"metadata":{"labels":["a"]}}', "metadata.labels", id="list for a map"),
    pytest.param(b'{"metadata":{"labels":{"a":1}}}', "metadata.labels[...]", id="number in a map"),
    pytest.param(b'{"metadata":{"creationTimestamp":""}}', "metadata.creationTimestamp", id="empty time"),
    pytest.param(b'{"metadata":{"creationTimestamp":"now"}}', "metadata.creationTimestamp", id="no time"),
    pytest.param(b'{"spec":{"sources":[{"repoURL":{}}]}}', "spec.sources[0].repoURL", id="deep inside"),
]


@pytest.mark.parametrize(("text", "path"), REFUSED)
def test_refusing(text: bytes, path: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        loads(Application, text)
    assert caught.value.path == path


@given(data=st.binary(max_size=100) | st.text(alphabet='{}[]":,1e.-\\unltrue ', max_size=50).map(str.encode))
@settings(max_examples=500, deadline=None)
def test_any_body_is_a_message_or_an_error(data: bytes) -> None:
    try:
        loads(Application, data)
    except InvalidObject:
        pass
