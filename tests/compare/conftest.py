"""A namespace of our own on the real API server, with two custom kinds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from tests.compare.samples import CRDS
from tests.compare.server import Refused, Server
from tests.controlplane import ControlPlane


@pytest.fixture(scope="session")
def server(control_plane: ControlPlane) -> Server:
    return with_kinds(Server(control_plane.kubeconfig))


def with_kinds(server: Server) -> Server:
    """The server, once it serves the custom kinds of the samples."""
    for crd in CRDS:
        try:
            server.create(crd)
        except Refused as refusal:
            if refusal.status != 409:
                raise
    for crd in CRDS:
        _wait_served(server, crd["spec"]["names"]["plural"], crd["spec"]["group"])
    return server


def _wait_served(server: Server, plural: str, group: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            server.request("GET", f"/apis/{group}/v1/{plural}")
            return
        except Refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture
def namespace(server: Server) -> Iterator[str]:
    name = f"compare-{uuid.uuid4().hex[:8]}"
    server.request(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    yield name
    server.request("DELETE", f"/api/v1/namespaces/{name}")
