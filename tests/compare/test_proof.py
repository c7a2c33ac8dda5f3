"""The proof by ``managedFields`` in places where random edits rarely come (findings: algorithm S)."""

from typing import Any

import pytest

from tests.compare.differential import SERVER_SIDE
from tiphys.compare.proof import nearly_proves
from tiphys.compare.verdicts import compare

HTTP, DNS_TCP, DNS_UDP = (
    'k:{"port":80,"protocol":"TCP"}',
    'k:{"port":53,"protocol":"TCP"}',
    'k:{"port":53,"protocol":"UDP"}',
)


def leaves(*names: str) -> dict[str, Any]:
    return {f"f:{name}": {} for name in names}


def item(*names: str) -> dict[str, Any]:
    return {".": {}, **leaves(*names)}


def service(ports: list[dict[str, Any]], fields: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "web", "namespace": "default"}
    if fields is not None:
        entry = {"manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1"}
        metadata["managedFields"] = [{**entry, "fieldsV1": {"f:spec": {"f:ports": fields}}}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}


TCP, UDP = {"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}
BOTH = {DNS_TCP: item("port", "protocol"), DNS_UDP: item("port", "protocol")}


@pytest.mark.parametrize(
    ("wanted", "fields", "live", "proven"),
    [
        pytest.param([{"port": 80}], {HTTP: item("port")}, [{"port": 80, "protocol": "TCP"}], True, id="9"),
        pytest.param([TCP, UDP], BOTH, [TCP, UDP], True, id="8"),
        pytest.param([UDP, TCP], BOTH, [TCP, UDP], False, id="8 another order"),
        pytest.param([TCP, UDP], BOTH, [TCP, {"port": 1, "protocol": "TCP"}, UDP], True, id="8 one between"),
        pytest.param([TCP, UDP], BOTH, [TCP, UDP, UDP], False, id="10 twice live"),
        pytest.param([TCP, TCP], BOTH, [TCP, UDP], False, id="10 wanted twice"),
        pytest.param([{"port": 53}], {DNS_TCP: item("port", "protocol")}, [TCP], False, id="9 was explicit"),
        pytest.param([{"port": 53}], {HTTP: item("port")}, [TCP], False, id="9 another one"),
        pytest.param(
            [{"port": 53}, {"port": 53, "name": "b"}],
            {DNS_TCP: item("port"), DNS_UDP: item("port", "name")},
            [TCP, {**UDP, "name": "b"}],
            False,
            id="9 two may be meant",
        ),
        pytest.param([{"port": True}], {HTTP: item("port")}, [{"port": 1, "protocol": "TCP"}], False, id="4"),
        pytest.param(
            [["port"]], {HTTP: item("port")}, [{"port": 80, "protocol": "TCP"}], False, id="8 no map"
        ),
        pytest.param([{"port": 80}], {HTTP: {}}, [{"port": 80, "protocol": "TCP"}], False, id="whole item"),
    ],
)
def test_lists_keyed_by_several_fields(
    wanted: list[Any], fields: dict[str, Any], live: list[Any], proven: bool
) -> None:
    owned = {"f:spec": {"f:ports": fields}}
    assert (nearly_proves(service(wanted), service(live), owned) == ()) is proven


@pytest.mark.parametrize(
    ("wanted", "owned", "proven"),
    [
        pytest.param({"a": "x", "value": ""}, leaves("a", "value"), True, id="14 says nothing"),
        pytest.param({"a": "x", "value": "y"}, leaves("a", "value"), False, id="14 says something"),
        pytest.param({"a": "x", "other": ""}, leaves("a", "other"), False, id="14 may be kept"),
        pytest.param(
            {"a": "x", "value": ""}, {"f:a": {}, "f:value": leaves("b")}, False, id="14 owned inside"
        ),
        pytest.param({"a": "x", "value": ""}, leaves("a", "paused"), False, id="3 not owned"),
        pytest.param({"a": "x", "b": "y"}, leaves("a", "value"), False, id="3 something else is owned"),
    ],
)
def test_what_does_not_live(wanted: dict[str, Any], owned: dict[str, Any], proven: bool) -> None:
    target = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    live = {**target, "spec": {"a": "x"}}
    assert (nearly_proves({**target, "spec": wanted}, live, {"f:spec": owned}) == ()) is proven


def test_a_node_is_open_once_though_its_map_is_read_again() -> None:
    target = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    found = nearly_proves(
        {**target, "spec": {"whole": {"b": 1}, "value": ""}},
        {**target, "spec": {"whole": {"b": 1, "c": 2}}},
        {"f:spec": leaves("whole", "value")},
    )
    assert found is not None
    assert [node.path for node in found] == [("spec", "whole")]


def policy(port: Any, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"ingress": [{"ports": [{"port": port, **more}]}]},
    }


def test_what_was_judged_once_is_judged_anew_when_it_changes() -> None:
    entry = {
        "manager": "argocd-controller",
        "operation": "Apply",
        "apiVersion": "networking.k8s.io/v1",
        "fieldsV1": {"f:spec": {"f:ingress": {}}},
    }

    def judged(wanted: Any, present: Any) -> str:
        live = policy(present, protocol="TCP")
        live["metadata"] = {**live["metadata"], "managedFields": [entry]}
        return compare(policy(wanted), live, SERVER_SIDE).outcome

    huge = 2**70
    assert [judged(80, 80), judged(80, 81), judged(80, 80)] == ["same", "different", "same"]
    assert [judged(huge, huge), judged(huge, huge + 1)] == ["same", "different"]
