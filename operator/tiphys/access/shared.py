"""What all replicas must know of sessions: revoked tokens and failed logins, in one Secret.

The reference keeps revocations in Redis and failures in each replica's memory. Here both live in the
Secret ``tiphys-sessions`` of the control plane's namespace, which every replica follows with a watch of
its own (``following``). Each adds its own pending changes to what is stored, and writes them bound to
the version they were computed from: a conflict is computed again, nothing gets lost.

* A revocation is written before the logout is answered; it survives restarts, and other replicas know
  it as fast as a watch event travels. What is stored is a digest of the token's id and its expiry;
  expired entries go with the next write. More than ``MOST_REVOKED`` at once drop the ones that expire
  first, with a warning. When somebody deletes the Secret, those who know write it again.
* Failed logins are counted at once here, and written at most once in ``PAUSE`` seconds; so a guesser
  who spreads over N replicas gets at most N tries per pause more than on one.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tiphys.access.accounts import ATTEMPTS, SECRET, encoded
from tiphys.access.errors import StateConflict
from tiphys.access.failures import Book, Change, Failures
from tiphys.access.following import follow, read
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from tiphys.resources.identity import Manifest
from tiphys.settings.problems import SettingError
from tiphys.settings.reading import data_of
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

NAME = "tiphys-sessions"
REVOKED, FAILED = "revoked", "failedLogins"

MOST_REVOKED = 20_000
"""Entries of about 30 bytes; a Secret holds a megabyte."""

PAUSE = 1.0
"""Seconds between two writes of failed logins."""

_AGAIN = 10.0
"""Seconds until a failed write is tried again."""


class Stored(msgspec.Struct, frozen=True):
    """The content of the Secret: digest → expiry (Unix seconds), and the book of failures."""

    revoked: Mapping[str, int] = {}
    failed: Mapping[str, Failures] = {}


class SharedSessions:
    """See the module.

    Args:
        still_matters: drops entries of the book that do not matter any more.
    """

    def __init__(
        self,
        client: ClusterClient,
        namespace: str,
        clock: Callable[[], datetime],
        still_matters: Callable[[Book], dict[str, Failures]],
    ):
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._still_matters = still_matters
        self._version = 0
        self._stored = Stored()
        self._revoked: dict[str, int] = {}  # all that this replica has ever heard of, until they expire
        self._pending: list[Change] = []
        self._book: Book | None = None
        self._dirty = asyncio.Event()
        self._writing = asyncio.Lock()
        self._is_under_way = False

    # Revocations

    def is_revoked(self, token_id: str) -> bool:
        """Whether a token's id was revoked."""
        return bool(self._revoked) and digest_of(token_id) in self._revoked

    async def revoke(self, token_id: str, expires: int) -> None:
        """Make a token worthless until it expires by itself; known here at once, stored on return.

        Raises:
            KubeError: not stored (it is revoked on this replica, and stored with the next write).
        """
        self._revoked[digest_of(token_id)] = expires
        self._dirty.set()
        await self._write()

    # Failed logins

    @property
    def book(self) -> Book:
        """The failures that all replicas stored, and our own."""
        if self._book is None:
            book: Book = self._stored.failed
            for change in self._pending:
                book = change(book)
            self._book = book
        return self._book

    def change_book(self, change: Change) -> None:
        """Count at once, write soon."""
        self._pending.append(change)
        if self._book is not None:
            self._book = change(self._book)
        self._dirty.set()

    # Storing

    async def load(self) -> None:
        """Learn what is stored; before the first token is checked.

        Raises:
            KubeError: it cannot be read.
        """
        await read(self._client, self._namespace, NAME, self.take)

    async def run(self) -> None:
        """Follow what others store, and store what is pending, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(self._client, self._namespace, NAME, self.take))
            tasks.create_task(self._keep_writing())

    async def _keep_writing(self) -> None:
        while True:
            await self._dirty.wait()
            pause = PAUSE
            try:
                await self._write()
            except (KubeError, StateConflict) as error:
                log.warning("sessions: not stored, trying again: %s", error)
                pause = _AGAIN
            await asyncio.sleep(pause)

    async def _write(self) -> None:
        async with self._writing:
            for _ in range(ATTEMPTS):
                if not self._dirty.is_set():
                    return
                self._dirty.clear()
                self._book = self.book  # worked out before what we write can come back
                self._is_under_way = True
                try:
                    answer, written = await self._write_once()
                    del self._pending[:written]
                except (Conflict, AlreadyExists, NotFound):
                    self._dirty.set()
                    continue
                except BaseException:
                    self._dirty.set()
                    raise
                finally:
                    self._is_under_way = False
                    self._book = None
                if answer is not None:
                    self.take(answer)
                return
        raise StateConflict(f"Secret {NAME}")

    async def _write_once(self) -> tuple[Manifest | None, int]:
        """Bring the Secret to what it shall be; how it is then (None: there is none and none is needed),
        and how many of the pending changes are in it."""
        try:
            secret = await self._client.get(SECRET, self._namespace, NAME)
        except NotFound:
            secret = None
        stored = read_stored(_data(secret))
        now = int(self._clock().timestamp())
        self._revoked = {**stored.revoked, **self._revoked}
        self._revoked = {key: expires for key, expires in self._revoked.items() if expires > now}
        book: Book = stored.failed
        written = len(self._pending)
        for change in self._pending[:written]:
            book = change(book)
        new = Stored(_bounded(self._revoked), self._still_matters(book))
        if new == stored:
            return secret, written
        data = {REVOKED: encoded(_json(new.revoked)), FAILED: encoded(_json(new.failed))}
        if secret is None:
            return await self._client.create(_manifest(self._namespace, data)), written
        metadata = {"resourceVersion": secret["metadata"]["resourceVersion"]}
        patch = {"metadata": metadata, "data": data}
        return await self._client.patch(SECRET, self._namespace, NAME, patch, MERGE_PATCH), written

    def take(self, secret: Manifest | None) -> None:
        """The Secret as it is now (None: there is none); an older state than the known one is ignored."""
        if secret is not None:
            version = str((secret.get("metadata") or {}).get("resourceVersion") or "")
            if version.isdigit() and int(version) <= self._version:
                return
            self._version = int(version) if version.isdigit() else 0
        else:
            self._version = 0
        self._stored = read_stored(_data(secret))
        if not self._is_under_way:
            # The event of our own write may come before its answer does: what is pending is in it already
            # and would count twice until then.
            self._book = None
        now = int(self._clock().timestamp())
        merged = {**self._revoked, **self._stored.revoked}
        self._revoked = {key: expires for key, expires in merged.items() if expires > now}
        if any(key not in self._stored.revoked for key in self._revoked):
            self._dirty.set()  # somebody deleted the Secret: what was logged out stays so


def digest_of(token_id: str) -> str:
    """What stands for a token's id: 96 bits, so that nobody reads ids and none outgrows its place."""
    return hashlib.blake2b(token_id.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def read_stored(data: Mapping[str, str]) -> Stored:
    """The Secret's data as values; what cannot be read counts as nothing, and is told."""
    return Stored(
        _decoded(data.get(REVOKED, ""), dict[str, int], REVOKED),
        _decoded(data.get(FAILED, ""), dict[str, Failures], FAILED),
    )


def _decoded(text: str, kind: Any, key: str) -> Any:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogateescape"), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        log.error("Secret %s, key %s: cannot be read and is ignored", NAME, key)
        return {}


def _data(secret: Manifest | None) -> Mapping[str, str]:
    try:
        return data_of({**secret, "kind": "Secret"}) if secret is not None else {}
    except SettingError as error:
        log.error("%s", error)
        return {}


def _bounded(revoked: Mapping[str, int]) -> dict[str, int]:
    if len(revoked) <= MOST_REVOKED:
        return dict(revoked)
    log.warning("sessions: more than %d revoked tokens; those that expire first are dropped", MOST_REVOKED)
    latest = sorted(revoked, key=lambda key: revoked[key], reverse=True)[:MOST_REVOKED]
    return {key: revoked[key] for key in latest}


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _manifest(namespace: str, data: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {"app.kubernetes.io/name": NAME}},
        "type": "Opaque",
        "data": data,
    }
