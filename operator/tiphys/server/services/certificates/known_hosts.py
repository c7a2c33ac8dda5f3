"""An OpenSSH ``known_hosts`` file as a value: its entries, and edits that keep everything else. Pure.

The reference writes the file anew out of its entries and so loses comments; here a line is replaced,
added at the end or taken out.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

_BRACKETED = re.compile(r"\[(.*)\]:[0-9]+")
_KEY_TYPE = re.compile(r"[a-zA-Z0-9@.+_-]+")


class InvalidHostKey(ValueError):
    """What was given is no public key of a host."""


class HostKey(msgspec.Struct, frozen=True):
    """One entry. ``host`` is the first field as written (``[name]:port``, names with commas, a
    hash); ``data`` is the key in base64, with a comment if there is one."""

    host: str
    kind: str
    data: str

    @property
    def line(self) -> str:
        return f"{self.host} {self.kind} {self.data}"

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as ssh-keygen shows it; empty when the key cannot be read."""
        try:
            blob = base64.b64decode(self.data.split()[0], validate=True)
        except (binascii.Error, IndexError, ValueError):
            return ""
        return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")

    def check(self) -> None:
        """Raises:
        InvalidHostKey: it is no public key, or one of another kind.
        """
        words = self.data.split()
        # a line break would bring a line of its own, for another host
        one_line = self.data.isprintable() and not any(c.isspace() for c in self.host)
        if not words or not one_line or not _KEY_TYPE.fullmatch(self.kind):
            raise InvalidHostKey(f"no valid SSH host key for {self.host}")
        try:
            blob = base64.b64decode(words[0], validate=True)
            length = int.from_bytes(blob[:4], "big")
            inside = blob[4 : 4 + length].decode("ascii")
        except (binascii.Error, ValueError):
            raise InvalidHostKey(f"no valid SSH host key for {self.host}: not base64 of a key") from None
        if inside != self.kind:
            raise InvalidHostKey(f"no valid SSH host key for {self.host}: it is not of type {self.kind}")
        try:
            load_ssh_public_key(f"{self.kind} {words[0]}".encode())
        except UnsupportedAlgorithm:
            return  # of a kind that ssh may know (security keys, certificates)
        except ValueError:
            raise InvalidHostKey(f"no valid SSH host key for {self.host}: the key is damaged") from None


class KnownHosts(msgspec.Struct, frozen=True):
    """The file."""

    text: str = ""

    @property
    def entries(self) -> tuple[HostKey, ...]:
        """In the order of the file; comments, markers and what is no entry are left out."""
        return tuple(entry for line in self.text.splitlines() if (entry := _entry(line)) is not None)

    def find(self, host: str, kind: str) -> HostKey | None:
        """The first key of this kind for this host, both as written."""
        return next((each for each in self.entries if (each.host, each.kind) == (host, kind)), None)

    def with_key(self, key: HostKey) -> "KnownHosts":
        """The file with the key in the place of the one of the same host and kind, or at the end."""
        lines = self.text.splitlines()
        for number, line in enumerate(lines):
            held = _entry(line)
            if held is not None and (held.host, held.kind) == (key.host, key.kind):
                lines[number] = key.line
                return _joined(lines)
        return _joined([*lines, key.line])

    def without(self, unwanted: Callable[[HostKey], bool]) -> "KnownHosts":
        """The file without the entries that ``unwanted`` names."""
        kept = [
            line for line in self.text.splitlines() if (entry := _entry(line)) is None or not unwanted(entry)
        ]
        return _joined(kept)


def host_name(host: str) -> str:
    """``[name]:port`` → ``name``."""
    found = _BRACKETED.fullmatch(host)
    return found.group(1) if found is not None else host


def _joined(lines: list[str]) -> KnownHosts:
    return KnownHosts("".join(f"{line}\n" for line in lines))


def _entry(line: str) -> HostKey | None:
    if line.lstrip().startswith(("#", "@")):
        return None
    words = line.split(None, 2)
    return HostKey(words[0], words[1], words[2].strip()) if len(words) == 3 else None
