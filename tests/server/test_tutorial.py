"""The curl lines of the tutorials about scripts and pipelines: log in for a token, make a token of an
account with ``apiKey``, sync with it, and look for what is new without a sync (api.md 8.2, 11)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from demo.repository import Repository
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

pytestmark = pytest.mark.controlplane

POLICY = "p, pipeline, applications, get, */*, allow\np, pipeline, applications, sync, */*, allow"


@pytest_asyncio.fixture
async def api(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(
        control_plane,
        tmp_path / "api",
        unique_namespace("tutorial"),
        settings={"accounts.pipeline": "apiKey", "timeout.reconciliation": "0s"},
        rbac={"policy.csv": POLICY},
        login=False,
        insecure=False,
    ) as server:
        yield server


async def curl(*arguments: str) -> Any:
    """The JSON that curl prints; ``-k``, as in tutorials."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sSk", "--max-time", "60", *arguments, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(told)


async def test_a_pipeline_with_a_token_of_its_own(api: Running, tmp_path: Path) -> None:
    password = await asyncio.to_thread(api.admin_password)
    repository = await asyncio.to_thread(Repository.create, tmp_path / "repository")
    as_json = ("-H", "Content-Type: application/json")
    body = json.dumps({"username": "admin", "password": password})
    login = (await curl(f"{api.base}/api/v1/session", *as_json, "-d", body))["token"]
    admin = ("-H", f"Authorization: Bearer {login}", *as_json)
    key = await curl("-X", "POST", f"{api.base}/api/v1/account/pipeline/token", *admin, "-d", "{}")
    pipeline = ("-H", f"Authorization: Bearer {key['token']}", *as_json)
    destination = {"server": "https://kubernetes.default.svc", "namespace": api.namespace}
    source = {"repoURL": repository.url, "path": "plain", "targetRevision": "HEAD"}
    app = {
        "metadata": {"name": "tutorial"},
        "spec": {"project": "default", "source": source, "destination": destination},
    }
    applications = f"{api.base}/api/v1/applications"
    refused = await curl("-X", "POST", applications, *pipeline, "-d", json.dumps(app))
    assert refused["code"] == 7
    assert refused["message"].startswith(
        "permission denied: applications, create, default/tutorial, sub: pip"
    )
    await curl("-X", "POST", applications, *admin, "-d", json.dumps(app))
    started = await curl("-X", "POST", f"{applications}/tutorial/sync", *pipeline, "-d", "{}")
    assert started["operation"]["initiatedBy"] == {"username": "pipeline"}
    await api.until(
        "/api/v1/applications/tutorial",
        lambda answer: (
            answer.json["status"].get("operationState", {}).get("phase") == "Succeeded"
            and answer.json["status"]["sync"]["status"] == "Synced"
        ),
        token=key["token"],
    )
    more = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"
    repository.folder.joinpath("plain", "more.yaml").write_text(more)
    await asyncio.to_thread(repository.commit, "More")
    # one call: what is new is known, and nothing is synced
    looked = await curl(f"{applications}/tutorial?refresh=normal", *pipeline)
    assert looked["status"]["sync"]["status"] == "OutOfSync"
    assert (
        looked["status"]["sync"]["revision"] != looked["status"]["operationState"]["syncResult"]["revision"]
    )
    assert "operation" not in looked
    assert len(looked["status"]["history"]) == 1
