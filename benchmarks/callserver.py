"""The API over gRPC with real tokens, policies and port: the server of B12.

    python -m benchmarks.callserver APPLICATIONS KUBECONFIG [CERTIFICATE KEY]

As ``benchmarks.apiserver`` (Applications in memory, everything between socket and store the product's own),
and also tokens that are verified, and ``Get`` reads from the Kubernetes of KUBECONFIG. Prints its port and
the token of ``admin``; with a certificate the port speaks TLS. A line ``RATE SECONDS SUBSCRIBERS`` on its
standard input makes changes once so many watch: it is answered by ``ready``, and by the number of changes at
the end. Runs on one core.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
import sys
from typing import Any, cast

import msgspec

from benchmarks.apiserver import NAMESPACE, Bench
from tiphys.access.access import Access
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.resources.gojson import dumps
from tiphys.resources.identity import AppKey
from tiphys.resources.wire.codec import encode
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import methods_of
from tiphys.server.grpc.protocol import GrpcProtocol
from tiphys.server.guard import Guard
from tiphys.server.http.app import build_app
from tiphys.server.http.options import HttpOptions
from tiphys.server.port.listener import ApiPort, NoTls, PortOptions
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.listing import ApplicationListing
from tiphys.server.services.applications.reading import ApplicationReading
from tiphys.server.services.applications.watching import ApplicationWatching
from tiphys.server.services.version import VersionService
from tiphys.server.streams.catalog import Catalog
from tiphys.server.streams.fragments import Codec, Fragments

LABELS = {"app.kubernetes.io/part-of": "argocd"}


class _Counted:
    def started(self, method: Any) -> None: ...
    def received(self, method: Any) -> None: ...
    def sent(self, method: Any) -> None: ...
    def handled(self, method: Any, code: Any, seconds: float) -> None: ...


class _Trees:
    async def tree(self, app: Any) -> None:
        """None is known: health is shown as stored."""


class _Tls:
    def __init__(self, certificate: str, key: str):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["http/1.1", "h2"])


def access_of(bench: Bench) -> Access:
    """Accounts, tokens and policies as configured in an installation without changes."""
    for name, data in (("argocd-cm", {}), ("argocd-rbac-cm", {"policy.default": ""})):
        bench.state.settings_store.put(_object("ConfigMap", name, data))
    secret = {"server.secretkey": base64.b64encode(b"x" * 44).decode()}
    bench.state.settings_store.put(_object("Secret", "argocd-secret", secret))
    projects = bench.state.projects
    return Access(
        bench.state.settings_store,
        lambda name: projects.get(AppKey(NAMESPACE, name)),
        projects.listen,
        cast(Any, None),
        NAMESPACE,
        bench.state.clock,
    )


def _object(kind: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": LABELS, "uid": name, "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


async def serve(size: int, kubeconfig: str, tls: tuple[str, ...]) -> None:
    """Serve until standard input ends."""
    # Nothing of a call is written in this measurement; the product writes a line for each.
    logging.disable(logging.INFO)
    bench = Bench(size)
    bench.fill()
    client = ClusterClient(from_kubeconfig(kubeconfig))
    bench.state = msgspec.structs.replace(bench.state, client=client, live=cast(Any, _Trees()))
    access = access_of(bench)
    guard = Guard(access.enforcer)
    fragments: Fragments[Any] = Fragments(bench.apps, Codec(dumps, encode))
    catalog = Catalog(bench.apps, fragments, NAMESPACE)
    reached = AppAccess(bench.state, guard)
    services = (
        VersionService({}),
        ApplicationListing(bench.state, guard, catalog),
        ApplicationReading(bench.state, reached, cast(Any, None), fragments, bench.feed),
        ApplicationWatching(bench.state, guard, catalog, bench.feed),
    )
    methods = [method for service in services for method in methods_of(service)]
    invoker = Invoker(access.authenticator, _Counted())
    port = ApiPort(
        build_app(methods, invoker, HttpOptions()),
        GrpcProtocol(methods, invoker),
        _Tls(*tls) if tls else NoTls(),
        PortOptions(host="127.0.0.1", port=0),
    )
    async with port.serve() as number:
        print(number, access.sessions.issue("admin:login", 3600, "bench"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            rate, seconds, subscribers = map(float, line.split())
            await bench.feed.has(int(subscribers))
            print("ready", flush=True)
            for changed in range(int(rate * seconds)):
                bench.put(changed % size)
                await asyncio.sleep(1 / rate)
            print(int(rate * seconds), flush=True)
    await client.close()


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:])))
