"""Listings of remotes' refs: one ``ls-remote`` answers all applications of a repository.

An answer is as old as the moment its request *began*, since a push during the request may or may not
be in it. A caller that wants news (a webhook came, a user pressed refresh) therefore never joins a
request that began before the news, but all who want news meanwhile share the next one. Failures are
remembered shortly, so that an unreachable repository costs one attempt, not one for each application.
"""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import CommandTimeout, RepositoryUnreachable, SourceError
from tiphys.sources.git.access import clean_url, is_http
from tiphys.sources.git.flights import Flights
from tiphys.sources.git.objects import CorruptMirror
from tiphys.sources.git.options import GitOptions, GitRequest
from tiphys.sources.git.refs import NOTHING_LISTED, Listing, parse_listing
from tiphys.sources.git.runner import GitRunner

_DOING = "failed to list refs"


class _Answer(NamedTuple):
    began: float
    """Event-loop time."""
    listing: Listing = NOTHING_LISTED
    error: SourceError | None = None


class Listings:
    """Answers by mirror key."""

    def __init__(self, runner: GitRunner, options: GitOptions, report: Callable[[GitRequest], None]) -> None:
        self._runner = runner
        self._options = options
        self._report = report
        self._answers: dict[str, _Answer] = {}
        self._flights: Flights[_Answer] = Flights()
        self._began: dict[str, float] = {}
        limit = options.ls_remote_parallelism
        self._slots = asyncio.Semaphore(limit) if limit > 0 else None
        self.cache_seconds = options.revision_cache_seconds

    def known(self, key: str) -> Listing:
        """The latest listing without asking; an empty one if there is none."""
        answer = self._answers.get(key)
        return answer.listing if answer is not None else NOTHING_LISTED

    def expire(self) -> None:
        """No answer of before counts from now on."""
        for key, answer in self._answers.items():
            self._answers[key] = answer._replace(began=-math.inf)

    async def get(self, key: str, repository: Repository, *, fresh: bool, since: float | None) -> Listing:
        """Refs from an answer that is young enough, else from a (shared) new request."""
        now = asyncio.get_running_loop().time()
        if since is not None:
            oldest = since
        elif fresh:
            oldest = now - self._options.fresh_share_seconds
        else:
            oldest = now - self.cache_seconds
        while True:
            answer = self._answers.get(key)
            if answer is not None and answer.began >= oldest and not self._outlived(answer, now):
                break
            began = self._began.get(key)
            if began is not None and began < oldest:
                # too old already: wait for its end, then share the next one
                await self._flights.share(key, lambda: self._ask(key, repository))
                continue
            answer = await self._flights.share(key, lambda: self._ask(key, repository))
            break
        if answer.error is not None:
            raise answer.error.with_prefix("")
        return answer.listing

    def _outlived(self, answer: _Answer, now: float) -> bool:
        return answer.error is not None and now - answer.began > self._options.failure_cache_seconds

    async def _ask(self, key: str, repository: Repository) -> _Answer:
        loop = asyncio.get_running_loop()
        self._began[key] = loop.time()
        try:
            if self._slots is None:
                answer = await self._attempts(repository)
            else:
                async with self._slots:
                    self._began[key] = loop.time()
                    answer = await self._attempts(repository)
            if answer.error is not None and key in self._answers:
                # refs known from before still help to fetch commits by name
                answer = answer._replace(listing=self._answers[key].listing)
            answer = answer._replace(began=max(answer.began, self._began[key]))
            self._answers[key] = answer
            return answer
        finally:
            del self._began[key]

    async def _attempts(self, repository: Repository) -> _Answer:
        options = self._options
        pause = options.retry_duration
        attempt = 1
        while True:
            began = asyncio.get_running_loop().time()
            try:
                return _Answer(began, await self._once(repository))
            except SourceError as error:
                temporary = isinstance(error, (RepositoryUnreachable, CommandTimeout))
                if attempt >= options.attempts or not temporary:
                    return _Answer(began, error=error)
            attempt += 1
            await asyncio.sleep(min(pause, options.retry_max_duration))
            pause *= options.retry_factor

    async def _once(self, repository: Repository) -> Listing:
        options = self._options
        self._runner.admit(repository)
        url = clean_url(repository.url)
        limit = options.request_timeout if is_http(url) else options.exec_timeout
        started = time.monotonic()
        failed = True
        try:
            finished = await self._runner.list_refs(repository, cwd=self._cwd(), timeout=limit)
            if not finished.ok:
                raise self._runner.failure(finished, _DOING, url)
            failed = False
        except CorruptMirror as error:
            raise SourceError("Unknown", f"{_DOING}: {error}", repository=url) from error
        except CommandTimeout as error:
            raise error.with_prefix(f"{_DOING}: ") from error
        finally:
            self._report(GitRequest("ls-remote", url, time.monotonic() - started, failed))
        refs = parse_listing(finished.stdout)
        if not refs:
            raise SourceError("Unknown", f"{_DOING}: remote repository is empty", repository=url)
        return Listing(refs)

    def _cwd(self) -> Path:
        return self._runner.home

    async def close(self) -> None:
        await self._flights.close()
