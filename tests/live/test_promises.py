"""When what the cluster serves is what its definitions promise (health-and-resources.md 6.3)."""

from typing import Any

import orjson
import pytest

from tests.live.conftest import assess
from tiphys.compare.tracking import Tracking
from tiphys.kube.discovery import ApiResource, Discovery
from tiphys.live.followers import _promises_kept
from tiphys.live.reading import KindReader, Reading
from tiphys.live.store import Store
from tiphys.resources.identity import Manifest

SERVICES = ApiResource("apiregistration.k8s.io", "v1", "APIService", "apiservices", False)
DEFINITIONS = ApiResource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "crds", False)


def service(status: str, *, own: bool = False) -> Manifest:
    spec: dict[str, Any] = {"group": "far.example", "version": "v1"}
    if not own:
        spec["service"] = {"name": "far", "namespace": "far"}
    conditions = [{"type": "Available", "status": status}]
    return {"metadata": {"name": "v1.far.example"}, "spec": spec, "status": {"conditions": conditions}}


def definition(status: str) -> Manifest:
    spec = {
        "group": "far.example",
        "names": {"kind": "Thing"},
        "versions": [{"name": "v1", "served": True}],
    }
    conditions = [{"type": "Established", "status": status}]
    return {"metadata": {"name": "things.far.example"}, "spec": spec, "status": {"conditions": conditions}}


NOTHING = Discovery((), "v1.35.0", {})
STALE = Discovery((), "v1.35.0", {"far.example/v1": "does not answer"}, group_versions=("far.example/v1",))
READ = Discovery(
    (ApiResource("far.example", "v1", "Thing", "things", True),),
    "v1.35.0",
    {},
    group_versions=("far.example/v1",),
)


@pytest.mark.parametrize(
    ("resource", "manifest", "served", "kept"),
    [
        pytest.param(SERVICES, service("True"), NOTHING, False, id="available-but-not-listed-yet"),
        pytest.param(SERVICES, service("True"), STALE, False, id="available-but-stale"),
        pytest.param(SERVICES, service("True"), READ, True, id="available"),
        pytest.param(SERVICES, service("False"), NOTHING, True, id="nobody-waits-for-the-dead"),
        pytest.param(SERVICES, service("True", own=True), NOTHING, True, id="of-the-server-itself"),
        pytest.param(DEFINITIONS, definition("True"), NOTHING, False, id="established-but-not-listed-yet"),
        pytest.param(DEFINITIONS, definition("True"), READ, True, id="established"),
        pytest.param(DEFINITIONS, definition("False"), NOTHING, True, id="not-established"),
    ],
)
def test_promises(resource: ApiResource, manifest: Manifest, served: Discovery, kept: bool) -> None:
    reader = KindReader(resource, Reading(Tracking(), assess))
    line = orjson.dumps({"type": "ADDED", "object": manifest})
    store = Store()
    store.put(reader.event_record(reader.event(line), line))
    assert _promises_kept(served, store) is kept
