"""Writers put their answers into the settings at once; the watch tells the same later."""

from typing import Any

import pytest

from tiphys.resources.identity import ResourceKey
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

NAME = "repo-1"
KEY = ResourceKey("", "Secret", "argocd", NAME)


def secret(version: int, user: str, *, uid: str = "u1", labelled: bool = True) -> dict[str, Any]:
    labels = {"argocd.argoproj.io/secret-type": "repository"} if labelled else {}
    metadata = {"name": NAME, "namespace": "argocd", "labels": labels, "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, "resourceVersion": str(version)},
        "stringData": {"url": "https://x/y", "username": user},
    }


@pytest.fixture
def store() -> SettingsStore:
    return SettingsStore("argocd", Params())


def users(store: SettingsStore) -> list[str]:
    return [each.username for each in store.snapshot.repositories.read]


def test_an_older_event_undoes_no_write(store: SettingsStore) -> None:
    store.put(secret(9, "ada"))
    store.put(secret(10, "bob"))
    store.put(secret(9, "ada"))
    assert users(store) == ["bob"]
    store.put(secret(10, "bob"))
    store.put(secret(11, "cat"))
    assert users(store) == ["cat"]


@pytest.mark.parametrize("uid", ["", "u1"])
def test_what_is_gone_stays_gone(store: SettingsStore, uid: str) -> None:
    store.put(secret(9, "ada"))
    store.delete(KEY, uid)
    store.put(secret(10, "ada"))
    assert users(store) == []
    store.put(secret(12, "bob", uid="u2"))
    assert users(store) == ["bob"]


def test_the_end_of_an_object_is_not_that_of_its_namesake(store: SettingsStore) -> None:
    store.put(secret(9, "ada"))
    store.put(secret(12, "bob", uid="u2"))
    store.delete(KEY, "u1")
    assert users(store) == ["bob"]
    store.delete(KEY, "u2")
    assert users(store) == []


def test_a_lost_label_is_not_found_again_by_an_older_event(store: SettingsStore) -> None:
    store.put(secret(9, "ada"))
    store.put(secret(10, "ada", labelled=False))
    store.put(secret(9, "ada"))
    assert users(store) == []
    store.put(secret(11, "ada"))
    assert users(store) == ["ada"]
