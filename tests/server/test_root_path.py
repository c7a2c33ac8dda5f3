"""``--rootpath`` in the running process (api.md 1): every way to the API lives below it, and what it says
of itself is right there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import pytest_asyncio

from tests.access.oidc.conftest import Provider, issuer, oidc_config, provider
from tests.access.oidc.idp import SECRET
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.extensions.conftest import application, service
from tests.server.grpc.client import CallFailed, Client
from tests.server.running import Running, running

__all__ = ["issuer", "provider"]  # fixtures

pytestmark = pytest.mark.controlplane

ROOT = "/team/cd"
RBAC = {
    "policy.csv": "g, dev, role:readonly\np, role:readonly, extensions, invoke, *, allow",
    "scopes": "[groups]",
}


class Rooted(msgspec.Struct, eq=False):
    """``api`` knows the port only, ``inside`` what is below the root path."""

    api: Running
    inside: Running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rooted(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rooted]:
    folder: Path = tmp_path_factory.mktemp("rooted")
    (folder / "ui").mkdir()
    (folder / "ui/index.html").write_text('<html><head><base href="/"></head>the page</html>')
    (folder / "ui/main.0123.js").write_text("code")
    with service() as port:
        async with running(
            control_plane,
            folder / "cache",
            unique_namespace("rooted"),
            settings={"extension.config.echo": f"services: [{{url: 'http://127.0.0.1:{port}'}}]"},
            rbac=RBAC,
            secret={"oidc.secret": SECRET},
            flags={
                "--rootpath": ROOT,
                "--staticassets": str(folder / "ui"),
                "--enable-proxy-extension": "true",
            },
            login=False,
        ) as api:
            inside = msgspec.structs.replace(api, base=api.base + ROOT)
            inside.token = await inside.login("admin", await asyncio.to_thread(api.admin_password))
            yield Rooted(api, inside)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/version",
        "/api/v1/applications",
        "/swagger.json",
        "/auth/login",
        "/teamcd/api/version",
        f"{ROOT}extra/api/version",
        f"{ROOT.upper()}/api/version",
    ],
)
async def test_nothing_is_outside(rooted: Rooted, path: str) -> None:
    answer = await rooted.api.get(path, token=rooted.inside.token)
    assert (answer.status, answer.text) == (404, "404 page not found\n")


async def test_rest(rooted: Rooted) -> None:
    assert (await rooted.api.get("/healthz")).text == (await rooted.inside.get("/healthz")).text == "ok\n"
    assert (await rooted.inside.get("/api/version")).json["Version"]
    listed = await rooted.inside.get("/api/v1/applications")
    assert (listed.status, listed.json["items"]) == (200, None)
    in_cluster = "https%3A%2F%2Fkubernetes.default.svc"
    assert (await rooted.inside.get(f"/api/v1/clusters/{in_cluster}")).json["name"] == "in-cluster"
    nothing = await rooted.inside.get("/api/v1/nothing")
    assert (nothing.status, nothing.text) == (404, "Not Found\n")
    webhook = await rooted.inside.call("POST", "/api/webhook", body={}, headers={"X-GitHub-Event": "ping"})
    assert webhook.status in (200, 400)
    assert (await rooted.inside.get("/terminal")).status == 404
    badge = await rooted.inside.get("/api/badge?name=x", token="")
    assert badge.headers["Content-Type"] == "image/svg+xml"


async def test_cookies_belong_to_it(rooted: Rooted) -> None:
    body = {"username": "admin", "password": await asyncio.to_thread(rooted.api.admin_password)}
    answer = await rooted.inside.call("POST", "/api/v1/session", body=body, token="")
    token, *options = answer.headers["Set-Cookie"].split("; ")
    assert f"path={ROOT}" in options
    who = await rooted.inside.get("/api/v1/session/userinfo", headers={"Cookie": token}, token="")
    assert who.json["username"] == "admin"


async def test_grpc(rooted: Rooted) -> None:
    """gRPC-web below the path (the client's ``--grpc-web-root-path``); gRPC has no paths of its own."""
    target, token = rooted.api.target, rooted.inside.token
    async with Client(target, token=token, web=True, root=ROOT) as client:
        assert "items" not in await client.call("application.ApplicationService/List", {})
    async with Client(target, token=token, web=True) as client:
        with pytest.raises((CallFailed, AssertionError)):
            await client.call("application.ApplicationService/List", {})
    async with Client(target, token=token) as client:
        assert "items" not in await client.call("application.ApplicationService/List", {})


async def test_documents(rooted: Rooted) -> None:
    document = (await rooted.inside.get("/swagger.json")).json
    assert "/api/v1/applications" in document["paths"]
    page = await rooted.inside.get("/swagger-ui")
    assert page.status == 200
    assert 'fetch("swagger.json")' in page.text  # beside the page


async def test_the_ui(rooted: Rooted) -> None:
    """Its files, and its page for every path of its own, which says where it lives."""
    bare = await rooted.api.get(ROOT)
    assert (bare.status, bare.headers["Location"]) == (301, f"{ROOT}/")
    for path in ("/", "/applications/argocd/shop"):
        page = await rooted.inside.get(path, headers={"Accept": "text/html"}, token="")
        assert (page.status, f'<base href="{ROOT}/">' in page.text) == (200, True), page.text
    code = await rooted.inside.get("/main.0123.js", token="")
    assert (code.text, code.headers["X-Frame-Options"]) == ("code", "sameorigin")
    assert (await rooted.inside.get("/../../etc/passwd", token="")).status == 404


async def test_extensions(rooted: Rooted) -> None:
    """The service knows nothing of the path."""
    namespace = rooted.api.namespace
    await asyncio.to_thread(
        rooted.api.kubectl, "apply", "-f", "-", stdin=json.dumps(application("rooted-shop", "default"))
    )
    project = {"spec": {"destinations": [{"server": "*", "namespace": "*"}], "sourceRepos": ["*"]}}
    await asyncio.to_thread(
        rooted.api.kubectl, "patch", "appproject", "default", "--type=merge", "-p", json.dumps(project)
    )
    policy = {"data": {"policy.csv": RBAC["policy.csv"] + "\np, admin, extensions, invoke, *, allow"}}
    await asyncio.to_thread(
        rooted.api.kubectl, "patch", "configmap", "argocd-rbac-cm", "--type=merge", "-p", json.dumps(policy)
    )
    headers = {
        "Cookie": f"argocd.token={rooted.inside.token}",
        "Argocd-Application-Name": f"{namespace}:rooted-shop",
        "Argocd-Project-Name": "default",
    }
    found = await rooted.inside.until(
        "/extensions/echo/a/b?c=d", lambda answer: answer.status == 200, headers=headers, token=""
    )
    assert found.json["target"] == "/a/b?c=d"


async def test_sso(rooted: Rooted, provider: Provider) -> None:
    """To the provider and back: all addresses have the path in them."""
    data = {"url": rooted.inside.base, "oidc.config": oidc_config(provider.issuer)}
    await asyncio.to_thread(
        rooted.api.kubectl,
        *("patch", "configmap", "argocd-cm", "--type=merge", "-p", json.dumps({"data": data})),
    )
    begun = await rooted.inside.until("/auth/login", lambda answer: answer.status == 303, token="")
    asked = parse_qs(urlsplit(begun.headers["Location"]).query)
    assert asked["redirect_uri"] == [f"{rooted.inside.base}/auth/callback"]
    state, *options = begun.headers["Set-Cookie"].split("; ")
    assert f"path={ROOT}" in options
    returned = urlsplit(await provider.authorize(begun.headers["Location"]))
    assert returned.path == f"{ROOT}/auth/callback"
    done = await rooted.api.get(f"{returned.path}?{returned.query}", headers={"Cookie": state}, token="")
    assert (done.status, done.headers["Location"]) == (303, f"{ROOT}/"), done.text
    async with rooted.api.session.get(
        f"{rooted.inside.base}/auth/login?return_url={rooted.inside.base}/applications", allow_redirects=False
    ) as answer:
        assert answer.status == 303
    elsewhere = await rooted.inside.get(f"/auth/login?return_url={rooted.api.base}/other", token="")
    assert elsewhere.status == 400
    out = await rooted.inside.get(
        "/auth/logout", headers={"Cookie": f"argocd.token={rooted.inside.token}"}, token=""
    )
    assert (out.status, out.headers["Location"]) == (303, rooted.inside.base)
