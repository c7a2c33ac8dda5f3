"""REST, gRPC and gRPC-web on the one port of the running process, with and without TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.repository import Repository
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

GUESTBOOK: dict[str, Any] = {
    "metadata": {"name": "guestbook"},
    "spec": {
        "project": "default",
        "source": {"repoURL": "", "path": "."},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "guestbook"},
    },
}


@pytest.mark.parametrize("insecure", [True, False], ids=["plain", "tls"])
async def test_every_transport(control_plane: ControlPlane, tmp_path: Path, insecure: bool) -> None:
    async with running(control_plane, tmp_path, unique_namespace("port"), insecure=insecure) as api:
        assert (await api.get("/healthz")).text == "ok\n"
        version = (await api.get("/api/version")).json
        for web in (False, True):
            async with api.grpc(web=web) as client:
                assert await client.call("version.VersionService/Version", {}) == version
                listed = await client.call("application.ApplicationService/List", {})
                assert "items" not in listed


async def test_what_is_made_over_one_is_seen_over_the_others(api: Running, tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repository").url
    body = {**GUESTBOOK, "spec": {**GUESTBOOK["spec"], "source": {"repoURL": repository, "path": "plain"}}}
    made = await api.call("POST", "/api/v1/applications", body=body)
    assert made.status == 200, made.text
    for web in (False, True):
        async with api.grpc(web=web) as client:
            got = await client.call("application.ApplicationService/Get", {"name": "guestbook"})
            assert got["spec"]["source"]["repoURL"] == repository
            listed = await client.call("application.ApplicationService/List", {})
            assert [item["metadata"]["name"] for item in listed["items"]] == ["guestbook"]
