"""A client of the control plane and a namespace for each test."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest_asyncio

from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.kube.errors import ApiError
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
    await release(client, name)
    await client.delete(GVK("", "v1", "Namespace"), "", name, propagation_policy="Background")


async def release(client: ClusterClient, namespace: str) -> None:
    """Take the finalizers off what a test left unfinished, so that its namespace can go."""
    for gvk, path in ((GVK("batch", "v1", "Job"), "/apis/batch/v1"), (GVK("", "v1", "ConfigMap"), "/api/v1")):
        plural = f"{gvk.kind.lower()}s"
        answer = await client.raw("GET", f"{path}/namespaces/{namespace}/{plural}")
        for item in orjson.loads(answer.body)["items"]:
            if item["metadata"].get("finalizers"):
                with contextlib.suppress(ApiError):
                    body = {"metadata": {"finalizers": None}}
                    kind = "application/merge-patch+json"
                    await client.patch(gvk, namespace, item["metadata"]["name"], body, kind)
