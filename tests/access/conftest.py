"""A namespace of one's own on the control plane, and Access in it."""

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from tests.controlplane import ControlPlane
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.resources.identity import GVK


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[ClusterClient]:
    made = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    yield made
    await made.close()


@pytest.fixture
async def namespace(client: ClusterClient) -> AsyncIterator[str]:
    name = f"access-{uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await client.delete(GVK("", "v1", "Namespace"), "", name)


@pytest.fixture
def no_pause() -> Callable[[float], object]:
    async def sleep(seconds: float) -> None:
        assert 0.5 <= seconds <= 1.0  # the padding of api.md 11

    return sleep
