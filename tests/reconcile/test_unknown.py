"""Fields that our types do not have survive what we write (a definition of our kinds may be newer)."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tiphys.projects.validate import normalize_spec
from tiphys.reconcile.statuses import merge_patch, status_patch, with_history
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unknown import Unknown, unknown_of, with_unknown
from tiphys.resources.application import Application, decode, to_json
from tiphys.resources.identity import AppKey, Manifest

NEW = {"brandNew": {"inner": [1, {"two": 2}]}}
MORE = [{"deep": NEW}]


def manifest() -> Manifest:
    source = {"repoURL": "https://git.example/r", "path": "p", **NEW}
    entry = {"revision": "a", "id": 4, "deployedAt": "2024-01-01T00:00:00Z", "source": source, **NEW}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "a", "namespace": "argocd", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "project": "",
            "sources": [{**source, "helm": {}}, {**source, "ref": "values"}],
            "destination": {"server": "https://kubernetes.default.svc", **NEW},
            "syncPolicy": {"automated": {"prune": True, **NEW}, **NEW},
            "ignoreDifferences": [{"kind": "Service", "jsonPointers": ["/spec"], **NEW}],
            **NEW,
        },
        "status": {
            "history": [entry],
            "sync": {"status": "Synced", **NEW},
            "health": {"status": "Healthy", **NEW},
            "more": MORE,
            "operationState": {
                "phase": "Succeeded",
                "startedAt": "2024-01-01T00:00:00Z",
                "operation": {"sync": {}},
                "syncResult": {"revision": "b", "source": {"repoURL": "https://git.example/r"}},
            },
        },
    }


def applied(value: Any, patch: Any) -> Any:
    """What the API server does with a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, each in patch.items():
        if each is None:
            result.pop(key, None)
        else:
            result[key] = applied(result.get(key), each)
    return result


def test_a_patch_names_only_known_fields_that_differ() -> None:
    app = decode(manifest())
    sync = msgspec.structs.replace(app.status.sync, status="OutOfSync", revision="c")
    patch = status_patch(app.status, msgspec.structs.replace(app.status, sync=sync))
    assert patch == {"sync": {"status": "OutOfSync", "revision": "c"}}


def test_what_is_unknown_survives_in_objects_and_in_lists() -> None:
    """The most that is ever written: a normalised spec, and a status with one entry of history more."""
    read = manifest()
    app = decode(read)
    kept = unknown_of(None, app, read, None)
    assert kept is not None
    status = with_history(app, app.status, datetime(2024, 2, 2, tzinfo=UTC))
    spec = normalize_spec(app.spec)
    body = {
        "spec": merge_patch(to_json(app.spec), to_json(spec)),
        "status": status_patch(app.status, status),
    }
    result = applied(read, with_unknown(app, body, kept))
    wanted = copy.deepcopy(read)
    wanted["spec"]["project"] = "default"
    del wanted["spec"]["sources"][0]["helm"]
    assert result["spec"] == wanted["spec"]
    first, second = result["status"].pop("history")
    assert [first] == wanted["status"].pop("history")
    assert (second["id"], second["revision"]) == (5, "b")
    assert result["status"] == wanted["status"]


def known_only() -> Manifest:
    stripped = manifest()
    spec, status = stripped["spec"], stripped["status"]
    for part in (*spec["sources"], *status["history"], status["history"][0]["source"]):
        part.pop("brandNew")
    spec["sources"][0].pop("helm")
    status["history"][0]["initiatedBy"] = {}
    return stripped


def test_where_our_types_say_it_all_nothing_is_kept() -> None:
    read = known_only()
    app = decode(read)
    assert unknown_of(None, app, read, None) is None
    body = {"status": {"history": [{"id": 4}]}}
    assert with_unknown(app, body, None) is body


def test_an_unchanged_history_is_not_looked_through_again() -> None:
    read = manifest()
    app = decode(read)
    before = Unknown((), {4: {"id": 4, "from": "before"}})
    found = unknown_of(app, app, read, before)
    assert found is not None
    assert found.history == before.history
    assert len(found.sources) == 2


@pytest.mark.parametrize("end", ["deleted", "another of its name", "nothing unknown any more"])
def test_what_is_kept_goes_with_its_application(end: str) -> None:
    store: Store[Application] = Store(decode, unknown_of)
    key = AppKey("argocd", "a")
    store.put(manifest())
    assert store.kept(key) is not None
    later = known_only()
    later["metadata"] |= {"resourceVersion": "2"}
    if end == "deleted":
        store.delete(key, "u")
    elif end == "another of its name":
        later["metadata"]["uid"] = "other"
        store.put(later)
    else:
        later["status"]["history"][0]["revision"] = "other"
        store.put(later)
    assert store.kept(key) is None
