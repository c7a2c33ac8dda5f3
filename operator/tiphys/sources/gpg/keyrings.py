"""A keyring for each set of trusted keys, made once and used by every check of signatures.

A keyring is a home of gpg that holds exactly the keys of the settings, all of them trusted without
question (``sources.md`` 19), and a configuration under which gpg asks nobody, fetches nothing and
locks nothing. Another set of keys is another keyring; those out of use are removed.
"""

import asyncio
import hashlib
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tiphys.sources.errors import SourceError
from tiphys.sources.git.flights import Flights
from tiphys.sources.gpg.keys import parse_keys
from tiphys.sources.gpg.running import run_gpg
from tiphys.sources.gpg.signatures import CommitSignature
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_KEPT = 3
_REMEMBERED = 100_000
_CONFIGURATION = """batch
no-tty
no-autostart
no-auto-key-retrieve
no-auto-check-trustdb
lock-never
display-charset utf-8
"""


class Keyring:
    """One set of keys. ``home`` is what ``GNUPGHOME`` shall be."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.users = 0
        self._good: OrderedDict[str, tuple[float, CommitSignature]] = OrderedDict()

    def known(self, sha: str, oldest: float) -> CommitSignature | None:
        """What was found of a commit since ``oldest`` (event-loop time): keys expire."""
        found = self._good.get(sha)
        return found[1] if found is not None and found[0] >= oldest else None

    def remember(self, sha: str, now: float, signature: CommitSignature) -> None:
        self._good[sha] = (now, signature)
        self._good.move_to_end(sha)
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)


class Keyrings:
    """Keyrings below a folder of their own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: OrderedDict[str, Keyring] = OrderedDict()
        self._flights: Flights[Keyring] = Flights()

    @asynccontextmanager
    async def lease(self, keys: Mapping[str, str]) -> AsyncIterator[Keyring]:
        """The keyring of these armored keys, for the length of the block.

        Raises:
            SourceError: gpg is not installed or does not work.
        """
        name = hashlib.sha256(repr(sorted(keys.items())).encode("utf-8", "replace")).hexdigest()[:24]
        ring = self._made.get(name)
        if ring is None or not ring.home.exists():
            ring = await self._flights.share(name, lambda: self._make(name, keys))
        self._made[name] = ring
        self._made.move_to_end(name)
        ring.users += 1
        try:
            yield ring
        finally:
            ring.users -= 1
            await self._evict()

    async def close(self) -> None:
        """Ends what is being made and removes everything."""
        await self._flights.close()
        self._made.clear()
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)

    async def _make(self, name: str, keys: Mapping[str, str]) -> Keyring:
        home = self._root / name
        try:
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise SourceError("Internal", f"cannot make a keyring: {error.strerror}") from None
        for key, text in sorted(keys.items()):
            done = await run_gpg(home, ["--import"], stdin=text.encode("utf-8", "replace"))
            if done.code != 0:
                log.warning("trusted GPG key cannot be read and is ignored", extra={"key": key})
        listed = await run_gpg(home, ["--with-colons", "--fixed-list-mode", "--list-keys"])
        found = parse_keys(listed.output.decode("utf-8", "replace"))
        if found:
            trust = "".join(f"{key.fingerprint}:6:\n" for key in found)
            await run_gpg(home, ["--import-ownertrust"], stdin=trust.encode())
        await run_gpg(home, ["--check-trustdb"])
        try:
            (home / "gpg.conf").write_text(_CONFIGURATION)
        except OSError as error:
            raise SourceError("Internal", f"cannot make a keyring: {error.strerror}") from None
        return Keyring(home)

    async def _evict(self) -> None:
        for name, ring in list(self._made.items())[:-_KEPT]:
            if not ring.users:
                del self._made[name]
                await asyncio.to_thread(shutil.rmtree, ring.home, ignore_errors=True)
