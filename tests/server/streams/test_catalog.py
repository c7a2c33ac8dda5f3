"""The catalogue of Applications: order of lists, filters, and that it stays equal to the store."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application, decode
from tiphys.resources.gojson import dumps
from tiphys.resources.identity import AppKey
from tiphys.resources.wire.codec import encode
from tiphys.server.streams.catalog import Catalog, Filters
from tiphys.server.streams.fragments import Codec, Fragments
from tiphys.server.streams.selectors import Selector


class Shelf:
    """A store and the catalogue over it."""

    def __init__(self) -> None:
        self.store: Store[Application] = Store(decode)
        self.catalog = Catalog(self.store, Fragments(self.store, Codec(dumps, encode)), "argocd")
        self.version = 0

    def put(self, name: str, namespace: str = "argocd", project: str = "", **rest: Any) -> None:
        self.version += 1
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}/{name}",
            "resourceVersion": str(self.version),
            "labels": rest.pop("labels", {}),
        }
        self.store.put({"metadata": metadata, "spec": {"project": project, **rest}})

    def names(self, filters: Filters = Filters(), permits: Any = lambda name: True) -> list[str]:  # noqa: B008
        return ["/".join(reversed(entry.order)) for entry in self.catalog.find(filters, permits)]


@pytest.fixture
def shelf() -> Shelf:
    shelf = Shelf()
    shelf.put("b", project="p", labels={"tier": "x"}, source={"repoURL": "https://one"})
    shelf.put("a", "other", project="p")
    shelf.put("c", project="q", labels={"tier": "y"}, sources=[{"repoURL": "https://two"}])
    shelf.put("a")
    return shelf


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (Filters(), ["argocd/a", "other/a", "argocd/b", "argocd/c"]),
        (Filters(name="a"), ["argocd/a", "other/a"]),
        (Filters(name="a", projects=frozenset({"p"})), ["other/a"]),
        (Filters(namespace="other"), ["other/a"]),
        (Filters(projects=frozenset({"q", "default"})), ["argocd/a", "argocd/c"]),
        (Filters(projects=frozenset({"none"})), []),
        (Filters(selector=Selector("tier")), ["argocd/b", "argocd/c"]),
        (Filters(selector=Selector("tier!=x"), projects=frozenset({"p"})), ["other/a"]),
        (Filters(repo="https://one"), ["argocd/b"]),
        (Filters(repo="https://two"), ["argocd/c"]),
        (Filters(repo="https://one/"), []),
        (Filters(namespaces=lambda namespace: namespace == "argocd"), ["argocd/a", "argocd/b", "argocd/c"]),
        (Filters(namespace="other", namespaces=lambda namespace: namespace == "argocd"), []),
    ],
)
def test_filters(shelf: Shelf, filters: Filters, names: list[str]) -> None:
    assert shelf.names(filters) == names  # api.md 8.2 "List"


def test_only_what_is_permitted_is_found(shelf: Shelf) -> None:
    assert shelf.names(permits=lambda name: name in ("p/other/a", "default/a")) == ["argocd/a", "other/a"]


def test_what_a_viewer_may_see_is_remembered_until_rights_or_members_change() -> None:
    shelf = Shelf()
    for number in range(20):
        shelf.put(f"app-{number:02d}", project="p")
    asked: list[str] = []
    may = {"p/app-03", "p/app-07"}

    def permits(name: str) -> bool:
        asked.append(name)
        return name in may

    def seen(generation: int, filters: Filters = Filters()) -> list[str]:  # noqa: B008
        asked.clear()
        return [entry.order[0] for entry in shelf.catalog.find(filters, permits, ("ada", generation))]

    assert (seen(1), len(asked)) == (["app-03", "app-07"], 20)
    shelf.put("app-03", project="p", labels={"new": "yes"})
    assert (seen(1), len(asked)) == (["app-03", "app-07"], 0)
    assert (seen(1, Filters(selector=Selector("new"))), len(asked)) == (["app-03"], 0)
    assert (seen(1, Filters(name="app-07")), len(asked)) == (["app-07"], 1)
    may.add("p/app-09")
    assert (seen(2), len(asked)) == (["app-03", "app-07", "app-09"], 20)
    shelf.put("app-03", project="q")
    assert (seen(2), len(asked)) == (["app-07", "app-09"], 20)
    shelf.store.delete(AppKey("argocd", "app-07"))
    assert (seen(2), len(asked)) == (["app-09"], 19)
    for _ in range(2):
        found = shelf.catalog.find(Filters(), lambda name: True, ("bob", 2))
        assert len(found) == 19
    shelf.put("new", project="p")
    assert len(shelf.catalog.find(Filters(), lambda name: name != "p/new", ("bob", 2))) == 19
    assert seen(2) == ["app-09"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["argocd", "x"]),
        st.sampled_from(["p", "q", ""]),
        st.booleans(),
    ),
    max_size=30,
)


@given(STEPS)
def test_the_catalogue_is_always_what_the_store_holds(steps: list[tuple[str, str, str, bool]]) -> None:
    shelf = Shelf()
    for name, namespace, project, gone in steps:
        if gone:
            shelf.store.delete(AppKey(namespace, name))
        else:
            shelf.put(name, namespace, project, labels={"v": str(shelf.version)})
            # a deleted uid never comes back: another object takes the name
            shelf.store._deleted.clear()
        apps = sorted(shelf.store, key=lambda app: (app.metadata.name, app.metadata.namespace))
        found = shelf.catalog.find(Filters(), lambda name: True)
        assert [entry.app for entry in found] == apps
        for each in ("p", "q", "default"):
            some = shelf.catalog.find(Filters(projects=frozenset({each})), lambda name: True)
            assert [entry.app for entry in some] == [app for app in apps if app.spec.project_name == each]
