"""Which public keys a text holds: ids, fingerprints, owners, and each key as a text of its own.

The colon listing is gpg's interface for programs; anything else of its output is for people.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tiphys.sources.errors import SourceError
from tiphys.sources.gpg.running import run_gpg

MAX_BYTES = 1 << 20
"""Of what people send as keys."""

_KEY_ID = re.compile(r"(?:[0-9a-fA-F]{24})?([0-9a-fA-F]{16})")
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})")
_ALGORITHMS = {"1": "rsa", "2": "rsa", "3": "rsa", "16": "elg", "17": "dsa", "20": "elg"}


class InvalidKey(SourceError):
    """A text that holds no public key."""


class PublicKey(msgspec.Struct, frozen=True):
    """One key.

    Attributes:
        key_id: 16 hexadecimal digits in capitals.
        owner: the first user id, ``Name <email>``.
        kind: ``rsa4096``, ``ed25519``.
        armored: the key alone, as ASCII text; empty where only its description was asked for.
    """

    key_id: str
    fingerprint: str
    owner: str
    kind: str
    armored: str = ""


def key_id_of(text: str) -> str:
    """The id of a key named by id or fingerprint; ``""`` if it is neither."""
    found = _KEY_ID.fullmatch(text.strip())
    return found.group(1).upper() if found is not None else ""


async def describe_keys(text: str) -> tuple[PublicKey, ...]:
    """The keys in a text, without taking them in. Raises InvalidKey, SourceError."""
    with _home() as home:
        data = _checked(text)
        done = await run_gpg(home, ["--with-colons", "--fixed-list-mode", "--show-keys"], stdin=data)
        found = parse_keys(done.output.decode("utf-8", "replace"))
    if not found:
        raise InvalidKey("Unknown", "no valid PGP public key found in input data")
    return found


async def separate_keys(text: str) -> tuple[PublicKey, ...]:
    """The keys in a text, each with an armored text of its own, which holds nothing but the public
    key whatever came along. Raises InvalidKey, SourceError."""
    with _home() as home:
        await run_gpg(home, ["--import"], stdin=_checked(text))
        listed = await run_gpg(home, ["--with-colons", "--fixed-list-mode", "--list-keys"])
        found = parse_keys(listed.output.decode("utf-8", "replace"))
        if not found:
            raise InvalidKey("Unknown", "no valid PGP public key found in input data")
        result: list[PublicKey] = []
        for key in found:
            exported = await run_gpg(home, ["--armor", "--export", key.fingerprint])
            result.append(msgspec.structs.replace(key, armored=exported.output.decode("ascii", "replace")))
    return tuple(result)


def parse_keys(listing: str) -> tuple[PublicKey, ...]:
    """A listing with colons (GnuPG's ``doc/DETAILS``): ``pub`` begins a key, the first ``fpr`` after
    it is its own, the first ``uid`` names its owner; subkeys do not count."""
    found: list[PublicKey] = []
    own = False
    for line in listing.splitlines():
        fields = line.split(":")
        match fields[0]:
            case "pub" if len(fields) > 16:
                own = True
                kind = _ALGORITHMS.get(fields[3])
                kind = kind + fields[2] if kind else fields[16] or f"algorithm {fields[3]}"
                found.append(PublicKey(fields[4], "", "", kind))
            case "sub" | "ssb" | "sec":
                own = False
            case "fpr" if own and found and not found[-1].fingerprint:
                found[-1] = msgspec.structs.replace(found[-1], fingerprint=fields[9])
            case "uid" if found and not found[-1].owner:
                found[-1] = msgspec.structs.replace(found[-1], owner=_unescaped(fields[9]))
    return tuple(key for key in found if key.fingerprint)


def _unescaped(text: str) -> str:
    def byte(match: re.Match[str]) -> str:
        return chr(int(match.group(1), 16))

    if "\\x" not in text:
        return text
    return (
        _ESCAPED.sub(byte, text.encode("utf-8").decode("latin-1"))
        .encode("latin-1")
        .decode("utf-8", "replace")
    )


def _checked(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        raise InvalidKey("InvalidArgument", f"key data is larger than {MAX_BYTES} bytes")
    return data


@contextmanager
def _home() -> Iterator[Path]:
    """A home for one question. Raises SourceError."""
    try:
        home = Path(tempfile.mkdtemp(prefix="tiphys-gpg-"))
    except OSError as error:
        raise SourceError("Internal", f"cannot make a folder for gpg: {error.strerror}") from None
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
