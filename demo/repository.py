"""The demo's Git repository: the files of ``demo/repository/`` committed in a folder of its own.

``@REPOSITORY@`` in a file becomes the repository's address, which is not known before.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

FILES = Path(__file__).with_name("repository")
PLACE = "@REPOSITORY@"


def destinations() -> list[str]:
    """The namespaces that the demo's applications make and deploy to."""
    applications = (yaml.safe_load(path.read_text()) for path in sorted((FILES / "apps").glob("*.yaml")))
    return [each["spec"]["destination"]["namespace"] for each in applications]


class Repository:
    """A folder with a working tree that one can edit and commit in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = folder.resolve().as_uri()

    @classmethod
    def create(cls, folder: Path) -> Repository:
        """Copy the files, fill in the address, commit on branch ``main``."""
        repository = cls(folder)
        for source in sorted(FILES.rglob("*")):
            target = folder / source.relative_to(FILES)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(repository.fill_in(source.read_text()))
        repository.git("init", "--quiet", "--initial-branch=main")
        # So that a person can commit here without a name of their own set.
        repository.git("config", "user.name", "Demo")
        repository.git("config", "user.email", "demo@example.com")
        repository.commit("The demo")
        return repository

    def fill_in(self, text: str) -> str:
        return text.replace(PLACE, self.url)

    def commit(self, message: str) -> None:
        """Commit all that changed."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)

    def git(self, *args: str, check: bool = True) -> str:
        environment = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-C", self.folder, *args],
            capture_output=True,
            text=True,
            check=check,
            env=os.environ | environment,
        )
        return done.stdout
