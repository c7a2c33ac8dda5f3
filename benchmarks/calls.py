"""``python -m benchmarks.calls``: B12, what calls and connections over gRPC cost.

--calls 6000           unary calls of each kind
--at-once 40           as many on the way, on four connections
--size 6000            Applications
--subscribers 1000     clients that watch while five Applications change each second
--seconds 10           for how long
--connections 500      idle connections, after one call each

CPU of the server's process (verified token, compiled policies, the real port), and memory by what its
resident size grows. ``rate`` is calls for each second of CPU, so what one core can answer; the client is
grpcio in this process. See ``benchmarks/callserver.py`` for the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import msgspec
from aiohttp import web

from benchmarks.apiserver import application
from benchmarks.meter import cpu_seconds, resident_mib
from tests.server.grpc.client import message, rpcs

VERSION = "version.VersionService/Version"
GET = "application.ApplicationService/Get"
OBJECT = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/app-00042"
LIST = "application.ApplicationService/List"
WATCH = "application.ApplicationService/Watch"
RATE = 5
ROUNDS = 5
CONNECTIONS = 4
UNLIMITED = [("grpc.max_receive_message_length", -1)]
ROOT = Path(__file__).resolve().parents[1]


class Row(msgspec.Struct):
    """One line of the table."""

    what: str
    figure: str
    to_reach: str = ""


class Target(msgspec.Struct, frozen=True):
    """The server."""

    process: asyncio.subprocess.Process
    address: str
    token: str

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return [("token", self.token)]


@asynccontextmanager
async def kubernetes(folder: Path) -> AsyncIterator[Path]:
    """As much of an API server as ``Get`` asks: discovery, and one Application. Gives a kubeconfig."""
    kinds = [{"name": "applications", "kind": "Application", "namespaced": True, "verbs": ["get"]}]
    version = {"groupVersion": "argoproj.io/v1alpha1", "version": "v1alpha1"}
    group = {"name": "argoproj.io", "versions": [version], "preferredVersion": version}
    answers = {
        "/version": {"gitVersion": "v1.36.0", "major": "1", "minor": "36"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
        "/apis": {"kind": "APIGroupList", "groups": [group]},
        "/apis/argoproj.io/v1alpha1": {"kind": "APIResourceList", **version, "resources": kinds},
        OBJECT: {"kind": "Application", "apiVersion": "argoproj.io/v1alpha1", **application(42, 1)},
    }
    bodies = {path: json.dumps(answer).encode() for path, answer in answers.items()}

    async def answer(request: web.Request) -> web.Response:
        body = bodies.get(request.path)
        return web.Response(status=200 if body else 404, body=body, content_type="application/json")

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(made, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        config = {
            "current-context": "bench",
            "contexts": [{"name": "bench", "context": {"cluster": "bench"}}],
            "clusters": [{"name": "bench", "cluster": {"server": url}}],
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(config))
        yield file
    finally:
        await runner.cleanup()


@asynccontextmanager
async def server(
    size: int, kubeconfig: Path, certificate: tuple[Path, Path] | None = None
) -> AsyncIterator[Target]:
    """A server in a process of its own."""
    arguments = [str(size), str(kubeconfig), *map(str, certificate or ())]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.callserver",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port, token = (await process.stdout.readline()).decode().split()
        yield Target(process, f"127.0.0.1:{port}", token)
    finally:
        process.stdin.close()
        await process.wait()


def channel(target: Target, number: int, certificate: tuple[Path, Path] | None = None) -> grpc.aio.Channel:
    """A connection of its own: channels with equal options would share one."""
    options = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1), ("bench", number)]
    if certificate is None:
        return grpc.aio.insecure_channel(target.address, options=options)
    credentials = grpc.ssl_channel_credentials(certificate[0].read_bytes())
    return grpc.aio.secure_channel(target.address, credentials, options=options)


async def unary(target: Target, path: str, request: dict[str, Any], calls: int, at_once: int) -> float:
    """CPU seconds of the server for one call."""
    payload = message(rpcs()[path].request, request).SerializeToString()
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(channel(target, each)) for each in range(CONNECTIONS)]
        methods = [each.unary_unary(f"/{path}") for each in made]

        async def work(number: int, count: int) -> None:
            for _ in range(count):
                await methods[number % CONNECTIONS](payload, metadata=target.metadata)

        await asyncio.gather(*(work(number, 10) for number in range(CONNECTIONS)))
        before = cpu_seconds([target.pid])
        await asyncio.gather(*(work(number, calls // at_once) for number in range(at_once)))
        return (cpu_seconds([target.pid]) - before) / (calls // at_once * at_once)


async def lists(target: Target, times: int) -> tuple[float, float, int]:
    """CPU seconds of a full list over gRPC and over REST, ``times`` of each in a row and by turns, and the
    size of the former."""
    async with channel(target, 0) as made, aiohttp.ClientSession(read_bufsize=1 << 20) as session:
        method = made.unary_unary(f"/{LIST}")
        headers = {"Authorization": f"Bearer {target.token}", "Accept-Encoding": "identity"}

        async def over_grpc() -> int:
            return len(await method(b"", metadata=target.metadata))

        async def over_rest() -> int:
            async with session.get(f"http://{target.address}/api/v1/applications", headers=headers) as answer:
                assert answer.status == 200
                return len(await answer.read())

        size = await over_grpc()
        await over_rest()
        spent = [0.0, 0.0]
        for _ in range(ROUNDS):  # by turns: the machine's speed changes while they go on
            for place, ask in enumerate((over_grpc, over_rest)):
                before = cpu_seconds([target.pid])
                for _ in range(times):
                    await ask()
                spent[place] += cpu_seconds([target.pid]) - before
        return spent[0] / times / ROUNDS, spent[1] / times / ROUNDS, size


async def watches(target: Target, subscribers: int, seconds: float) -> tuple[float, int, int]:
    """CPU seconds of the server for each second, events received, and events to receive."""
    assert target.process.stdin is not None
    assert target.process.stdout is not None
    request = message(rpcs()[WATCH].request, {"resourceVersion": "1"}).SerializeToString()
    received = 0
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(channel(target, each)) for each in range(CONNECTIONS)]

        async def watch(number: int) -> None:
            nonlocal received
            method = made[number % CONNECTIONS].unary_stream(f"/{WATCH}")
            async for _ in method(request, metadata=target.metadata):
                received += 1

        # The first call of somebody logged in makes room for more than a hundred at once.
        await asyncio.gather(
            *(each.unary_unary(f"/{VERSION}")(b"", metadata=target.metadata) for each in made)
        )
        tasks = [asyncio.create_task(watch(number)) for number in range(subscribers)]
        try:
            target.process.stdin.write(f"{RATE} {seconds} {subscribers}\n".encode())
            await target.process.stdout.readline()
            before = cpu_seconds([target.pid])
            changes = int(await target.process.stdout.readline())
            for _ in range(300):
                if received == changes * subscribers:
                    break
                await asyncio.sleep(0.1)
            return (cpu_seconds([target.pid]) - before) / seconds, received, changes * subscribers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def idle(kubeconfig: Path, count: int, certificate: tuple[Path, Path] | None) -> float:
    """KiB for each idle connection."""
    async with server(1, kubeconfig, certificate) as target, AsyncExitStack() as stack:

        async def connect(begin: int, end: int) -> None:
            for number in range(begin, end):
                made = await stack.enter_async_context(channel(target, number, certificate))
                await made.unary_unary(f"/{VERSION}")(b"", metadata=target.metadata)

        first = min(50, count)
        await connect(0, first)
        before = resident_mib([target.pid])
        await connect(first, first + count)
        return (resident_mib([target.pid]) - before) * 1024 / count


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    made = folder / "tls.crt", folder / "tls.key"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subject = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run([*command.split(), *subject], check=True, capture_output=True)
    return made


async def run(options: argparse.Namespace) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as name:
        async with kubernetes(Path(name)) as kubeconfig:
            async with server(options.size, kubeconfig) as target:
                rows += await calls(target, options)
            for what, keys in (("plain", None), ("TLS", certificate(Path(name)))):
                memory = await idle(kubeconfig, options.connections, keys)
                rows.append(Row(f"idle connection, {what}", f"{memory:.0f} KiB", "64 KiB"))
    return rows


async def calls(target: Target, options: argparse.Namespace) -> list[Row]:
    rows = []
    for what, path, request, wanted in (
        ("Version", VERSION, {}, "2,000 a second"),
        ("Get", GET, {"name": "app-00042"}, "1,000 a second"),
    ):
        for at_once in (1, options.at_once):
            cpu = await unary(target, path, request, options.calls, at_once)
            figure = f"{cpu * 1000:.2f} ms, {1 / cpu:,.0f} a second"
            rows.append(Row(f"{what}, {at_once} at once", figure, wanted))
    native, rest, size = await lists(target, 20)
    figure = f"{native * 1000:.1f} ms, {size / 1e6:.1f} MB; REST {rest * 1000:.1f} ms"
    rows.append(Row(f"list of {options.size:,}", figure, "at most REST"))
    share, received, wanted_events = await watches(target, options.subscribers, options.seconds)
    figure = f"{share:.2f} of a core at {RATE} changes a second, {received} of {wanted_events} delivered"
    rows.append(Row(f"{options.subscribers} watches", figure, "all delivered"))
    return rows


def table(rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = [("B12", "server", "to reach"), ("---",) * 3]
    lines += [(row.what, row.figure, row.to_reach) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--calls", type=int, default=6000)
    made.add_argument("--at-once", type=int, default=40)
    made.add_argument("--size", type=int, default=6000)
    made.add_argument("--subscribers", type=int, default=1000)
    made.add_argument("--seconds", type=float, default=10)
    made.add_argument("--connections", type=int, default=500)
    return made


def report(arguments: Sequence[str] = ()) -> str:
    """The table; ``arguments`` as on the command line."""
    return table(asyncio.run(run(parser().parse_args(arguments))))


if __name__ == "__main__":
    print(report(sys.argv[1:]))
