"""What changes around an operation while its last write is on its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.gitservers import Authority, GitRepo
from tests.reconcile.test_black_holes import (
    BlackHole,
    application,
    black_hole,
    config_map,
    creation_webhook,
    tls_of,
)
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(150)]


@asynccontextmanager
async def creations_held(plane: ControlPlane, folder: Path, namespace: str) -> AsyncIterator[BlackHole]:
    """ConfigMaps that are created in ``namespace`` wait until the hole is closed."""
    authority = Authority()
    async with black_hole(await asyncio.to_thread(tls_of, authority, folder)) as hole:
        webhook = creation_webhook(namespace, hole.port, authority, failurePolicy="Ignore")
        await asyncio.to_thread(plane.kubectl, "apply", "-f", "-", stdin=json.dumps(webhook))
        try:
            yield hole
        finally:
            await asyncio.to_thread(
                plane.kubectl, "delete", "validatingwebhookconfigurations", namespace, "--ignore-not-found"
            )


async def is_told(api: Running, name: str, condition: str) -> None:
    await api.until(
        f"/api/v1/applications/{name}",
        lambda answer: (
            condition in [each["type"] for each in answer.json.get("status", {}).get("conditions") or ()]
        ),
        seconds=60.0,
    )


async def is_running(api: Running, name: str) -> None:
    await api.until(
        f"/api/v1/applications/{name}",
        lambda answer: answer.json.get("status", {}).get("operationState", {}).get("phase") == "Running",
        seconds=60.0,
    )


async def test_a_project_that_is_narrowed_during_the_last_write(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = unique_namespace("narrow")
    held, project = f"{namespace}-held", f"{namespace}-p"
    repository = GitRepo(tmp_path / "good")
    repository.commit({"app/cm.yaml": config_map("one"), "none/.keep": ""})

    def admitting(*namespaces: str) -> dict[str, Any]:
        destinations = [{"server": "*", "namespace": each} for each in namespaces]
        spec = {"sourceRepos": ["*"], "destinations": destinations}
        metadata = {"name": project}
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": metadata,
            "spec": spec,
        }

    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", held)
    async with (
        creations_held(control_plane, tmp_path, held) as hole,
        running(
            control_plane, tmp_path / "cache", namespace, settings={"timeout.reconciliation": "0s"}
        ) as api,
    ):
        waits = dict(application(f"{namespace}-waits", repository.url, held))
        other = dict(application(f"{namespace}-other", repository.url, held, "none"))
        for each in (waits, other):
            each["spec"] = {**each["spec"], "project": project}
        await asyncio.to_thread(api.apply, admitting(held), waits, other)
        await is_running(api, waits["metadata"]["name"])
        await asyncio.to_thread(api.apply, admitting())
        await is_told(api, other["metadata"]["name"], "InvalidSpecError")  # the controller knows by now
        hole.close()
        await is_told(api, waits["metadata"]["name"], "InvalidSpecError")
