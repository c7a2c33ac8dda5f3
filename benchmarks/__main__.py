"""``python -m benchmarks``: what ``make bench`` runs. Exit code 1 if a scenario did not come to its end.

--sizes 100,500,1000   applications in B1 and B3, a fresh installation for each size
--main 500             the size at which all other scenarios run
--big 1000             objects of the one application of B9 (also at a quarter of it)
--others 20000         unmanaged objects of B7
--only B1,B3           just these scenarios (B1 with any of B2 to B10: it makes the applications)
--lists 2500,6000      Applications in B11; see also --calls, --watchers, --seconds, --connections
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks import scenarios
from benchmarks.driver import APPLICATIONS, Driver, Watched
from benchmarks.meter import Measured, Meter
from benchmarks.parts import PARTS, add_options, arguments
from benchmarks.report import markdown
from benchmarks.repository import BenchRepository, app_file, big_file, big_name, config_map
from benchmarks.scenarios import CONFIG_MAPS, NAMESPACE, Bench
from tests.controlplane import ControlPlane
from tests.controlplane.building import ensure_binaries
from tests.controlplane.installation import Operator, install
from tests.controlplane.kubectl import clean_environment
from tests.controlplane.processes import Program, free_ports, tail
from tests.controlplane.reporting import Reporter

INSTALL = Path(__file__).with_name("install")
BACKGROUND_SECONDS = 10.0
INSTALLED = ("B1", "B2", "B3", "B4", "B6", "B7", "B8", "B9", "B10")
"""Scenarios of an installation."""


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="100,500,1000")
    parser.add_argument("--main", type=int, default=500)
    parser.add_argument("--big", type=int, default=1000)
    parser.add_argument("--others", type=int, default=20_000)
    parser.add_argument("--only", default=",".join((*INSTALLED, *PARTS)))
    parser.add_argument("--limit", type=float, default=300, help="seconds any one wait may take")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    add_options(parser)
    options = parser.parse_args(sys.argv[1:] if given is None else given)
    wanted = options.only.split(",")
    if unknown := [name for name in wanted if name not in (*INSTALLED, *PARTS)]:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join((*INSTALLED, *PARTS))}")
    reporter = Reporter()
    failed = [name for name in PARTS if name in wanted and not run_part(name, options, reporter)]
    if not set(wanted) & set(INSTALLED):
        return 1 if failed else 0
    binaries = ensure_binaries(reporter)
    results: list[Measured] = []
    for size in sorted({*map(int, options.sizes.split(",")), options.main}):
        everything = size == options.main
        with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as name:
            results += run_size(Path(name), binaries, reporter, options, size, everything=everything)
    print(markdown(results))
    if options.json:
        options.json.write_text(json.dumps([as_json(each) for each in results], indent=1))
    return 1 if failed or any(each.failure for each in results) else 0


def run_part(name: str, options: argparse.Namespace, reporter: Reporter) -> bool:
    """One that makes its own servers; whether it came to its end."""
    with reporter.step(name) as step:
        try:
            table = PARTS[name](arguments(name, options))
        except Exception as error:
            # One broken scenario must not cost the figures of the others.
            step.skip(f"{type(error).__name__}: {error}")
            return False
    print(f"{table}\n")
    return True


def run_size(
    folder: Path,
    binaries: Path,
    reporter: Reporter,
    options: argparse.Namespace,
    size: int,
    *,
    everything: bool,
) -> list[Measured]:
    """One fresh control plane, repository and installation; the scenarios of this size."""
    root = folder / "repositories"
    root.mkdir()
    repository = BenchRepository(root / "bench.git")
    files = {app_file(i): config_map(f"app-{i:05d}", "1") for i in range(size)}
    for objects in _bigs(options):
        files |= {big_file(objects, i): config_map(big_name(objects, i), "1") for i in range(objects)}
    repository.commit(files)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.gitserver", str(root), str(port)]
    git = Program.start("git", command, folder=folder, env=_python_environment(folder))
    try:
        git.wait_until(lambda: _git_count(port) is not None, seconds=10)
        with ControlPlane.start(folder / "plane", binaries) as plane:
            install(plane.kubectl, INSTALL)
            plane.kubectl("create", "namespace", NAMESPACE)
            run = _run(plane, binaries, folder, repository, port, reporter, options, size, everything)
            return asyncio.run(run)
    finally:
        git.kill()


async def _run(
    plane: ControlPlane,
    binaries: Path,
    folder: Path,
    repository: BenchRepository,
    git_port: int,
    reporter: Reporter,
    options: argparse.Namespace,
    size: int,
    everything: bool,
) -> list[Measured]:
    operators: list[Operator] = []

    def start() -> None:
        operators.append(Operator.start(plane.kubectl, binaries, folder / "operator"))

    def restart() -> None:
        operators.pop().stop()
        start()

    async def git_count() -> int:
        return await asyncio.to_thread(_git_count, git_port) or 0

    async with Driver(plane) as driver:
        meter = Meter(
            product=lambda: [each.program.pid for each in operators],
            server=[plane.pid("apiserver"), plane.pid("etcd")],
            server_metrics=driver.metrics,
            git_count=git_count,
            driver_requests=driver.requests,
        )
        with reporter.step("measuring what the control plane does by itself"):
            await meter.measure_background(BACKGROUND_SECONDS)
        await asyncio.to_thread(start)
        applications, config_maps = Watched(), Watched()
        bench = Bench(
            driver=driver,
            meter=meter,
            repository=repository,
            url=f"http://127.0.0.1:{git_port}/bench.git",
            applications=applications,
            config_maps=config_maps,
            operator=lambda: operators[-1],
            restart=restart,
            size=size,
            limit=options.limit,
        )
        watches = [
            asyncio.create_task(driver.watch(APPLICATIONS, applications)),
            asyncio.create_task(driver.watch(CONFIG_MAPS, config_maps, selector="bench=true")),
        ]
        try:
            return await _scenarios(bench, reporter, options, everything)
        finally:
            for watch in watches:
                watch.cancel()
            for watch in watches:
                with suppress(asyncio.CancelledError):
                    await watch
            for each in operators:
                each.stop()


async def _scenarios(
    bench: Bench, reporter: Reporter, options: argparse.Namespace, everything: bool
) -> list[Measured]:
    wanted = set(options.only.split(","))
    plan: list[tuple[str, Callable[[], Awaitable[Measured]]]] = [
        ("B1", partial(scenarios.create_all, bench)),
        ("B3", partial(scenarios.change_one, bench)),
    ]
    if everything:
        plan += [
            ("B6", partial(scenarios.drift, bench)),
            ("B8", partial(scenarios.restart, bench)),
            ("B7", partial(scenarios.among_others, bench, options.others)),
            ("B2", partial(scenarios.change_all, bench)),
            ("B4", partial(scenarios.steady_state, bench)),
            ("B10", partial(scenarios.server_side_diff, bench)),
        ]
        for objects in _bigs(options):
            plan += [
                ("B9", partial(scenarios.big_first, bench, objects)),
                ("B9", partial(scenarios.big_no_op, bench, objects)),
                ("B9", partial(scenarios.big_one_change, bench, objects)),
            ]
    results = []
    await bench.meter.until_quiet(30)  # its start belongs to B8
    for name, scenario in plan:
        if name == "B1" or name in wanted:
            with reporter.step(f"{name} with {bench.size} applications") as step:
                try:
                    result = await scenario()
                except Exception as error:
                    # One broken scenario must not cost the figures of the others.
                    result = Measured(name, bench.size, failure=f"{type(error).__name__}: {error}")
                results.append(result)
                if result.failure:
                    step.skip(result.failure)
                    reporter.say(tail(bench.operator().program.log_file))
    return results


def as_json(measured: Measured) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(measured, name) for name in Measured.__dataclass_fields__}
    return fields | {"requests": dict(measured.requests), "ratio": measured.ratio}


def _bigs(options: argparse.Namespace) -> list[int]:
    """B9 runs at two sizes: one change must not cost more in the larger application."""
    return [options.big // 4, options.big]


def _git_count(port: int) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5) as answer:
            counts: dict[str, int] = json.load(answer)
            return sum(counts.values())
    except OSError:
        return None


def _python_environment(folder: Path) -> dict[str, str]:
    root = Path(__file__).resolve().parents[1]
    return clean_environment(folder) | {"PYTHONPATH": str(root)}


if __name__ == "__main__":
    sys.exit(main())
