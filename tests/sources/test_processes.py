"""Tools run with limits, and nothing of them outlives the call."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tiphys.sources import processes
from tiphys.sources.processes import Limits, run


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def read_pid(path: Path) -> int:
    text = path.read_text() if path.is_file() else ""
    return int(text) if text.endswith("\n") else 0


def size_of(path: Path) -> int:
    return path.stat().st_size


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - another process cannot set an Event
            await asyncio.sleep(0.01)


async def pid_in(path: Path) -> int:
    await until(lambda: read_pid(path) > 0)
    return read_pid(path)


async def gone(pid: int) -> None:
    await until(lambda: not is_running(pid))


async def test_output_code_and_errors(tmp_path: Path) -> None:
    done = await run(shell("cat; echo bad >&2; exit 3"), cwd=tmp_path, stdin=b"in" * 100_000)
    assert (done.code, done.output, done.errors) == (3, b"in" * 100_000, "bad\n")


async def test_the_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    done = await run(["env"], cwd=tmp_path, environment={"EXTRA": "1"}, scratch=tmp_path)
    lines = dict(line.split("=", 1) for line in done.output.decode().splitlines())
    assert "SECRET_TOKEN" not in lines
    assert lines["EXTRA"] == "1"
    assert lines["HOME"].startswith(str(tmp_path))
    assert not os.listdir(tmp_path)


async def test_time_limit_kills_the_whole_group(tmp_path: Path) -> None:
    with pytest.raises(processes.TimeLimit, match=r"sh exceeded the time limit of 0.5 s"):
        await run(shell("sleep 600 & echo $! > child; wait"), cwd=tmp_path, limits=Limits(timeout=0.5))
    await gone(await pid_in(tmp_path / "child"))


async def test_cancelling_kills_the_whole_group(tmp_path: Path) -> None:
    task = asyncio.create_task(run(shell("sleep 600 & echo $! > child; wait"), cwd=tmp_path))
    pid = await pid_in(tmp_path / "child")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(pid)


async def test_a_straggler_does_not_keep_the_caller(tmp_path: Path) -> None:
    started = time.monotonic()
    done = await run(shell("sleep 600 & echo $! > child; echo out"), cwd=tmp_path)
    assert done.output == b"out\n"
    assert time.monotonic() - started < 5
    await gone(await pid_in(tmp_path / "child"))


@pytest.mark.parametrize("where", ["1", "2"])
async def test_output_limit(tmp_path: Path, where: str) -> None:
    with pytest.raises(processes.OutputLimit, match="sh printed more than 1 MiB"):
        await run(shell(f"yes 1>&{where}"), cwd=tmp_path, limits=Limits(output=1 << 20))


async def test_memory_limit(tmp_path: Path) -> None:
    script = "import sys\ntry:\n x = bytearray(400 << 20)\nexcept MemoryError:\n sys.exit('out of memory')"
    with pytest.raises(processes.MemoryLimit, match="exceeded the memory limit of 100 MiB"):
        await run(
            [sys.executable, "-c", f"import time; time.sleep(0.3)\n{script}"],
            cwd=tmp_path,
            limits=Limits(memory=100 << 20),
        )


async def test_missing_tool_and_folder(tmp_path: Path) -> None:
    with pytest.raises(processes.ToolMissing, match="nothing-here is not installed"):
        await run(["nothing-here"], cwd=tmp_path)
    with pytest.raises(processes.ProcessError, match="working folder of sh does not exist"):
        await run(["sh"], cwd=tmp_path / "no")
    with pytest.raises(processes.NoSpace, match="no room for the working folder"):
        await run(["sh"], cwd=tmp_path, scratch=tmp_path / "no")


async def test_large_files_are_refused(tmp_path: Path) -> None:
    done = await run(
        shell("sleep 0.3; head -c 2000000 /dev/zero > big"), cwd=tmp_path, limits=Limits(file_size=1 << 20)
    )
    assert done.code != 0
    assert size_of(tmp_path / "big") <= 1 << 20
