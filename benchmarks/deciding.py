"""What deciding costs when nothing must be asked: health of an object, and the proof that an apply would
change nothing.

    python -m benchmarks.deciding           # one minute; starts a control plane of its own

Health is assessed over the cases of ``tests/health``; proofs are tried over the objects of
``tests/compare/samples.py`` as a real API server gives them back after a server-side apply: at first
sight, and again after each that could not be decided had its one dry run. CPU, not wall time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.compare.conftest import with_kinds
from tests.compare.differential import SERVER_SIDE
from tests.compare.samples import objects
from tests.compare.server import Server
from tests.controlplane import ControlPlane
from tests.controlplane.building import ensure_binaries
from tests.controlplane.reporting import Reporter
from tests.health.bundled.reading import read_cases
from tiphys.compare.normalize import normalize
from tiphys.compare.verdicts import compare, decide, dry_run_request
from tiphys.health.assessing import assess
from tiphys.settings.model import ResourceOverride

CASES = Path(__file__).parents[1] / "tests" / "health" / "bundled" / "cases"
ROUNDS = 20
LUA = """
hs = {status = "Progressing", message = "waiting"}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for i, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" and condition.status == "True" then
      hs.status = "Healthy"
      hs.message = condition.message
    end
  end
end
return hs
"""


def each_us(work: Callable[[Any], object], items: Sequence[Any], rounds: int = ROUNDS) -> float:
    """CPU microseconds for one item; the least of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time_ns()
        for item in items:
            work(item)
        best = min(best, (time.process_time_ns() - begin) / len(items))
    return best / 1000


def health_of_bundled_kinds() -> tuple[int, float]:
    manifests = [case.manifest for case in read_cases(CASES)]
    return len(manifests), each_us(assess, manifests)


def health_by_lua() -> float:
    overrides = {"example.com/Widget": ResourceOverride(health_lua=LUA)}
    conditions = [{"type": f"Other{n}", "status": "True"} for n in range(4)]
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "n", "labels": {"app": "w"}},
        "spec": {"replicas": 3, "parts": [{"name": f"p{n}", "size": n} for n in range(10)]},
        "status": {"conditions": [*conditions, {"type": "Ready", "status": "True", "message": "ok"}]},
    }
    return each_us(lambda manifest: assess(manifest, overrides), [widget] * 200)


def health_command(count: int) -> float:
    """Seconds of ``tiphys health`` for so many objects, from start to end."""
    manifests = [case.manifest for case in read_cases(CASES)]
    chosen = [manifests[n % len(manifests)] for n in range(count)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write("\n".join(json.dumps(manifest) for manifest in chosen))
        file.flush()
        begin = time.monotonic()
        subprocess.run(
            [Path(sys.executable).with_name("tiphys"), "health", file.name], stdout=subprocess.DEVNULL
        )
        return time.monotonic() - begin


Pair = tuple[dict[str, Any], dict[str, Any]]


def proofs(server: Server) -> tuple[list[Pair], int, int]:
    """Targets with what lives of them, those proven at first sight, those proven after one dry run each."""
    pairs = []
    for sample in objects("default"):
        target = normalize(sample)
        pairs.append((target, server.apply(target)))
    verdicts = [compare(target, live, SERVER_SIDE) for target, live in pairs]
    sight = sum(verdict.outcome == "same" for verdict in verdicts)
    settled = 0
    for (target, live), verdict in zip(pairs, verdicts, strict=True):
        if verdict.outcome == "undecided":
            request = dry_run_request(target, live, SERVER_SIDE)
            answer = server.patch(
                target,
                request.body,
                request.content_type,
                manager=request.field_manager,
                dry_run=True,
                force=True,
            )
            settled += decide(target, live, answer, SERVER_SIDE).outcome == "same"
    return pairs, sight, sight + settled


def report(arguments: Sequence[str] = ()) -> str:
    """The table; there is nothing to choose."""
    reporter = Reporter()
    kinds, bundled = health_of_bundled_kinds()
    lines = [
        ("health of a bundled kind", f"{bundled:.1f} µs on average over {kinds} cases", "20 µs"),
        ("health by a user's Lua, warm", f"{health_by_lua():.0f} µs", "200 µs"),
        ("tiphys health, 10,000 objects", f"{health_command(10_000):.2f} s with its start", "1 s"),
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane.start(Path(folder), ensure_binaries(reporter)) as plane,
    ):
        server = with_kinds(Server(plane.kubeconfig))
        pairs, sight, settled = proofs(server)
    # Once the control plane is gone, and for a while: beside other work the same proofs take twice the CPU.
    cost = each_us(lambda pair: compare(pair[0], pair[1], SERVER_SIDE), pairs, 50 * ROUNDS)
    count = len(pairs)
    lines += [
        ("proof of an unchanged object", f"{cost:.0f} µs on average over {count} objects", "10 µs"),
        ("proven at first sight", f"{100 * sight / count:.0f} %", "70 %"),
        ("proven after one dry run each", f"{100 * settled / count:.0f} %", "95 %"),
    ]
    head = ("deciding", "measured", "to reach")
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * 3, *lines))


if __name__ == "__main__":
    print(report())
