"""The API as a client meets it: the real process's parts, in this event loop, over a real cluster.

:func:`running` makes a namespace, starts all roles in it on free ports, and gives a :class:`Running`
with an HTTP client. What a test says of ``argocd-cm`` and the flags holds from the start; everything
else is done as users do it: through the API or with kubectl.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import json as jsonlib
import os
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from tests.controlplane import ControlPlane
from tests.controlplane.installation import KINDS, wait_until_served
from tests.server.grpc.client import Client
from tiphys import app

READY_SECONDS = 30.0


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return jsonlib.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Running(msgspec.Struct, eq=False):
    """A running API server and the client of one user.

    Attributes:
        base: URL without a slash at the end.
        token: bearer token of the caller; ``""`` calls as nobody.
    """

    base: str
    namespace: str
    plane: ControlPlane
    session: aiohttp.ClientSession
    ports: dict[str, int]
    token: str = ""

    @property
    def target(self) -> str:
        """``host:port`` for gRPC clients."""
        return self.base.split("//", 1)[1]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl in the control-plane namespace."""
        return self.plane.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply manifests; without a namespace they go to the control plane's."""
        text = "\n---\n".join(jsonlib.dumps(manifest) for manifest in manifests)
        self.kubectl("apply", "-f", "-", stdin=text)

    async def call(
        self,
        verb: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | list[tuple[str, str]] | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """One request; ``body`` is sent as JSON, ``token`` replaces the caller's own."""
        sent = {"Content-Type": "application/json"} if verb != "GET" else {}
        bearer = self.token if token is None else token
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        payload = jsonlib.dumps(body).encode() if body is not None else data
        async with self.session.request(
            verb,
            URL(self.base + path, encoded="%" in path),  # what is escaped stays so, as other clients do
            params=params,
            data=payload,
            headers={**sent, **(headers or {})},
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def get(self, path: str, **arguments: Any) -> Answer:
        return await self.call("GET", path, **arguments)

    async def login(self, username: str, password: str) -> str:
        """The token of a local account."""
        answer = await self.call(
            "POST", "/api/v1/session", body={"username": username, "password": password}, token=""
        )
        assert answer.status == 200, answer.text
        token: str = answer.json["token"]
        return token

    def acting(self, token: str) -> Running:
        """The same server, called by somebody else."""
        return msgspec.structs.replace(self, token=token)

    def secret(self, name: str) -> dict[str, str]:
        """The decoded data of a Secret in the control-plane namespace."""
        data = self.plane.kubectl.json("-n", self.namespace, "get", "secret", name).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def admin_password(self) -> str:
        """The password that the first start made."""
        return self.secret("argocd-initial-admin-secret")["password"]

    def grpc(self, *, web: bool = False, token: str | None = None) -> Client:
        """A gRPC (or gRPC-web) client of the same caller, which trusts the server's own certificate."""
        pem = self.secret("argocd-secret")["tls.crt"].encode() if self.base.startswith("https") else None
        bearer = self.token if token is None else token
        return Client(self.target, token=bearer, tls=pem, server_name="localhost" if pem else "", web=web)

    async def until(self, path: str, wanted: Any, *, seconds: float = 30.0, **arguments: Any) -> Answer:
        """GET until ``wanted(answer)`` is true.

        Raises:
            AssertionError: it did not become true in time; with the last answer.
        """
        limit = asyncio.get_running_loop().time() + seconds
        while True:
            answer = await self.get(path, **arguments)
            if wanted(answer):
                return answer
            assert asyncio.get_running_loop().time() < limit, f"{path}: {answer.status} {answer.text[:2000]}"
            await asyncio.sleep(0.05)


def install_kinds(plane: ControlPlane) -> None:
    """Our CustomResourceDefinitions, once."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(KINDS))
    wait_until_served(plane.kubectl)


@asynccontextmanager
async def running(
    plane: ControlPlane,
    folder: Path,
    namespace: str,
    *,
    settings: Mapping[str, str] | None = None,
    rbac: Mapping[str, str] | None = None,
    secret: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    apart: bool = False,
    insecure: bool = True,
    login: bool = True,
) -> AsyncIterator[Running]:
    """Start everything in a new namespace; the caller is ``admin`` if ``login``.

    Args:
        settings, rbac, secret: data of argocd-cm, argocd-rbac-cm and argocd-secret.
        flags: ``--flag`` → value.
        insecure: plain HTTP instead of TLS.
    """
    await asyncio.to_thread(_prepare, plane, namespace, settings or {}, rbac or {}, secret or {})
    given = {
        "--port": "0",
        "--server-metrics-port": "0",
        "--controller-metrics-port": "0",
        "--insecure": str(insecure).lower(),
        **(flags or {}),
    }

    def start(roles: tuple[str, ...], **more: str) -> _Process:
        return _Process(
            app.RunOptions(
                namespace=namespace,
                kubeconfig=plane.kubeconfig,
                cache=folder / "-".join(roles),
                flags=given | {f"--{name.replace('_', '-')}": value for name, value in more.items()},
                environ={"PATH": os.environ["PATH"], "ARGOCD_SYNC_WAVE_DELAY": "0", **(environ or {})},
                roles=roles,
            )
        )

    processes: list[_Process] = []
    try:
        if apart:
            processes.append(start(("controller",), inside_port="0"))
            port = await processes[0].port("inside")
            processes.append(start(("server",), controller_address=f"127.0.0.1:{port}"))
        else:
            processes.append(start(("controller", "server")))
        await processes[-1].port("api")
        ports = {name: port for each in processes for name, port in each.ports.items()}
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0)) as session:
            scheme = "http" if insecure else "https"
            server = Running(f"{scheme}://127.0.0.1:{ports['api']}", namespace, plane, session, ports)
            if login:
                password = await asyncio.to_thread(server.admin_password)
                server.token = await server.login("admin", password)
            yield server
    finally:
        for process in reversed(processes):
            await process.stop()
        await asyncio.to_thread(plane.kubectl, "delete", "namespace", namespace, "--wait=false")


class _Process:
    """``app.run`` in a thread with an event loop of its own: Kopf, when it stops, ends every task of the
    loop that it runs in."""

    def __init__(self, options: app.RunOptions) -> None:
        self.ports: dict[str, int] = {}
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._heard = asyncio.Condition()
        self._outside = asyncio.get_running_loop()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._options = msgspec.structs.replace(options, on_listening=self._on_listening)
        threading.Thread(target=self._work, name=f"tiphys in {options.namespace}", daemon=True).start()

    async def port(self, name: str) -> int:
        """The port of a listener, once it listens; raises what ended the process before."""
        ended = asyncio.ensure_future(asyncio.wrap_future(self._ended))
        heard = asyncio.ensure_future(self._wait_for(name))
        await asyncio.wait({ended, heard}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        if ended.done():
            await ended
        assert name in self.ports, f"nothing listens as {name} after {READY_SECONDS:.0f} s"
        return self.ports[name]

    async def stop(self) -> None:
        """End it and wait until it has ended."""
        if self._loop is not None and self._task is not None and not self._ended.done():
            self._loop.call_soon_threadsafe(self._task.cancel)
        await asyncio.wrap_future(self._ended)

    async def _wait_for(self, name: str) -> None:
        async with self._heard:
            await self._heard.wait_for(lambda: name in self.ports)

    def _on_listening(self, name: str, port: int) -> None:
        self.ports[name] = port
        asyncio.run_coroutine_threadsafe(self._notify(), self._outside)

    async def _notify(self) -> None:
        async with self._heard:
            self._heard.notify_all()

    def _work(self) -> None:
        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            with suppress(asyncio.CancelledError):
                await app.run(self._options)

        try:
            asyncio.run(main())
            self._ended.set_result(None)
        except BaseException as error:
            self._ended.set_exception(error)


def _prepare(
    plane: ControlPlane,
    namespace: str,
    settings: Mapping[str, str],
    rbac: Mapping[str, str],
    secret: Mapping[str, str],
) -> None:
    install_kinds(plane)
    plane.kubectl("create", "namespace", namespace)
    labels = {"app.kubernetes.io/part-of": "argocd"}
    objects: list[dict[str, Any]] = [
        _object("ConfigMap", "argocd-cm", labels, data=dict(settings)),
        _object("ConfigMap", "argocd-rbac-cm", labels, data=dict(rbac)),
        _object("Secret", "argocd-secret", labels, stringData=dict(secret)),
    ]
    text = "\n---\n".join(jsonlib.dumps(each) for each in objects)
    plane.kubectl("-n", namespace, "create", "-f", "-", stdin=text)


def _object(kind: str, name: str, labels: Mapping[str, str], **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}
