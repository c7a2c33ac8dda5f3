"""Reading what processes and the API server did between two moments.

CPU of a process: its own user and system time, that of its running descendants, and that of the
children it has waited for (all from /proc, 10 ms ticks), so short-lived git and helm count. Memory:
the sum of resident sizes over the process tree, sampled; pages that processes share count in each.
API requests: the difference of ``apiserver_request_total`` without watches, without the requests of
the driver, and without the control plane's own rate, which is measured before Tiphys starts.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.25
# Quiet: not more CPU than this within a window.
QUIET_WINDOW = 2.0
QUIET_CPU = 0.02
_REQUESTS = re.compile(r"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
# What a person calls them; the server counts list and patch apart from get and put already.
VERBS = ("GET", "LIST", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class Measured:
    """One scenario's figures. CPU in seconds, memory in MiB, latencies in seconds."""

    name: str
    size: int
    wall: float = 0.0
    product_cpu: float = 0.0
    server_cpu: float = 0.0  # kube-apiserver and etcd
    peak_rss: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    git_requests: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    failure: str = ""

    @property
    def request_count(self) -> int:
        return sum(self.requests.values())

    @property
    def ratio(self) -> float:
        """CPU of Tiphys for each second of the control plane's."""
        return self.product_cpu / self.server_cpu if self.server_cpu else 0.0


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU used so far by these processes with all their descendants, dead ones included."""
    table = _process_table()
    total = 0
    for pid in _tree(roots, table):
        total += table[pid][1]
    return total / TICKS


def resident_mib(roots: Iterable[int]) -> float:
    """Resident memory of the process trees at this moment."""
    pages = 0
    for pid in _tree(roots, _process_table()):
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue  # it ended meanwhile
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _process_table() -> dict[int, tuple[int, int]]:
    """pid → (parent, ticks of CPU: own and of children waited for)."""
    table: dict[int, tuple[int, int]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_text()
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()
        # Counted from the state: parent, …, utime, stime, cutime, cstime (proc(5)).
        table[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    return table


def _tree(roots: Iterable[int], table: Mapping[int, tuple[int, int]]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


def request_counts(metrics: str) -> Counter[str]:
    """``apiserver_request_total`` by verb, without watches and without health and metrics."""
    counts: Counter[str] = Counter()
    for labels_text, value in _REQUESTS.findall(metrics):
        labels = dict(_LABEL.findall(labels_text))
        verb = {"APPLY": "PATCH", "CREATE": "POST", "UPDATE": "PUT"}.get(labels["verb"], labels["verb"])
        if verb in VERBS and labels.get("resource"):
            counts[verb] += int(float(value))
    return counts


def dry_run_count(metrics: str) -> int:
    """Requests that were to change nothing, of all verbs."""
    found = ((dict(_LABEL.findall(labels)), value) for labels, value in _REQUESTS.findall(metrics))
    return sum(int(float(value)) for labels, value in found if labels.get("dry_run"))


@dataclass
class Meter:
    """Measures blocks of the benchmark.

    ``driver_requests`` counts what the driver itself asked the API server so far; ``background`` is
    the control plane's own requests a second.
    """

    product: Callable[[], list[int]]
    server: list[int]
    server_metrics: Callable[[], Awaitable[str]]
    git_count: Callable[[], Awaitable[int]]
    driver_requests: Counter[str]
    background: dict[str, float] = field(default_factory=dict)

    async def measure_background(self, seconds: float) -> None:
        """How much the control plane asks itself while nobody works."""
        before, start = request_counts(await self.server_metrics()), time.monotonic()
        await asyncio.sleep(seconds)
        after, end = request_counts(await self.server_metrics()), time.monotonic()
        self.background = {verb: (after[verb] - before[verb]) / (end - start) for verb in VERBS}

    @asynccontextmanager
    async def measure(self, name: str, size: int, *, settle: float = 30.0) -> AsyncIterator[Measured]:
        """Measure the block into the value it gets.

        ``wall`` is the block's time; CPU and requests go on being counted until Tiphys is quiet (at
        most ``settle`` seconds), so that what it puts off (Events, say) is in its price.
        """
        result = Measured(name, size)
        requests = request_counts(await self.server_metrics())
        driver = Counter(self.driver_requests)
        git = await self.git_count()
        product = self.product()
        product_cpu, server_cpu = cpu_seconds(product), cpu_seconds(self.server)
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            sampler = group.create_task(self._sample_memory(result))
            try:
                yield result
                result.wall = time.monotonic() - started
                await self.until_quiet(settle)
            finally:
                sampler.cancel()
        elapsed = time.monotonic() - started
        # A restart within the block begins a new count of its own.
        base = product_cpu if self.product() == product else 0.0
        result.product_cpu = cpu_seconds(self.product()) - base
        result.server_cpu = cpu_seconds(self.server) - server_cpu
        result.git_requests = await self.git_count() - git
        after = request_counts(await self.server_metrics())
        for verb in VERBS:
            own = self.driver_requests[verb] - driver[verb]
            idle = self.background.get(verb, 0.0) * elapsed
            result.requests[verb] = max(0, after[verb] - requests[verb] - own - round(idle))

    async def until_quiet(self, seconds: float) -> None:
        """Return when Tiphys uses next to no CPU, at the latest after so many seconds."""
        limit = time.monotonic() + seconds
        before = cpu_seconds(self.product())
        while time.monotonic() < limit:
            await asyncio.sleep(QUIET_WINDOW)
            now = cpu_seconds(self.product())
            if now - before <= QUIET_CPU:
                return
            before = now

    async def _sample_memory(self, result: Measured) -> None:
        while True:
            result.peak_rss = max(result.peak_rss, resident_mib(self.product()))
            await asyncio.sleep(SAMPLE_SECONDS)
