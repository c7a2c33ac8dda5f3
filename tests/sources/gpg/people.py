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

    def __init__(
        self, home: Path, name: str, *, kind: str = "ed25519", expires: str = "never", then: str = ""
    ) -> None:
        self.home = home
        self.name = name
        self.owner = f"{name} <{name.lower()}@example.org>"
        home.mkdir(mode=0o700)
        past = ["--faked-system-time", then] if then else []
        self.gpg(*past, "--quick-gen-key", self.owner, kind, "sign", expires)
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

    def signs(self, program: Path | None = None) -> dict[str, str]:
        """Environment with which git signs as this person, by another program than gpg if given."""
        settings = {"user.signingKey": self.fingerprint, "commit.gpgSign": "true", "tag.gpgSign": "true"}
        if program is not None:
            settings["gpg.program"] = str(program)
        env = {
            "GNUPGHOME": str(self.home),
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": f"{self.name.lower()}@example.org",
            "GIT_COMMITTER_NAME": self.name,
        }
        for number, (key, value) in enumerate(settings.items()):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env

    def revoke(self) -> None:
        """Take the key back, in this home."""
        text = (self.home / "openpgp-revocs.d" / f"{self.fingerprint}.rev").read_text()
        self.gpg("--import", stdin=text.replace(":-----BEGIN", "-----BEGIN"))

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
