"""The instruments of the benchmarks measure what they claim."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.meter import Measured, cpu_seconds, request_counts, resident_mib
from benchmarks.report import TARGETS, markdown, target_of
from benchmarks.repository import BenchRepository, app_file, config_map
from tests.controlplane.installation import ROOT
from tests.controlplane.processes import Program, free_ports

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"


def test_cpu_counts_children_that_have_ended(tmp_path: Path) -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}]); input()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        program = Program("burner", process, tmp_path / "none.log")
        program.wait_until(lambda: cpu_seconds([process.pid]) >= 0.3, seconds=30)
        assert resident_mib([process.pid]) > 1
        process.communicate(b"\n")
    assert cpu_seconds([process.pid]) == 0


def test_requests_by_verb_leave_out_watches_and_health() -> None:
    text = "\n".join(
        [
            'apiserver_request_total{code="200",resource="pods",verb="LIST"} 3',
            'apiserver_request_total{code="404",resource="pods",verb="LIST"} 1',
            'apiserver_request_total{code="200",resource="pods",verb="WATCH"} 7',
            'apiserver_request_total{code="200",resource="pods",subresource="status",verb="APPLY"} 2',
            'apiserver_request_total{code="200",resource="",subresource="/healthz",verb="GET"} 50',
            'apiserver_request_total_other{resource="pods",verb="GET"} 5',
        ]
    )
    assert request_counts(text) == Counter(LIST=4, PATCH=2)


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[tuple[str, BenchRepository]]:
    repository = BenchRepository(tmp_path / "bench.git")
    repository.commit({app_file(0): config_map("app-00000", "1")})
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.gitserver", str(tmp_path), str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    program = Program.start("git", command, folder=tmp_path, env=environment)
    url = f"http://127.0.0.1:{port}"
    program.wait_until(lambda: counts(url) is not None, seconds=20)
    yield url, repository
    program.kill()


def counts(url: str) -> dict[str, int] | None:
    try:
        with urllib.request.urlopen(f"{url}/count") as answer:
            found: dict[str, int] = json.load(answer)
            return found
    except OSError:
        return None


def test_git_requests_are_counted(git_server: tuple[str, BenchRepository], tmp_path: Path) -> None:
    url, repository = git_server
    git = ["git", "-c", "http.proxy="]
    subprocess.run([*git, "ls-remote", f"{url}/bench.git"], check=True, capture_output=True)
    assert counts(url) == {"refs": 1, "packs": 0}
    folder = tmp_path / "clone"
    subprocess.run([*git, "clone", "-q", f"{url}/bench.git", folder], check=True)
    assert counts(url) == {"refs": 2, "packs": 1}
    assert (folder / app_file(0)).read_bytes() == config_map("app-00000", "1")
    repository.commit({app_file(1): config_map("app-00001", "1")})
    subprocess.run([*git, "-C", folder, "pull", "-q"], check=True)
    assert sorted(path.name for path in folder.iterdir()) == [".git", "app-00000", "app-00001"]


def test_a_row_stands_beside_its_target() -> None:
    measured = Measured("B3 commit changes one", 500, wall=20.0, product_cpu=0.25, server_cpu=1.0)
    measured.requests.update(PATCH=4, POST=2)
    line = markdown([measured]).splitlines()[-1]
    assert "| 0.25 | 1.00 | 0.25 | 0.5 | 6 (0 0 2 0 4 0) |" in line
    assert TARGETS["B3"] in line


@pytest.mark.parametrize("name", ["B9 first sync", "B9 no-op hard refresh", "B9 one object changed"])
def test_each_part_of_b9_has_a_target_of_its_own(name: str) -> None:
    assert target_of(name) == TARGETS[" ".join(name.split()[:2])]


def test_lists_and_calls_are_part_of_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    """Small, but all of it: the servers run, and every line of both tables is there."""
    small = "--only B11,B12 --lists 60 --calls 40 --watchers 5 --seconds 0.4 --connections 3"
    assert main(small.split()) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    figures = {line.split(" | ")[0][2:]: line for line in lines}
    assert {"full list as admin", "GET of one, 40 at once", "Version, 40 at once", "Get, 1 at once"} <= set(
        figures
    )
    assert "10 of 10 delivered" in next(line for line in lines if line.startswith("| 5 watches | 60"))
    assert "10 of 10 delivered" in next(line for line in lines if line.startswith("| 5 watches | 0"))
    assert {"idle connection, plain", "idle connection, TLS", "list of 60"} <= set(figures)


def test_a_scenario_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "B1,B5"])
    assert "no such scenario: B5; there are B1, B2" in capsys.readouterr().err
