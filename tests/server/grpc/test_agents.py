"""Which clients are too old, asked of the running server (api.md 2 "Client version check")."""

from __future__ import annotations

import pytest

from tests.server.grpc.client import CallFailed, Client, message, rpcs
from tests.server.running import Running

pytestmark = pytest.mark.controlplane

VERSION = "version.VersionService/Version"
OLD = "unsatisfied client version constraint: "
UNREADABLE = "could not parse version from user-agent: "
AGENTS = [
    pytest.param("argocd-client/v3.6.0+abc1234 grpc-go/1.79.1", "", id="published"),
    pytest.param("argocd-client/v3.6.0-rc1+abc1234 grpc-go/1.79.1", "", id="candidate"),
    pytest.param("argocd-client/1.4.0", "", id="oldest"),
    pytest.param("argocd-client/v2", "", id="parts-are-missing"),
    pytest.param("argocd-client/1.4.0-rc1", "", id="what-follows-a-hyphen-does-not-count"),
    pytest.param("argocd-client", "", id="no-version"),
    pytest.param("argocd-client/1/0", "", id="another-form"),
    pytest.param("my-client/0.1 (argocd-clients/0.1)", "", id="somebody-else"),
    pytest.param("argocd-client/1.3.9", f"{OLD}1.3.9 is less than 1.4.0", id="old"),
    pytest.param("argocd-client/v1.2+x", f"{OLD}1.2.0+x is less than 1.4.0", id="old-and-short"),
    pytest.param("grpc-go/1.15.0", f"{OLD}>= 1.4.0", id="legacy"),
    pytest.param("grpc-go/1.15.0 other", "", id="legacy-and-more"),
    pytest.param("argocd-client/latest", f"{UNREADABLE}argocd-client/latest", id="text"),
    pytest.param("argocd-client/", f"{UNREADABLE}argocd-client/", id="empty"),
    pytest.param("argocd-client/1.2.3.4 x", f"{UNREADABLE}argocd-client/1.2.3.4", id="four-parts"),
    pytest.param("x argocd-client/-1", f"{UNREADABLE}argocd-client/-1", id="negative"),
]


@pytest.mark.parametrize(("agent", "refusal"), AGENTS)
async def test_over_grpc_web(api: Running, agent: str, refusal: str) -> None:
    """Headers of the request are its metadata (api.md 5)."""
    rpc = rpcs()[VERSION]
    data = message(rpc.request, {}).SerializeToString()
    answer = await api.call(
        "POST",
        f"/{VERSION}",
        headers={"Content-Type": "application/grpc-web+proto", "User-Agent": agent},
        data=b"\0" + len(data).to_bytes(4, "big") + data,
        token="",
    )
    assert answer.status == 200
    told = {name.lower(): value for name, value in answer.headers.items()}
    assert told.get("grpc-message", "") == refusal
    wanted = "3" if refusal.startswith(UNREADABLE) else "9"
    assert told.get("grpc-status", "0") == (wanted if refusal else "0")


@pytest.mark.parametrize(
    ("agent", "refusal"),
    [
        ("argocd-client/latest", f"InvalidArgument desc = {UNREADABLE}argocd-client/latest"),
        ("argocd-client/1.3.9", f"FailedPrecondition desc = {OLD}1.3.9 is less than 1.4.0"),
    ],
)
async def test_over_grpc(api: Running, agent: str, refusal: str) -> None:
    async with Client(api.target, options=[("grpc.primary_user_agent", agent)]) as client:
        with pytest.raises(CallFailed) as failed:
            await client.call(VERSION)
    assert str(failed.value) == f"rpc error: code = {refusal}"


async def test_not_over_rest(api: Running) -> None:
    """The reference's gateway is a client of its own."""
    answer = await api.get("/api/version", headers={"User-Agent": "argocd-client/latest"})
    assert answer.status == 200
