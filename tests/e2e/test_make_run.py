"""`make run`: the first thing that anybody sees of Tiphys (without the making of the environment)."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.__main__ import EXPECTED
from tests.controlplane import ControlPlane
from tests.controlplane.installation import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("binaries")]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the demo makes its throw-away folder; nothing may be left there, on disk or running."""
    yield tmp_path
    assert processes_of(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tiphys-")] == []


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder), "COLUMNS": "140"} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_once_ends_well_when_all_applications_are_well(folder: Path) -> None:
    process = start(folder, ONCE="1")
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    for name in EXPECTED:
        assert name in output
    assert "export KUBECONFIG=" in output
    # With the programs at hand nothing is got or built: that is what makes later runs quick.
    assert re.findall(r"download|compil|build", output) == []


def test_once_names_the_reason_of_each_application_that_is_not_well(folder: Path) -> None:
    """A limit that is over before anything is compared; looked at once it is all the same."""
    process = start(folder, ONCE="1", LIMIT="0")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    reasons = {
        name: line.removeprefix(f"{name}: ")
        for line in output.splitlines()
        for name in EXPECTED
        if line.startswith(f"{name}: ")
    }
    # one or the other may be well already
    assert reasons, output
    assert all(reasons.values()), output
    assert f"{len(reasons)} of {len(EXPECTED)} not well after 0 s" in output


def test_an_interrupt_leaves_nothing_behind(folder: Path) -> None:
    process = start(folder, ONCE="1")
    assert process.stdout is not None
    for line in process.stdout:
        if "starting Tiphys" in line:
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "nothing is left running" in output


def test_ctrl_c_at_the_live_table_ends_everything_at_once(folder: Path) -> None:
    """On a terminal of its own, since there Ctrl-C goes to everything in the foreground."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ |= {"TMPDIR": str(folder), "COLUMNS": "140", "LINES": "40"}
        os.execv(sys.executable, [sys.executable, "-m", "demo"])
    output = b""
    pressed = 0.0
    while chunk := _read(terminal):
        output += chunk
        if not pressed and b"Ctrl-C ends" in output:
            os.write(terminal, b"\x03\x03")  # and a second one, of somebody impatient
            pressed = time.monotonic()
    _, status = os.waitpid(child, 0)
    assert pressed, output.decode(errors="replace")
    assert time.monotonic() - pressed < 12
    assert b"nothing is left running" in output, output[-2000:].decode(errors="replace")
    assert os.waitstatus_to_exitcode(status) == 0


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


def test_a_given_cluster_is_used_after_a_yes_and_left_as_it_was(
    folder: Path, binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ControlPlane.start(tmp_path_factory.mktemp("given"), binaries) as plane:

        def there() -> list[str]:
            return plane.kubectl(
                "get", "namespaces,crds,clusterroles,clusterrolebindings", "-o", "name"
            ).split()

        before = there()
        process = start(folder, f"--kubeconfig={plane.kubeconfig}", ONCE="1")
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1, output
        assert f"Install Tiphys and the demo applications on {plane.server}" in output
        assert "say YES=1" in output
        assert sorted(there()) == sorted(before)
        process = start(folder, f"--kubeconfig={plane.kubeconfig}", ONCE="1", YES="1")
        output, _ = process.communicate(timeout=280)
        assert process.returncode == 0, output
        assert f"applying crds/ and manifests/ to {plane.server}" in output
        assert [name for name in EXPECTED if name not in output] == []
        assert sorted(there()) == sorted(before)


def test_a_cluster_in_the_environment_is_not_touched_and_a_given_one_needs_a_yes(
    folder: Path, control_plane: ControlPlane
) -> None:
    before = control_plane.kubectl("get", "namespaces", "-o", "name")
    process = start(folder, f"--kubeconfig={control_plane.kubeconfig}", ONCE="1")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    # Depending on what other tests have installed there, the one or the other reason.
    assert "say YES=1" in output or "would remove it at its end" in output
    assert control_plane.kubectl("get", "namespaces", "-o", "name") == before


def test_a_kubeconfig_that_is_not_there_is_named(folder: Path) -> None:
    process = start(folder, "--kubeconfig=/nowhere/config")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "there is no kubeconfig /nowhere/config" in output


def test_make_passes_only_a_kubeconfig_of_its_own_line() -> None:
    def command(*arguments: str) -> str:
        environment = os.environ | {"KUBECONFIG": "/lying/around"}
        done = subprocess.run(
            ["make", "--dry-run", "run", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.stdout

    assert "/lying/around" not in command()
    assert '--kubeconfig "/given"' in command("KUBECONFIG=/given")
