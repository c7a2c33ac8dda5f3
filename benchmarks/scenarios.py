"""What happens in each test. A scenario gets the bench, does what a user does, and waits for the end.

All of them share one installation; B1 makes the applications that the others use. Times that a user
would feel (until live, until healed) come from the driver's watches.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from benchmarks.driver import APPLICATIONS, Driver, Seen, Watched
from benchmarks.meter import Measured, Meter, cpu_seconds, dry_run_count, resident_mib
from benchmarks.repository import BenchRepository, app_file, big_file, big_name, config_map
from tests.controlplane.installation import Operator

NAMESPACE = "bench"
OTHERS = "others"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
REFRESH = "argocd.argoproj.io/refresh"
DRIFTS = 50
DRIFT_PAUSE = 0.2
STEADY_SECONDS = 240.0
_RECONCILED = re.compile(r"^argocd_app_reconcile_count\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass
class Bench:
    """What a scenario works with; ``restart`` stops Tiphys and starts it again."""

    driver: Driver
    meter: Meter
    repository: BenchRepository
    url: str
    applications: Watched
    config_maps: Watched
    operator: Callable[[], Operator]
    restart: Callable[[], None]
    size: int
    limit: float  # seconds any wait may take
    version: int = 1

    def name(self, index: int) -> str:
        return f"app-{index:05d}"

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)


def _well_at(revision: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.is_well and (not revision or seen.status.sync.revision == revision)


def _has_version(version: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.data.get("version") == version


async def create_all(bench: Bench) -> Measured:
    """B1: create N applications of one object each, until all are Synced and Healthy."""
    async with bench.meter.measure("B1 create", bench.size) as result:
        names = [bench.name(index) for index in range(bench.size)]
        await bench.driver.each(
            lambda name=name: bench.driver.create_application(name, bench.url, name, NAMESPACE)  # type: ignore[misc]
            for name in names
        )
        done = await bench.applications.wait_for(
            lambda objects: all(name in objects and objects[name].is_well for name in names),
            seconds=bench.limit,
        )
        if not done:
            well = sum(seen.is_well for seen in bench.applications.objects.values())
            result.failure = f"{well} of {bench.size} well after {bench.limit:.0f} s"
    return result


async def change_all(bench: Bench) -> Measured:
    """B2: one commit changes every application; one of them is refreshed, the others learn of it."""
    version = bench.next_version()
    files = {app_file(i): config_map(f"app-{i:05d}", version) for i in range(bench.size)}
    revision = bench.repository.commit(files)
    async with bench.meter.measure("B2 commit changes all", bench.size) as result:
        at_new = _well_at(revision)
        names = [bench.name(index) for index in range(bench.size)]
        await bench.driver.refresh(names[0])
        await bench.applications.wait_for(
            lambda objects: any(objects[name].status.sync.revision == revision for name in names),
            seconds=bench.limit,
        )
        first = time.monotonic()
        done = await bench.applications.wait_for(
            lambda objects: all(at_new(objects[name]) for name in names), seconds=bench.limit
        )
        result.extra["all after the first"] = f"{time.monotonic() - first:.1f} s"
        if not done:
            moved = sum(at_new(objects) for objects in bench.applications.objects.values())
            result.failure = f"{moved} of {bench.size} at the commit after {bench.limit:.0f} s"
    return result


async def change_one(bench: Bench) -> Measured:
    """B3: one commit touches one application, which is refreshed (as a webhook would)."""
    version = bench.next_version()
    index = bench.size // 2
    name = bench.name(index)
    revision = bench.repository.commit({app_file(index): config_map(name, version)})
    async with bench.meter.measure("B3 commit changes one", bench.size) as result:
        started = time.monotonic()
        await bench.driver.refresh(name)
        live = await bench.config_maps.wait_for_name(name, _has_version(version), seconds=bench.limit)
        result.extra["live after"] = f"{time.monotonic() - started:.2f} s"
        await bench.applications.wait_for_name(name, _well_at(revision), seconds=bench.limit)
        result.extra["Synced after"] = f"{time.monotonic() - started:.2f} s"
        # What follows late (others noticing the commit) belongs to the price, too.
        await asyncio.sleep(max(0.0, 20 - (time.monotonic() - started)))
        if not live:
            result.failure = "the change did not arrive"
    return result


async def steady_state(bench: Bench) -> Measured:
    """B4: nothing changes for four minutes."""
    async with bench.meter.measure("B4 steady state", bench.size, settle=0) as result:
        await asyncio.sleep(STEADY_SECONDS)
    result.extra["CPU a minute"] = f"{result.product_cpu / result.wall * 60:.3f} s"
    return result


async def drift(bench: Bench) -> Measured:
    """B6: somebody edits 50 objects, one each 200 ms; until the content of Git is back."""
    names = [bench.name(index) for index in range(min(DRIFTS, bench.size))]
    waits: list[float] = []

    async def one(name: str) -> None:
        good = bench.config_maps.objects[name].data["version"]
        started = time.monotonic()
        drifted = await bench.driver.merge(f"{CONFIG_MAPS}/{name}", {"data": {"version": "drifted"}})
        healed = await bench.config_maps.wait_for_name(
            name,
            lambda seen: seen.version > drifted and seen.data.get("version") == good,
            seconds=bench.limit,
        )
        if healed:
            waits.append(time.monotonic() - started)

    # The driver's watch may be a moment behind the applications' states.
    await bench.config_maps.wait_for(lambda objects: all(name in objects for name in names), seconds=10)
    async with bench.meter.measure(f"B6 {len(names)} drifts", bench.size) as result:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
                await asyncio.sleep(DRIFT_PAUSE)
        await bench.applications.wait_for(
            lambda objects: all(objects[name].is_well for name in names), seconds=bench.limit
        )
        if len(waits) < len(names):
            result.failure = f"{len(waits)} of {len(names)} healed"
    if waits:
        waits.sort()
        at = {share: waits[min(len(waits) - 1, int(share * len(waits)))] for share in (0.5, 0.99)}
        result.extra["healed p50 / p99"] = f"{at[0.5]:.2f} / {at[0.99]:.2f} s"
    return result


async def restart(bench: Bench) -> Measured:
    """B8: stop Tiphys, start it, until it has looked at every application again."""
    async with bench.meter.measure("B8 restart", bench.size) as result:
        started = time.monotonic()
        await asyncio.to_thread(bench.restart)
        result.extra["ready after"] = f"{time.monotonic() - started:.2f} s"
        limit = time.monotonic() + bench.limit
        looked = 0
        while looked < bench.size and time.monotonic() < limit:
            await asyncio.sleep(0.3)
            text = await asyncio.to_thread(bench.operator().metrics)
            looked = int(sum(float(value) for value in _RECONCILED.findall(text)))
        result.extra["all looked at after"] = f"{time.monotonic() - started:.2f} s"
        if looked < bench.size:
            result.failure = f"{looked} of {bench.size} looked at"
    return result


async def among_others(bench: Bench, objects: int) -> Measured:
    """B7: a restart among ``objects`` ConfigMaps of 1 KB that no application manages, beside one
    without them."""
    alone = await _restarted(bench)
    await bench.driver.request("POST", "/api/v1/namespaces", {"metadata": {"name": OTHERS}})
    data = {"text": "x" * 1000}

    async def create(number: int) -> None:
        body = {"metadata": {"name": f"other-{number:05d}"}, "data": data}
        await bench.driver.request("POST", f"/api/v1/namespaces/{OTHERS}/configmaps", body)

    await bench.driver.each(partial(create, number) for number in range(objects))
    async with bench.meter.measure("B7 restart among others", bench.size) as result:
        among = await _restarted(bench)
    result.extra["larger by"] = f"{among[0] - alone[0]:.1f} MiB"
    result.extra["CPU more"] = f"{among[1] - alone[1]:.2f} s"
    result.extra["objects"] = str(objects)
    return result


async def server_side_diff(bench: Bench) -> Measured:
    """B10: all applications compare with the API server's dry run: how many are sent when that is
    switched on, when everything is looked at again, and when some objects change (a label of somebody
    else's, which makes nothing OutOfSync)."""
    chosen = {"metadata": {"annotations": {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}}}
    names = [bench.name(index) for index in range(bench.size)]
    changed = names[:DRIFTS]
    foreign = {"metadata": {"labels": {"foreign": "yes"}}}
    async with bench.meter.measure("B10 server-side diff", bench.size) as result:
        counts = [await _dry_runs(bench)]
        for paths, body in (
            ([f"{APPLICATIONS}/{name}" for name in names], chosen),
            (
                [f"{APPLICATIONS}/{name}" for name in names],
                {"metadata": {"annotations": {REFRESH: "normal"}}},
            ),
            ([f"{CONFIG_MAPS}/{name}" for name in changed], foreign),
        ):
            await bench.driver.each(partial(bench.driver.merge, path, body) for path in paths)
            await bench.meter.until_quiet(60)
            counts.append(await _dry_runs(bench))
    switched, again, after = (later - earlier for earlier, later in pairwise(counts))
    result.extra["dry runs"] = (
        f"{switched} when switched on, {again} when all were looked at again, "
        f"{after} when {len(changed)} objects changed"
    )
    if not all(seen.is_well for seen in bench.applications.objects.values()):
        result.failure = "not all are well"
    return result


async def _dry_runs(bench: Bench) -> int:
    return dry_run_count(await bench.driver.metrics())


async def _restarted(bench: Bench) -> tuple[float, float]:
    """Resident MiB and CPU seconds of a process that has started and come to rest."""
    await asyncio.to_thread(bench.restart)
    await bench.meter.until_quiet(60)
    product = bench.meter.product()
    return resident_mib(product), cpu_seconds(product)


def _big(objects: int) -> str:
    """Name and folder of the application with that many objects."""
    return f"big-{objects}"


async def big_first(bench: Bench, objects: int) -> Measured:
    """B9, first sync: one application of many objects."""
    name = _big(objects)
    async with bench.meter.measure("B9 first sync", objects) as result:
        await bench.driver.create_application(name, bench.url, name, NAMESPACE)
        if not await bench.applications.wait_for_name(name, _well_at(""), seconds=bench.limit):
            result.failure = f"not well after {bench.limit:.0f} s"
    return result


async def big_no_op(bench: Bench, objects: int) -> Measured:
    """B9, no-op: a hard refresh when nothing changed."""
    name = _big(objects)
    async with bench.meter.measure("B9 no-op hard refresh", objects) as result:
        asked = await bench.driver.refresh(name, "hard")
        done = await bench.applications.wait_for_name(
            name,
            lambda seen: seen.version > asked and REFRESH not in seen.metadata.annotations and seen.is_well,
            seconds=bench.limit,
        )
        if not done:
            result.failure = f"not refreshed after {bench.limit:.0f} s"
    return result


async def big_one_change(bench: Bench, objects: int) -> Measured:
    """B9, one change: a commit that touches one of the many objects."""
    version = bench.next_version()
    index = objects // 2
    name = big_name(objects, index)
    revision = bench.repository.commit({big_file(objects, index): config_map(name, version)})
    async with bench.meter.measure("B9 one object changed", objects) as result:
        started = time.monotonic()
        await bench.driver.refresh(_big(objects))
        live = await bench.config_maps.wait_for_name(name, _has_version(version), seconds=bench.limit)
        result.extra["live after"] = f"{time.monotonic() - started:.2f} s"
        await bench.applications.wait_for_name(_big(objects), _well_at(revision), seconds=bench.limit)
        if not live:
            result.failure = "the change did not arrive"
    return result
