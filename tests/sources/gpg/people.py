"""People with OpenPGP keys of their own, made by the real gpg in homes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Person:
    """Somebody with a key. ``home`` is the folder of gpg."""

    def __init__(self, home: Path, name: str, *, kind: str = "ed25519", expires: str = "never") -> None:
        self.home = home
        self.name = name
        self.owner = f"{name} <{name.lower()}@example.org>"
        home.mkdir(mode=0o700)
        self.gpg("--quick-gen-key", self.owner, kind, "sign", expires)
        listed = self.gpg("--with-colons", "--list-keys").splitlines()
        self.fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        self.key_id = self.fingerprint[-16:]

    def gpg(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["gpg", "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", *arguments],
            env={"PATH": os.environ["PATH"], "GNUPGHOME": str(self.home)},
            input=stdin,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def public(self) -> str:
        return self.gpg("--armor", "--export", self.fingerprint)

    @property
    def secret(self) -> str:
        return self.gpg("--armor", "--export-secret-keys", self.fingerprint)

    @property
    def signs(self) -> dict[str, str]:
        """Environment with which git signs as this person."""
        return {
            "GNUPGHOME": str(self.home),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "user.signingKey",
            "GIT_CONFIG_VALUE_0": self.fingerprint,
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": f"{self.name.lower()}@example.org",
        }

    def end(self) -> None:
        """The agent that gpg started for this home."""
        subprocess.run(
            ["gpgconf", "--kill", "all"],
            env={"PATH": os.environ["PATH"], "GNUPGHOME": str(self.home)},
            capture_output=True,
        )


@contextmanager
def people(*names: str, kind: str = "ed25519") -> Iterator[list[Person]]:
    """Some people; their homes have short paths, as gpg's sockets need."""
    folder = Path(tempfile.mkdtemp(prefix="gpg-"))
    made: list[Person] = []
    try:
        for name in names:
            made.append(Person(folder / name, name, kind=kind))
        yield made
    finally:
        for each in made:
            each.end()
        shutil.rmtree(folder, ignore_errors=True)
