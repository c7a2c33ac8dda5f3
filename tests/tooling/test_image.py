"""The Dockerfile, as far as it goes without a container engine: its steps for the package are run,
its versions are compared, and what it copies exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.installation import ROOT
from tests.controlplane.versions import HELM, KUSTOMIZE

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stage(name: str) -> list[str]:
    """The instructions of a build stage."""
    text = re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)
    names = re.findall(r"^FROM \S+(?: AS (\w+))?$", DOCKERFILE, flags=re.MULTILINE)
    return [line for line in text[1 + names.index(name)].splitlines() if line]


def test_the_versions_are_those_of_the_tests() -> None:
    assert f"ARG HELM={HELM}\n" in DOCKERFILE
    assert f"ARG KUSTOMIZE={KUSTOMIZE}\n" in DOCKERFILE


def test_it_ends_as_another_user_than_root() -> None:
    user = [line for line in stage("") if line.startswith("USER ")]
    assert user == ["USER 999:999"]
    manifest = (ROOT / "manifests" / "base" / "workload.yaml").read_text()
    assert "runAsUser: 999" in manifest


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
