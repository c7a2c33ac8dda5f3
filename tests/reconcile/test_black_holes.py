"""Repositories and webhooks that never answer, many Applications on them, and one that goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.gitservers import Authority, GitRepo
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running
from tiphys.sources.git.advertisement import USER_AGENT

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(150)]

SERVER = "https://kubernetes.default.svc"
FOREVER = "100s"
APPS = 50


class BlackHole:
    """A port that takes connections and says nothing; ``given_up`` counts clients that had enough, but for
    those who tried the short way first."""

    def __init__(self) -> None:
        self.port = 0
        self.given_up = 0
        self._over = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.ensure_future(reader.read())
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait((ended, over), return_when=asyncio.FIRST_COMPLETED)
        self.given_up += ended.done() and USER_AGENT.encode() not in ended.result()
        for each in (ended, over):
            each.cancel()
        writer.close()

    def close(self) -> None:
        self._over.set()


@asynccontextmanager
async def black_hole(tls: ssl.SSLContext | None = None) -> AsyncIterator[BlackHole]:
    made = BlackHole()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.close()
        server.close()


def application(name: str, repository: str, namespace: str, path: str = "app") -> Mapping[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name},
        "spec": {
            "project": "default",
            "source": {"repoURL": repository, "path": path, "targetRevision": "main"},
            "destination": {"server": SERVER, "namespace": namespace},
            "syncPolicy": {"automated": {}},
        },
    }


def tls_of(authority: Authority, folder: Path) -> ssl.SSLContext:
    for name, text in zip(("crt", "key"), authority.issue("localhost"), strict=True):
        (folder / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "crt", folder / "key")
    return context


def config_map(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


def creation_webhook(namespace: str, port: int, authority: Authority, **more: Any) -> dict[str, Any]:
    """A webhook that is asked before a ConfigMap is created in ``namespace``, whose name it has."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "asked.example.org",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 30,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["configmaps"],
                    }
                ],
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/",
                    "caBundle": base64.b64encode(authority.pem.encode()).decode(),
                },
                **more,
            }
        ],
    }


async def synced(api: Running, name: str) -> None:
    await api.until(
        f"/api/v1/applications/{name}",
        lambda answer: answer.json.get("status", {}).get("sync", {}).get("status") == "Synced",
        seconds=60.0,
    )


async def test_repositories_that_never_answer(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Some on one repository, each of others on its own: more than workers, more than conversations."""
    namespace = unique_namespace("hole")
    GitRepo(tmp_path / "good").commit({"app/cm.yaml": config_map("good")})
    limits = {"ARGOCD_GIT_REQUEST_TIMEOUT": FOREVER, "ARGOCD_EXEC_TIMEOUT": FOREVER}
    async with (
        black_hole() as hole,
        running(control_plane, tmp_path / "cache", namespace, environ=limits) as api,
    ):
        url = f"http://127.0.0.1:{hole.port}"
        urls = [f"{url}/one"] * APPS + [f"{url}/each-{number}" for number in range(APPS)]
        bad = [application(f"{namespace}-bad-{n}", url, namespace) for n, url in enumerate(urls)]
        await asyncio.to_thread(api.apply, *bad)
        await asyncio.to_thread(
            api.apply, application(f"{namespace}-good", f"file://{tmp_path}/good", namespace)
        )
        await synced(api, f"{namespace}-good")
        assert not hole.given_up  # the others wait still


async def test_a_webhook_that_never_answers(control_plane: ControlPlane, tmp_path: Path) -> None:
    namespace = unique_namespace("hook")
    held = f"{namespace}-held"
    repository = GitRepo(tmp_path / "good")
    repository.commit(
        {f"held/{n}/cm.yaml": config_map(f"held-{n}") for n in range(APPS)}
        | {"app/cm.yaml": config_map("good")}
    )
    authority = Authority()
    async with (
        black_hole(await asyncio.to_thread(tls_of, authority, tmp_path)) as hole,
        running(control_plane, tmp_path / "cache", namespace) as api,
    ):
        webhook = creation_webhook(held, hole.port, authority)
        kubectl = control_plane.kubectl
        await asyncio.to_thread(kubectl, "create", "namespace", held)
        try:
            await asyncio.to_thread(kubectl, "apply", "-f", "-", stdin=json.dumps(webhook))
            bad = [
                application(f"{namespace}-bad-{n}", repository.url, held, f"held/{n}") for n in range(APPS)
            ]
            await asyncio.to_thread(api.apply, *bad)
            await asyncio.to_thread(api.apply, application(f"{namespace}-good", repository.url, namespace))
            await synced(api, f"{namespace}-good")
            assert not hole.given_up  # the others wait still
        finally:
            await asyncio.to_thread(kubectl, "delete", "validatingwebhookconfigurations", held)
            await asyncio.to_thread(kubectl, "delete", "namespace", held, "--wait=false")
