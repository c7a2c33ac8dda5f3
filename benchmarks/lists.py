"""``python -m benchmarks.lists``: B11, what lists and watches of Applications cost.

--sizes 2500,6000      Applications
--subscribers 1000     clients that watch while five Applications change each second
--seconds 10           for how long
--calls 2000           GETs of one Application

CPU of the server's process for one list (mean of several, HTTP included, not compressed), bytes of the
answer; the first time and when the encodings are there. See ``benchmarks/apiserver.py`` for the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.calls import kubernetes
from benchmarks.calls import server as call_server
from benchmarks.meter import cpu_seconds, resident_mib
from tests.controlplane.kubectl import clean_environment
from tests.controlplane.processes import Program, free_ports

LIST = "/api/v1/applications"
STREAM = "/api/v1/stream/applications"
VIEW = ",".join(
    f"items.{field}"
    for field in (
        "metadata.name",
        "metadata.namespace",
        "metadata.labels",
        "spec.project",
        "spec.destination",
        "status.sync.status",
        "status.health",
        "status.summary",
    )
)
RATE = 5
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Row:
    """One line of the table."""

    what: str
    size: int
    first: float | None
    cpu: float
    bytes: int
    items: int
    note: str = ""


HEAD = ("B11", "applications", "first CPU ms", "CPU ms", "bytes", "items", "note")


class Client:
    """Calls the server and reads its CPU."""

    def __init__(self, session: aiohttp.ClientSession, base: str, pid: int):
        self.session, self.base, self.pid = session, base, pid

    async def get(self, path: str, user: str, params: dict[str, str], **headers: str) -> bytes:
        sent = {"Authorization": f"Bearer {user}", "Accept-Encoding": "identity", **headers}
        async with self.session.get(self.base + path, params=params, headers=sent) as answer:
            return await answer.read()

    async def cost(self, times: int, path: str, user: str, params: dict[str, str], **headers: str) -> float:
        """CPU seconds of one call, on average."""
        before = cpu_seconds([self.pid])
        for _ in range(times):
            await self.get(path, user, params, **headers)
        return (cpu_seconds([self.pid]) - before) / times


@asynccontextmanager
async def server(size: int, folder: Path) -> AsyncIterator[Client]:
    """A server without Applications yet."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.apiserver", str(size), str(port)]
    environment = clean_environment(folder) | {"PYTHONPATH": str(ROOT)}
    program = Program.start("apiserver", command, folder=folder, env=environment)
    try:
        program.wait_until(lambda: "ready" in program.log_file.read_text(), seconds=30)
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, read_bufsize=1 << 20, auto_decompress=False
        ) as session:
            yield Client(session, f"http://127.0.0.1:{port}", program.pid)
    finally:
        program.kill()


async def lists(client: Client, size: int) -> list[Row]:
    """All lists, the first of each before its encodings are there."""
    await client.get(LIST, "admin", {"name": "none"})
    base = resident_mib([client.pid])
    await client.get("/bench/fill", "admin", {})
    filled = resident_mib([client.pid])
    rows = []
    for what, user, params, times in (
        ("ten apps, 10 policy lines", "ten10", {}, 100),
        ("ten apps, 100 policy lines", "ten100", {}, 100),
        ("ten apps, 1,000 policy lines", "ten1000", {}, 100),
        ("full list as admin", "admin", {}, 10),
        ("list view (fields)", "admin", {"fields": VIEW}, 10),
        ("one project of 50", "admin", {"projects": "team-07"}, 50),
        ("a tenth by selector", "admin", {"selector": "tier=t3"}, 50),
        ("a page of 100, by health", "admin", {"limit": "100", "sort": "health"}, 20),
    ):
        before = cpu_seconds([client.pid])
        body = await client.get(LIST, user, params)
        first = cpu_seconds([client.pid]) - before
        cpu = await client.cost(times, LIST, user, params)
        rows.append(Row(what, size, first, cpu, len(body), len(json.loads(body)["items"] or ())))
    full = resident_mib([client.pid])
    rows[3].note = f"{(full - base) * 1024 / size:.1f} KiB an application over {base:.0f} MiB"
    rows[3].note += f" ({(filled - base) * 1024 / size:.1f} without encodings)"
    sent = {"Authorization": "Bearer admin", "Accept-Encoding": "identity"}
    async with client.session.get(client.base + LIST, headers=sent) as answer:
        tag = answer.headers["ETag"]
        await answer.read()
    unchanged = await client.cost(20, LIST, "admin", {}, **{"If-None-Match": tag})
    rows.append(Row("unchanged full list (304)", size, None, unchanged, 0, 0))
    packed = await client.get(LIST, "admin", {}, **{"Accept-Encoding": "gzip"})
    cpu = await client.cost(3, LIST, "admin", {}, **{"Accept-Encoding": "gzip"})
    rows.append(Row("full list, gzip", size, None, cpu, len(packed), size))
    return rows


async def watches(client: Client, size: int, subscribers: int, seconds: float) -> Row:
    """Subscribers that only want what is new, while Applications change."""
    received, wanted, all_there = [0], [-1], asyncio.Event()
    headers = {"Authorization": "Bearer admin", "Accept-Encoding": "identity"}
    params = {"resourceVersion": "1"}
    open_ = asyncio.Semaphore(50)
    started = [asyncio.Event() for _ in range(subscribers)]

    async def watch(number: int) -> None:
        async with open_:
            answer = await client.session.get(client.base + STREAM, params=params, headers=headers)
        started[number].set()
        try:
            async for chunk in answer.content.iter_any():
                received[0] += chunk.count(b"\n")
                if received[0] == wanted[0]:
                    all_there.set()
        finally:
            answer.close()

    tasks = [asyncio.create_task(watch(number)) for number in range(subscribers)]
    try:
        await asyncio.gather(*(each.wait() for each in started))
        await asyncio.sleep(2)
        before = cpu_seconds([client.pid])
        body = await client.get("/bench/change", "admin", {"rate": str(RATE), "seconds": str(seconds)})
        told = json.loads(body)
        wanted[0] = told["changes"] * subscribers
        if received[0] == wanted[0]:
            all_there.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                await all_there.wait()
        cpu = cpu_seconds([client.pid]) - before
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    note = (
        f"{received[0]} of {told['changes'] * subscribers} delivered, {told['encoded']} encoded, "
        f"{cpu / seconds:.2f} of a core at {RATE} changes a second"
    )
    return Row(f"{subscribers} watches", size, None, cpu / max(1, received[0]), 0, received[0], note)


async def gets(size: int, folder: Path, calls: int) -> list[Row]:
    """One Application over REST with a verified token, read from (a stand-in of) Kubernetes each time."""
    rows = []
    async with kubernetes(folder) as kubeconfig, call_server(size, kubeconfig) as target:
        url = f"http://{target.address}{LIST}/app-00042"
        headers = {"Authorization": f"Bearer {target.token}", "Accept-Encoding": "identity"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

            async def get(count: int) -> int:
                length = 0
                for _ in range(count):
                    async with session.get(url) as answer:
                        assert answer.status == 200, await answer.text()
                        length = len(await answer.read())
                return length

            length = await get(20)
            for at_once in (1, 40):
                before = cpu_seconds([target.pid])
                await asyncio.gather(*(get(calls // at_once) for _ in range(at_once)))
                cpu = (cpu_seconds([target.pid]) - before) / (calls // at_once * at_once)
                note = f"{1 / cpu:,.0f} a second on one core"
                rows.append(Row(f"GET of one, {at_once} at once", size, None, cpu, length, 1, note))
    return rows


def table(rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = [HEAD, tuple("---" for _ in HEAD)]
    for row in rows:
        first = "" if row.first is None else f"{row.first * 1000:.0f}"
        cells = (row.what, str(row.size), first, f"{row.cpu * 1000:.2f}", str(row.bytes), str(row.items))
        lines.append((*cells, row.note))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


async def run(options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as name:
            async with server(size, Path(name)) as client:
                rows += await lists(client, size)
                rows.append(await watches(client, size, options.subscribers, options.seconds))
            rows += await gets(size, Path(name), options.calls)
    return rows


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--sizes", default="2500,6000")
    made.add_argument("--subscribers", type=int, default=1000)
    made.add_argument("--seconds", type=float, default=10)
    made.add_argument("--calls", type=int, default=2000)
    return made


def report(arguments: Sequence[str] = ()) -> str:
    """The table; ``arguments`` as on the command line."""
    return table(asyncio.run(run(parser().parse_args(arguments))))


if __name__ == "__main__":
    print(report(sys.argv[1:]))
