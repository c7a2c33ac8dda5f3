"""The measured repository: ``app-00000`` … with one ConfigMap of 2 KB each, and ``big-N`` with N.

Commits are made straight in a bare repository through ``git fast-import`` data, so that a commit
that changes a thousand files costs the machine as little as one that changes one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PAYLOAD_BYTES = 1900


def config_map(name: str, version: str) -> bytes:
    """A ConfigMap of about 2 KB whose content follows from its name and version."""
    seed = f"{name}/{version}".encode()
    payload = hashlib.shake_256(seed).hexdigest(PAYLOAD_BYTES // 2)
    text = (
        f'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels:\n    bench: "true"\n'
        f'data:\n  version: "{version}"\n  payload: "{payload}"\n'
    )
    return text.encode()


def app_file(index: int) -> str:
    return f"app-{index:05d}/config.yaml"


def big_name(objects: int, index: int) -> str:
    return f"big-{objects}-{index:05d}"


def big_file(objects: int, index: int) -> str:
    return f"big-{objects}/{big_name(objects, index)}.yaml"


class BenchRepository:
    """A bare repository with one branch, ``main``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(folder), cwd=folder.parent)
        self._commits = 0

    def commit(self, files: Mapping[str, bytes]) -> str:
        """Write these files on top of what is there; the new commit's SHA."""
        self._commits += 1
        message = f"commit {self._commits}".encode()
        lines = [
            b"commit refs/heads/main\n",
            b"committer Bench <bench@example.com> %d +0000\n" % (1_700_000_000 + self._commits),
            b"data %d\n%s\n" % (len(message), message),
        ]
        if self._commits > 1:
            lines.append(b"from refs/heads/main^0\n")
        for path, body in files.items():
            lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(body), body))
        self._git("fast-import", "--quiet", stdin=b"".join(lines))
        return self._git("rev-parse", "refs/heads/main").decode().strip()

    def _git(self, *args: str, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        done = subprocess.run(
            ["git", *args],
            input=stdin,
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            check=True,
        )
        return done.stdout
