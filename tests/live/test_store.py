"""The indexes of the store: by application, by owner, by namespace; and the tree over them."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tiphys.live.records import (
    NO_DETAILS,
    Details,
    HostDetails,
    LiveObject,
    NodeInfo,
    Owner,
)
from tiphys.live.store import Store
from tiphys.live.tree import hosts, resource_tree, summarize
from tiphys.resources.identity import GroupKind, ResourceKey
from tiphys.resources.messages.trees import InfoItem, ResourceNetworkingInfo


def live(
    kind: str,
    name: str,
    owners: Sequence[Owner] = (),
    instance: str = "",
    *,
    namespace: str = "n",
    group: str = "",
    uid: str = "",
    **details: object,
) -> LiveObject:
    kept = Details(owners=tuple(owners), carried_instance=instance, **details)  # type: ignore[arg-type]
    return LiveObject(
        key=ResourceKey(group, kind, namespace, name),
        version="v1",
        uid=uid or f"uid-{kind}-{name}",
        resource_version="1",
        app_instance=instance,
        details=kept if kept != Details() else NO_DETAILS,
    )


def owned_by(parent: LiveObject) -> Owner:
    return Owner(parent.key.group, parent.key.kind, parent.key.name, parent.uid)


def as_json(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def everything(record: LiveObject) -> bool:
    return True


def test_application_is_found_through_owners() -> None:
    store = Store()
    deployment = store.put(live("Deployment", "d", instance="app", group="apps"))
    replica_set = store.put(live("ReplicaSet", "r", [owned_by(deployment)], group="apps"))
    pod = store.put(live("Pod", "p", [owned_by(replica_set)]))
    assert store.instance_of(pod) == "app"
    assert list(store.managed("app")) == [deployment.key]
    store.remove(deployment.key)
    assert store.instance_of(pod) == ""
    assert not store.managed("app")


def test_owner_with_another_uid_is_a_namesake() -> None:
    store = Store()
    store.put(live("Deployment", "d", instance="app", uid="new"))
    orphan = store.put(live("Pod", "p", [Owner("", "Deployment", "d", "old")]))
    assert store.instance_of(orphan) == ""


def test_cycles_end() -> None:
    store = Store()
    one, two = (
        live("A", "a", [Owner("", "B", "b", "uid-B-b")]),
        live("B", "b", [Owner("", "A", "a", "uid-A-a")]),
    )
    store.put(one)
    store.put(two)
    assert store.instance_of(one) == ""
    assert len(resource_tree(store, [one.key], everything)) == 2


def test_moving_to_another_application_leaves_the_first() -> None:
    store = Store()
    store.put(live("ConfigMap", "c", instance="one"))
    moved = store.put(live("ConfigMap", "c", instance="two"))
    assert not store.managed("one")
    assert list(store.managed("two")) == [moved.key]
    assert store.instances() == {"two"}


def test_cluster_scoped_parent_has_children_in_every_namespace() -> None:
    # health-and-resources.md 6.6
    store = Store()
    parent = store.put(live("Parent", "p", namespace=""))
    chain = store.put(live("Middle", "m", [owned_by(parent)], namespace=""))
    for namespace in ("one", "two"):
        store.put(live("Child", "c", [owned_by(chain)], namespace=namespace, uid=namespace))
    nodes = resource_tree(store, [parent.key], everything)
    assert [(node.kind, node.namespace) for node in nodes] == [
        ("Child", "one"),
        ("Child", "two"),
        ("Middle", ""),
        ("Parent", ""),
    ]
    assert nodes[0].parent_refs[0].namespace == ""


def test_children_of_a_name_without_uid() -> None:
    store = Store()
    service = store.put(live("Service", "s"))
    store.put(live("Endpoints", "s", [Owner("", "Service", "s")]))
    store.put(live("Endpoints", "s", [Owner("", "Service", "s")], namespace="other", uid="x"))
    assert [child.key.namespace for child in store.children(service)] == ["n"]


def test_one_object_in_two_groups_counts_once() -> None:
    store = Store()
    parent = store.put(live("Parent", "p"))
    for group in ("extensions", "apps"):
        store.put(live("Thing", "t", [owned_by(parent)], group=group, uid="same"))
    assert [child.key.group for child in store.children(parent)] == ["apps"]


def test_claims_of_a_stateful_set_come_and_go_with_it() -> None:
    store = Store()
    claim = live("PersistentVolumeClaim", "data-web-0", instance="app")
    unrelated = live("PersistentVolumeClaim", "data-web-x", uid="x")
    store.put(claim)
    store.put(unrelated)
    assert list(store.managed("app")) == [claim.key]
    owner = store.put(live("StatefulSet", "web", group="apps", templates=("data",)))
    assert [child.key.name for child in store.children(owner)] == ["data-web-0"]
    assert not store.managed("app")  # no root any more
    late = store.put(live("PersistentVolumeClaim", "data-web-1", uid="late"))
    assert late.owners == (owned_by(owner),)
    store.remove(owner.key)
    restored = store.get(claim.key)
    assert restored is not None
    assert restored.is_root
    assert list(store.managed("app")) == [claim.key]


def test_what_is_not_permitted_is_left_out_with_its_subtree() -> None:
    # health-and-resources.md 9.2
    store = Store()
    top = store.put(live("Deployment", "d"))
    middle = store.put(live("ReplicaSet", "r", [owned_by(top)]))
    store.put(live("Pod", "p", [owned_by(middle)]))
    nodes = resource_tree(store, [top.key], lambda record: record.key.kind != "ReplicaSet")
    assert [node.kind for node in nodes] == ["Deployment"]


def test_node_json_has_the_reference_names() -> None:
    # health-and-resources.md 9.1
    store = Store()
    top = store.put(live("Service", "s"))
    info = NodeInfo((InfoItem(name="Node"),), ("i:1",), ResourceNetworkingInfo(external_urls=("http://x",)))
    store.put(live("Pod", "p", [owned_by(top)], info=info))
    node = resource_tree(store, [top.key], everything)[0]
    assert as_json(node) == {
        "version": "v1",
        "kind": "Pod",
        "namespace": "n",
        "name": "p",
        "uid": "uid-Pod-p",
        # no version: owners are named by group and kind
        "parentRefs": [{"kind": "Service", "namespace": "n", "name": "s", "uid": "uid-Service-s"}],
        "info": [{"name": "Node"}],
        "networkingInfo": {"externalURLs": ["http://x"]},
        "resourceVersion": "1",
        "images": ["i:1"],
    }
    summary = summarize(store, [top.key], everything)
    assert (summary.external_urls, summary.images, summary.is_app_of_apps) == (("http://x",), ("i:1",), False)
    summary = summarize(store, [top.key], lambda record: record.key != top.key)  # what a project forbids
    assert (summary.external_urls, summary.images) == ((), ())


def test_hosts_sum_requests_of_own_and_other_pods() -> None:
    # health-and-resources.md 9.4
    store = Store()
    host = HostDetails({"cpu": 4000, "memory": 0}, {"osImage": "os"}, {"zone": "a", "secret": "b"})
    store.put(live("Node", "node-1", namespace="", info=NodeInfo(host=host)))
    for name, cpu in (("own", "100"), ("other", "250")):
        shown = (InfoItem(name="Node", value="a label"), InfoItem(name="cpu", value="a label, too"))
        items = (*shown, InfoItem(name="Node", value="node-1"), InfoItem(name="cpu", value=cpu))
        store.put(live("Pod", name, info=NodeInfo(items)))
    nodes = resource_tree(store, [ResourceKey("", "Pod", "n", "own")], everything)
    found = hosts(store, nodes, frozenset({"zone"}))
    assert [(each.name, each.labels) for each in found] == [("node-1", {"zone": "a"})]
    assert as_json(found[0].resources_info) == [
        {"resourceName": "cpu", "requestedByApp": 100, "requestedByNeighbors": 250, "capacity": 4000}
    ]


names = st.sampled_from(["a", "b", "c"])
steps = st.lists(
    st.tuples(st.booleans(), names, st.sampled_from(["", "one", "two"]), st.sampled_from(["", "a", "b"])),
    max_size=40,
)


@given(steps)
def test_indexes_agree_with_a_scan_after_any_history(history: list[tuple[bool, str, str, str]]) -> None:
    store = Store()
    alive: dict[ResourceKey, LiveObject] = {}
    for is_put, name, instance, owner in history:
        owners = [Owner("", "K", owner, f"uid-K-{owner}")] if owner else []
        record = live("K", name, owners, "" if owners else instance)
        if is_put:
            store.put(record)
            alive[record.key] = record
        else:
            store.remove(record.key)
            alive.pop(record.key, None)
    assert len(store) == len(alive)
    assert {record.key for record in store.in_namespace("n")} == set(alive)
    for instance in ("one", "two"):
        expected = {key for key, record in alive.items() if record.app_instance == instance}
        assert set(store.managed(instance)) == expected
    for record in alive.values():
        expected = {key for key, each in alive.items() if any(o.uid == record.uid for o in each.owners)}
        assert {child.key for child in store.children(record)} == expected
    assert set(store.of_kind(GroupKind("", "K"))) or not alive
