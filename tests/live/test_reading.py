"""What is kept of an object, and what is not."""

import sys
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.conftest import assess, config_map
from tiphys.compare.tracking import Tracking
from tiphys.kube.discovery import ApiResource
from tiphys.kube.nesting import MARK, cut
from tiphys.live.reading import KindReader, Reading, strip_managed_fields
from tiphys.live.records import LiveObject, Owner
from tiphys.resources.identity import Manifest

CONFIG_MAPS = ApiResource("", "v1", "ConfigMap", "configmaps", True)
READING = Reading(Tracking(), assess)


def kind(group: str, name: str, plural: str) -> ApiResource:
    return ApiResource(group, "v1", name, plural, True)


def served(manifest: Manifest, **metadata: Any) -> Manifest:
    stamp = {"uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z", **metadata}
    return {**manifest, "metadata": {**manifest["metadata"], **stamp}}


def record(resource: ApiResource, manifest: Manifest) -> LiveObject:
    line = orjson.dumps({"type": "ADDED", "object": manifest})
    reader = KindReader(resource, READING)
    return reader.event_record(reader.event(line), line)


def test_unmanaged_object_keeps_names_only() -> None:
    kept = record(CONFIG_MAPS, served(config_map("n", "a", x="y" * 10_000)))
    assert kept.body is None
    assert (kept.key.name, kept.uid, kept.resource_version) == ("a", "u", "7")
    assert kept.is_root
    assert kept.app_instance == ""


def test_a_claim_has_health_though_it_names_no_owner() -> None:
    """health-and-resources.md 6.6: a StatefulSet's claims are in its tree."""
    claim = served({"metadata": {"namespace": "n", "name": "data-db-0"}, "status": {"phase": "Bound"}})
    kept = record(kind("", "PersistentVolumeClaim", "persistentvolumeclaims"), claim)
    assert kept.is_root
    assert kept.health is not None


def test_managed_object_keeps_its_body() -> None:
    kept = record(CONFIG_MAPS, served(config_map("n", "a", "app", x="y")))
    assert kept.app_instance == "app"
    assert kept.tracking_id == "app:/ConfigMap:n/a"
    manifest = kept.manifest()
    assert manifest is not None
    assert (manifest["kind"], manifest["apiVersion"], manifest["data"]) == ("ConfigMap", "v1", {"x": "y"})


def test_items_of_a_page_become_the_same_records_as_events() -> None:
    objects = [served(config_map("n", f"o{i}", "app" if i % 2 else ""), uid=f"u{i}") for i in range(5)]
    bare = [
        {name: part for name, part in each.items() if name not in ("kind", "apiVersion")} for each in objects
    ]
    body = orjson.dumps({"metadata": {"resourceVersion": "9"}, "items": bare})
    reader = KindReader(CONFIG_MAPS, READING)
    page = reader.page(body)
    assert page.metadata.resource_version == "9"
    records = reader.page_records(page, lambda meta: meta.name == "o4")
    made = [*records.slice(0, 2), *records.slice(2, 50)]
    for one, manifest in zip(made, objects[:4], strict=True):
        expected = record(CONFIG_MAPS, manifest)
        assert one.manifest() == expected.manifest()
        assert one == msgspec.structs.replace(expected, details=one.details)


def test_child_with_a_copied_tracking_id_is_no_root() -> None:
    # health-and-resources.md 6.1: the name is read only without owner references
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "o"}
    kept = record(CONFIG_MAPS, served(config_map("n", "a", "app"), ownerReferences=[owner]))
    assert kept.app_instance == ""
    assert kept.owners == (Owner("apps", "ReplicaSet", "rs", "o"),)
    assert kept.body is None


@pytest.mark.parametrize(
    ("resource", "manifest", "owner"),
    [
        pytest.param(
            kind("", "Endpoints", "endpoints"),
            {"metadata": {"name": "svc", "namespace": "n"}},
            Owner("", "Service", "svc"),
            id="6.6-endpoints",
        ),
        pytest.param(
            kind("operators.coreos.com", "ClusterServiceVersion", "csvs"),
            {"metadata": {"name": "c", "namespace": "n", "annotations": {"olm.operatorGroup": "g"}}},
            Owner("operators.coreos.com", "OperatorGroup", "g"),
            id="6.6-csv",
        ),
        pytest.param(
            kind("", "Secret", "secrets"),
            {
                "type": "kubernetes.io/service-account-token",
                "metadata": {
                    "name": "t",
                    "namespace": "n",
                    "annotations": {
                        "kubernetes.io/service-account.name": "sa",
                        "kubernetes.io/service-account.uid": "su",
                    },
                },
            },
            Owner("", "ServiceAccount", "sa", "su"),
            id="6.6-token-secret",
        ),
    ],
)
def test_parents_are_inferred(resource: ApiResource, manifest: Manifest, owner: Owner) -> None:
    kept = record(resource, served(manifest))
    assert kept.owners == (owner,)
    assert not kept.is_root


def test_token_secret_needs_name_and_uid() -> None:
    manifest = {
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "sa"}},
    }
    assert record(kind("", "Secret", "secrets"), served(manifest)).is_root


def test_managed_fields_are_reduced_to_what_proofs_need() -> None:
    whole = {
        "metadata": {
            "name": "a",
            "managedFields": [
                {
                    "manager": "argocd-controller",
                    "operation": "Apply",
                    "time": "t",
                    "fieldsV1": {"f:spec": {}},
                },
                {
                    "manager": "kcm",
                    "operation": "Update",
                    "subresource": "status",
                    "fieldsV1": {"f:status": {}},
                },
                {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {}}},
            ],
        }
    }
    original = orjson.dumps(whole)
    copy = dict(whole)
    strip_managed_fields(copy)
    assert copy["metadata"]["managedFields"] == [
        {"manager": "argocd-controller", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
        {"manager": "kcm", "operation": "Update", "subresource": "status"},
        {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {}}},
    ]
    assert orjson.dumps(whole) == original


def test_crds_keep_their_body_compressed_and_say_what_they_serve() -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.x"},
        "spec": {
            "group": "x",
            "names": {"kind": "Thing"},
            "versions": [{"name": "v1", "served": True}, {"name": "v0", "served": False}],
            "filler": "z" * 50_000,
        },
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }
    kept = record(kind("apiextensions.k8s.io", "CustomResourceDefinition", "crds"), served(crd))
    assert kept.details.established
    assert [str(gvk.version) for gvk in kept.details.serves] == ["v1"]
    assert len(kept.details.body) < 2_000
    assert kept.manifest() == served(crd)


def test_marks_are_read_from_annotations() -> None:
    manifest = config_map("n", "a", "app")
    manifest["metadata"]["annotations"] |= {
        "argocd.argoproj.io/sync-wave": "-3",
        "argocd.argoproj.io/hook": "PreSync",
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        "argocd.argoproj.io/ignore-healthcheck": "true",
    }
    kept = record(CONFIG_MAPS, served(manifest))
    assert (kept.sync_wave, kept.is_hook, kept.ignore_extraneous, kept.ignore_health) == (
        -3,
        True,
        True,
        True,
    )


def test_a_record_of_an_unmanaged_object_is_small() -> None:
    kept = record(
        CONFIG_MAPS, served(config_map("namespace", "some-config-map-1234", x="y" * 1000), uid="0" * 36)
    )
    own = [kept, kept.key, kept.key.name, kept.uid, kept.resource_version, kept.created_at]
    assert sum(sys.getsizeof(part) for part in own) < 500


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"a": value}
    return value


_LINK = "link.argocd.argoproj.io/docs"
_TRACKED = {"argocd.argoproj.io/tracking-id": "app:example.com/Thing:n/a"}


@pytest.mark.parametrize(
    ("resource", "parts", "annotations"),
    [
        pytest.param(
            kind("apps", "Deployment", "deployments"), {"spec": {}}, {_LINK: "http://[bad"}, id="8.1-link"
        ),
        pytest.param(
            kind("networking.istio.io", "VirtualService", "virtualservices"),
            {"spec": {"http": ["x", 3]}},
            {},
            id="8.3-virtual-service-without-schema",
        ),
        pytest.param(
            kind("gateway.networking.k8s.io", "Gateway", "gateways"),
            {"spec": {"listeners": [3]}},
            {},
            id="8.3-gateway-without-schema",
        ),
        pytest.param(
            kind("example.com", "Thing", "things"), {"spec": _nested(400)}, {}, id="too-deep-to-be-written"
        ),
        pytest.param(kind("example.com", "Thing", "things"), {"spec": 3, "status": [[]]}, {}, id="no-fields"),
    ],
)
def test_an_object_that_makes_no_sense_costs_only_itself(
    resource: ApiResource, parts: dict[str, Any], annotations: dict[str, str]
) -> None:
    manifest = {"metadata": {"name": "a", "namespace": "n", "annotations": {**_TRACKED, **annotations}}}
    text = msgspec.json.encode({"type": "ADDED", "object": {**served(manifest), **parts}})
    reader = KindReader(resource, READING)
    kept = reader.event_record(reader.event(text), text)
    assert (kept.key.name, kept.app_instance, kept.resource_version) == ("a", "app", "7")


def _deep(depth: int) -> str:
    return '{"a":' * depth + '"]}\\\\"' + "}" * depth


@pytest.mark.parametrize("depth", [300, 1010, 1100, 9000])
@pytest.mark.parametrize("tracked", [True, False])
def test_one_object_nested_too_deeply_costs_nobody_else(depth: int, tracked: bool) -> None:
    reader = KindReader(kind("example.com", "Thing", "things"), READING)
    annotations = _TRACKED if tracked else {}

    def item(name: str, spec: str) -> str:
        metadata = {**served({"metadata": {"namespace": "n", "annotations": annotations}})["metadata"]}
        head = orjson.dumps({"metadata": {**metadata, "name": name, "uid": name}}).decode()
        return f'{head[:-1]},"spec":{spec}}}'

    items = [item("one", '{"a":["}"]}'), item("deep", _deep(depth)), item("two", "{}")]
    body = f'{{"items":[{",".join(items)}],"metadata":{{"resourceVersion":"9"}}}}'.encode()
    page = reader.page(body)
    assert page.metadata.resource_version == "9"
    one, deep, two = reader.page_records(page, lambda meta: False).slice(0, 9)
    assert [each.key.name for each in (one, deep, two)] == ["one", "deep", "two"]
    assert (one.unreadable, two.unreadable) == ("", "")
    assert one.manifest() == reader.manifest_record(orjson.loads(items[0])).manifest()
    for text in items:
        line = f'{{"type":"MODIFIED","object":{text}}}'.encode()
        event = reader.event(line)
        again = reader.event_record(event, line)
        assert (again.app_instance, again.uid) == ("app" if tracked else "", again.key.name)
        assert bool(again.unreadable) == (tracked and again.key.name == "deep")
    assert bool(deep.unreadable) == tracked


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.text() | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(_JSON, st.integers(0, 6))
def test_cutting_leaves_json_of_no_more_levels(value: Any, levels: int) -> None:
    def cut_off(part: Any, left: int) -> Any:
        if not isinstance(part, list | dict):
            return part
        if not left:
            return orjson.loads(MARK)
        if isinstance(part, list):
            return [cut_off(each, left - 1) for each in part]
        return {name: cut_off(each, left - 1) for name, each in part.items()}

    assert orjson.loads(cut(orjson.dumps(value), levels)) == cut_off(value, levels)


def test_an_assessment_that_fails_is_the_health_of_that_object() -> None:
    def broken(manifest: Manifest) -> None:
        raise RecursionError("too deep")

    reader = KindReader(kind("example.com", "Thing", "things"), Reading(Tracking(), broken))
    manifest = served({"metadata": {"name": "a", "namespace": "n", "annotations": _TRACKED}})
    health = reader.manifest_record(manifest).health
    assert health is not None
    assert (health.status, health.message) == (
        "Unknown",
        "the object cannot be assessed: RecursionError: too deep",
    )
