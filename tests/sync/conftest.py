"""A client of the control plane and a namespace for each test."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.resources.identity import GVK


@pytest_asyncio.fixture(scope="session")
async def client(control_plane: Any) -> AsyncIterator[ClusterClient]:
    found = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    yield found
    await found.close()


@pytest_asyncio.fixture
async def namespace(client: ClusterClient) -> AsyncIterator[str]:
    """A fresh namespace, ready for Pods."""
    name = f"sync-{uuid.uuid4().hex[:10]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await client.delete(GVK("", "v1", "Namespace"), "", name, propagation_policy="Background")
