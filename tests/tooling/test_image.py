"""The Dockerfile, as far as it goes without a container engine.

The steps of the package are run; helm and kustomize are compared with how the programs of all other
tests are built; the system's packages are resolved and fetched as for an empty system and, where we
may, unpacked, tried, and the user made.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.building import linker_flags
from tests.controlplane.installation import ROOT
from tests.controlplane.versions import HELM, KUSTOMIZE, PROGRAMS

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stage(name: str) -> list[str]:
    """The instructions of a build stage."""
    text = re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)
    names = re.findall(r"^FROM \S+(?: AS (\w+))?$", DOCKERFILE, flags=re.MULTILINE)
    return [line for line in text[1 + names.index(name)].splitlines() if line]


def test_the_versions_are_those_of_the_tests() -> None:
    assert f"ARG HELM={HELM}\n" in DOCKERFILE
    assert f"ARG KUSTOMIZE={KUSTOMIZE}\n" in DOCKERFILE


@pytest.mark.parametrize("name", ["helm", "kustomize"])
def test_programs_are_built_as_those_of_the_tests(name: str) -> None:
    (program,) = (each for each in PROGRAMS if each.name == name)
    steps = [line.replace("${HELM}", HELM).replace("${KUSTOMIZE}", KUSTOMIZE) for line in stage("tools")]
    flags = linker_flags([program])
    assert f'RUN go install -ldflags "{flags}" {program.package}@v{program.version}' in steps
    assert "ENV CGO_ENABLED=0" in steps
    binary = program.package.rpartition("/")[2]
    copied = next(line for line in stage("") if line.startswith("COPY --from=tools"))
    assert f"/go/bin/{name if binary == 'v5' else binary}" in copied


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_what_the_system_needs_can_be_had_and_runs(tmp_path: Path) -> None:
    (step,) = (line for line in stage("") if line.startswith("RUN apt-get"))
    update, install, _ = step.removeprefix("RUN ").split(" && ")
    if shutil.which("apt-get") is None:
        return  # another system than the image's
    state, cache, root = tmp_path / "state", tmp_path / "cache", tmp_path / "root"
    for folder in (state / "lists" / "partial", cache / "archives" / "partial", root):
        folder.mkdir(parents=True)
    # An empty system: nothing of this machine's packages counts, nothing of it is changed.
    places = {"Dir::State": state, "Dir::State::status": os.devnull, "Dir::Cache": cache}
    options = [f"-o{name}={value}" for name, value in places.items()]
    options += ["-oDebug::NoLocking=1", "-oAPT::Sandbox::User=", "-oAcquire::Languages=none", "-qq"]
    run("apt-get", *options, *update.split()[1:])
    run("apt-get", *options, "--download-only", *install.split()[1:])
    archives = sorted((cache / "archives").glob("*.deb"))
    wanted = [word for word in install.split()[2:] if not word.startswith("-")]
    assert {name for name in wanted if any(path.name.startswith(f"{name}_") for path in archives)} == set(
        wanted
    )
    if os.geteuid() != 0:
        return  # only root may change the root
    for archive in archives:
        run("dpkg-deb", "--extract", str(archive), str(root))
    for name in ("passwd", "group", "shadow", "gshadow"):
        (root / "etc" / name).touch()
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / "null").touch()  # git wants one; an engine would mount it
    for command in ("git --version", "git lfs version", "ssh -V", "gpg --version", "/usr/bin/tini --version"):
        run("chroot", str(root), *command.split())
    (add,) = (line for line in stage("") if line.startswith("RUN groupadd"))
    for command in add.removeprefix("RUN ").split(" && "):
        name, *arguments = command.split()
        run(name, "--prefix", str(root), *arguments)
    assert "argocd:x:999:999:" in (root / "etc" / "passwd").read_text()
    assert (root / "home" / "argocd").is_dir()


def run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def test_it_ends_as_another_user_than_root() -> None:
    user = [line for line in stage("") if line.startswith("USER ")]
    assert user == ["USER 999:999"]
    manifest = (ROOT / "manifests" / "base" / "workload.yaml").read_text()
    assert "runAsUser: 999" in manifest


def test_what_killed_tools_leave_behind_is_taken_away() -> None:
    """The first process of a container inherits the children of those that were killed (a chart that never
    ends, a fetch that hangs); ours waits for its own only. The arguments of the manifests go to `tiphys`."""
    assert stage("")[-2:] == ['ENTRYPOINT ["/usr/bin/tini", "--", "tiphys"]', 'CMD ["run"]']
    manifest = (ROOT / "manifests" / "base" / "workload.yaml").read_text()
    assert "args: [run]" in manifest
    assert "command:" not in manifest


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_steps_of_the_package_give_a_working_command(tmp_path: Path) -> None:
    """Runs COPY and RUN of the stage, with /src, /opt and /tmp in a folder of this test."""
    source = tmp_path / "src"
    source.mkdir()
    for line in stage("package"):
        word, _, rest = line.partition(" ")
        if word == "COPY":
            *names, target = rest.split()
            copy(names, source / target)
        elif word == "RUN":
            command = re.sub(r"(?<![\w/])/(opt|tmp)/", rf"{tmp_path}/\1/", rest)
            command = re.sub(r"^python ", f"{sys.executable} ", command)
            subprocess.run(["sh", "-c", command], cwd=source, check=True, capture_output=True)
    tiphys = tmp_path / "opt" / "tiphys" / "bin" / "tiphys"
    done = subprocess.run([tiphys, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("tiphys ")
    (installed,) = (tmp_path / "opt" / "tiphys" / "lib").glob("python3.*/site-packages/tiphys")
    assert files_of(installed) == files_of(ROOT / "operator" / "tiphys")


def files_of(package: Path) -> set[str]:
    """Code and data alike: a data file that the wheel forgets is missed only where it is read."""
    paths = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    caches = ("__pycache__", ".mypy_cache", ".ruff_cache")
    return {str(path) for path in paths if path.parts[0] not in caches and "__pycache__" not in path.parts}


def copy(names: list[str], target: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in names:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, target, ignore=ignore)
        else:
            target.mkdir(exist_ok=True)
            shutil.copy(path, target)
