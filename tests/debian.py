"""Programs that tests need and that come as Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess

_SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"


def ensure_program(name: str, *packages: str) -> str:
    """Path of a program, installed with ``apt-get`` where it is missing and that is possible."""
    path = f"{os.environ['PATH']}:{_SYSTEM_PATH}"
    found = shutil.which(name, path=path)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(["apt-get", "update", "-qq"], env=env, capture_output=True)
        subprocess.run(install, env=env, capture_output=True)
        found = shutil.which(name, path=path)
    assert found is not None, f"these tests need {name}: install {' '.join(packages)}"
    return found
