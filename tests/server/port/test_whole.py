"""The port of the running process with TLS: as an installation has it after ``kubectl apply``."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.port.running import until
from tests.server.running import Running, running
from tiphys.server.port.certificates import generate
from tiphys.server.port.metrics import DISABLED


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(control_plane: ControlPlane, tmp_path_factory) -> AsyncIterator[Running]:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("port")
    async with running(control_plane, folder, unique_namespace("port"), insecure=False) as started:
        yield started


def shown(server: Running) -> bytes:
    host, port = server.target.split(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)))) or b""


def stored(server: Running) -> dict[str, str]:
    secret = server.plane.kubectl.json("-n", server.namespace, "get", "secret", "argocd-secret")
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def test_the_generated_certificate_is_stored(server: Running) -> None:
    data = await asyncio.to_thread(stored, server)
    assert ssl.PEM_cert_to_DER_cert(data["tls.crt"]) == await asyncio.to_thread(shown, server)


async def test_plain_requests_are_sent_to_tls(server: Running) -> None:
    async with server.session.get(f"http://{server.target}/a?b=c", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, f"https://{server.target}/a?b=c")


async def test_cookies_are_for_tls_only(server: Running) -> None:
    body = {"username": "admin", "password": await asyncio.to_thread(server.admin_password)}
    answer = await server.call("POST", "/api/v1/session", body=body, token="")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("argocd.token=ey")
    assert cookie.endswith("; path=/; SameSite=lax; httpOnly; Secure")
    token = cookie.split(";")[0]
    answer = await server.get("/api/v1/session/userinfo", token="", headers={"Cookie": token})
    assert answer.json["username"] == "admin"


async def test_health_and_the_second_listener(server: Running) -> None:
    assert (await server.get("/healthz?full=true", token="")).body == b"ok\n"
    base = f"http://127.0.0.1:{server.ports['api-metrics']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/metrics") as answer:
            text = await answer.text()
        assert 'grpc_server_handled_total{grpc_code="OK",grpc_method="Create"' in text
        assert 'argocd_login_request_total{status="success"}' in text
        assert "argocd_info{version=" in text
        async with session.get(f"{base}/debug/pprof/heap") as answer:
            assert (answer.status, await answer.text()) == (401, f"{DISABLED}\n")


async def test_a_certificate_of_ones_own_counts_at_once(server: Running) -> None:
    """``kubectl create secret tls argocd-server-tls``: no label, no restart (api.md 15)."""
    own = generate("example", datetime.now(UTC))
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "argocd-server-tls"},
        "stringData": {"tls.crt": own.certificate, "tls.key": own.key},
    }
    await asyncio.to_thread(server.kubectl, "create", "-f", "-", stdin=json.dumps(manifest))

    async def is_shown() -> bool:
        return await asyncio.to_thread(shown, server) == ssl.PEM_cert_to_DER_cert(own.certificate)

    async def is_alone() -> bool:
        return "tls.key" not in await asyncio.to_thread(stored, server)

    await until(is_shown)
    await until(is_alone)
    assert (await server.get("/api/version")).status == 200
