"""Running git commands of this store: the common environment and the translation of failures.

The environment is built from nothing: a search path, an own home, the store's global configuration
file and, for conversations with remotes, what ``credentials`` hands over. What git prints on failure
becomes a :class:`SourceError` of the right type with the reference's words (``sources.md`` 14), free
of secrets and paths.
"""

import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import CACHED_SOURCE, AccessDenied, RepositoryUnreachable, SourceError
from tiphys.sources.git.access import Trust, clean_url, is_http, local_path
from tiphys.sources.git.advertisement import Advertisements
from tiphys.sources.git.credentials import ASKPASS, Handover, hand_over
from tiphys.sources.git.objects import CorruptMirror
from tiphys.sources.git.options import GitOptions
from tiphys.sources.git.process import Finished, disk_full, is_disk_full, redact, run
from tiphys.sources.git.tokens import Tokens
from tiphys.sources.git.tokens.keeping import Limits
from tiphys.sources.outgoing import INHERITED, proxy_environment
from tiphys.sources.turns import Turns

_PATIENCE = 5.0
"""Seconds that a conversation may take before others have its turn, too."""

_CONFIG = """[core]
\thooksPath = /dev/null
\taskPass =
\tlongPaths = true
[credential]
\thelper =
[safe]
\tdirectory = *
[protocol]
\tallow = never
[protocol "https"]
\tallow = always
[protocol "http"]
\tallow = always
[protocol "ssh"]
\tallow = always
[protocol "git"]
\tallow = always
[protocol "file"]
\tallow = user
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\trecurseSubmodules = no
\twriteCommitGraph = false
[advice]
\tdetachedHead = false
"""
_BUILTIN_CONFIG = "[gc]\n\tautoDetach = false\n[maintenance]\n\tautoDetach = false\n"

# HTTP 401/403, a refused SSH key, or a question that nobody may answer
_DENIED = re.compile(
    r"authentication failed|could not read (username|password)|terminal prompts disabled"
    r"|permission denied \(|returned error: (401|403)|invalid username or (password|token)|access denied"
    r"|unable to read askpass",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"repository not found|repository '.*' not found|does not appear to be a git repository"
    r"|returned error: 404|does not exist",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"unable to access|could not resolve|connection (refused|timed out|reset|closed)|host key verification"
    r"|early eof|remote end hung up|could not read from remote|timed out|network is unreachable"
    r"|gnutls|ssl|certificate",
    re.IGNORECASE,
)
_CORRUPT = re.compile(
    r"corrupt|not a git repository|bad object|missing (blob|tree|commit) |invalid sha1 pointer"
    r"|did not send all necessary objects|bad (index|packed-refs|config)|index file .* is too small"
    r"|unresolved deltas|unable to (read|find|parse) |garbage at end|object file .* is empty"
    r"|does not point to a valid object|bad signature|could not parse"
    r"|unable to resolve reference|unable to create .*\.lock",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"^(warning: |hint: |remote: \s*$|please make sure|and the repository exists|\s*$|from )", re.IGNORECASE
)


class GitRunner:
    """Runs git for one store. ``trust`` may be replaced at any time."""

    def __init__(self, root: Path, options: GitOptions) -> None:
        self.root = root
        self.options = options
        self.trust = Trust()
        # each conversation is some processes of 10 MB; the wait for a turn counts to no time limit
        count = options.conversations
        self._turns = Turns(count, patience=_PATIENCE, late_each=2, late_all=2 * count)
        self.tokens = Tokens(
            Limits(options.request_timeout, options.github_token_seconds, options.azure_token_seconds)
        )
        self._advertisements = Advertisements()
        self.home = root / "home"
        self.scratch = root / "tmp"
        self._askpass = self.home / "askpass"
        self._config = self.home / "gitconfig"

    def prepare(self) -> None:
        """Write what commands find in their home directory. Raises SourceError and DiskFull."""
        try:
            for directory in (self.home, self.scratch):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._askpass.write_text(ASKPASS)
            self._askpass.chmod(0o700)
            self._config.write_text(_CONFIG + (_BUILTIN_CONFIG if self.options.builtin_config else ""))
        except OSError as error:
            if is_disk_full(error):
                raise disk_full("cannot prepare the repository cache") from error
            raise SourceError("Internal", f"cannot prepare git's home: {error.strerror}") from error

    @property
    def env(self) -> dict[str, str]:
        """The environment of every command; holds no secret (proxies without user information)."""
        env = {
            "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
            "HOME": str(self.home),
            "LC_ALL": "C",
            "GIT_CONFIG_GLOBAL": str(self._config),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        for name in INHERITED:
            if value := os.environ.get(name):
                env[name] = value
        return env

    async def local(
        self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> Finished:
        """A git command that talks to nobody."""
        return await run(
            ["git", *arguments],
            env=self.env | dict(env or {}),
            cwd=cwd,
            timeout=self.options.exec_timeout,
            fatal_timeout=self.options.exec_fatal_timeout,
        )

    def admit(self, repository: Repository) -> None:
        """Refuses local addresses that lead into our own directory, and relative ones (relative to
        what?): through them one tenant could read another's mirror. Raises RepositoryUnreachable."""
        path = local_path(repository.url)
        if path is None:
            return
        root = os.path.realpath(self.root)
        if not os.path.isabs(path) or os.path.commonpath([os.path.realpath(path), root]) == root:
            raise RepositoryUnreachable(
                "Unknown", "failed to list refs: repository not found", repository=clean_url(repository.url)
            )

    async def remote(
        self,
        repository: Repository,
        arguments: Sequence[str],
        *,
        cwd: Path,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        children: bool = False,
    ) -> Finished:
        """A git command that talks to ``repository``. What it prints comes back redacted.

        ``children``: git will start itself for other repositories (submodules), which must find the
        repository's headers, too.
        Raises DiskFull, CommandTimeout and SourceError (a needed program is missing, or no token can be
        had for the repository's credentials).
        """
        finished, refused = await self._equipped(repository, arguments, cwd, timeout, env or {}, children)
        # a token may end before its time: a server that refuses one is shown another, once
        if refused and self.tokens.forget(repository, refused):
            finished, _ = await self._equipped(repository, arguments, cwd, timeout, env or {}, children)
        return finished

    async def list_refs(self, repository: Repository, *, cwd: Path, timeout: float | None = None) -> Finished:
        """``git ls-remote``, by the short way where that goes. Raises as :meth:`remote`."""
        if is_http(repository.url):
            equipped = await self.tokens.equip(repository, self.trust)
            async with self._turns.turn(repository.url):
                output = await self._advertisements.ask(equipped, self.trust)
            if output is not None:
                return Finished(("git", "ls-remote"), 0, output, "")
        arguments = ["ls-remote", "--", clean_url(repository.url)]
        return await self.remote(repository, arguments, cwd=cwd, timeout=timeout)

    async def close(self) -> None:
        """End what asks for tokens and the connections that are kept."""
        await self._advertisements.close()
        await self.tokens.close()

    @asynccontextmanager
    async def lend(self, repository: Repository) -> AsyncIterator[Handover]:
        """What a tool needs that runs git itself (remote bases of Kustomize): the credentials of this
        repository for its own host, and nothing that git could read of ours.

        Raises DiskFull and SourceError.
        """
        if not self._config.exists():
            self.prepare()
        repository = await self.tokens.equip(repository, self.trust)
        own = {name: value for name, value in self.env.items() if name.startswith("GIT_")}
        if local_path(repository.url) is None:
            own["GIT_PROTOCOL_FROM_USER"] = "0"  # no file:// into other tenants' mirrors
        with self._handing(repository, children=True) as handover:
            env = own | proxy_environment(repository) | dict(handover.env)
            yield Handover(env, handover.secrets, (self.root,))

    @contextmanager
    def _handing(self, repository: Repository, *, children: bool) -> Iterator[Handover]:
        """The repository's credentials as git takes them, as long as the block lasts. Raises DiskFull and
        SourceError."""
        try:
            with hand_over(
                repository,
                self.trust,
                askpass=self._askpass,
                directory=self.scratch,
                connect_timeout=self.options.request_timeout,
                config_for_children=self._config if children else None,
            ) as handover:
                yield handover
        except OSError as error:
            if is_disk_full(error):
                raise disk_full("cannot hand credentials to git") from error
            raise SourceError("Internal", f"cannot hand credentials to git: {error.strerror}") from error

    async def _equipped(
        self,
        repository: Repository,
        arguments: Sequence[str],
        cwd: Path,
        timeout: float | None,
        env: Mapping[str, str],
        children: bool,
    ) -> tuple[Finished, str]:
        """How the command ended, and the password that the server refused. Raises as :meth:`remote`."""
        # before its turn: an issuer that does not answer keeps no other conversation waiting
        repository = await self.tokens.equip(repository, self.trust)
        async with self._turns.turn(repository.url):
            if not self._config.exists():  # somebody emptied the cache directory
                self.prepare()
            finished = await self._remote(repository, arguments, cwd, timeout, env, children)
        refused = not finished.ok and _DENIED.search(finished.stderr) is not None
        return finished, repository.password if refused else ""

    async def _remote(
        self,
        repository: Repository,
        arguments: Sequence[str],
        cwd: Path,
        timeout: float | None,
        env: Mapping[str, str],
        children: bool,
    ) -> Finished:
        with self._handing(repository, children=children) as handover:
            finished = await run(
                ["git", *arguments],
                env=self.env | dict(env) | dict(handover.env),
                cwd=cwd,
                timeout=timeout or self.options.exec_timeout,
                fatal_timeout=self.options.exec_fatal_timeout,
            )
            shown = redact(finished.stderr, handover.secrets, (self.root,))
        return Finished(finished.command, finished.returncode, finished.stdout, shown)

    def failure(self, finished: Finished, doing: str, url: str) -> SourceError:
        """The error that a failed conversation with a remote means; ``doing`` is its prefix.

        Raises CorruptMirror when our copy, not the remote, is at fault.
        """
        text = self.explanation(finished)
        url = clean_url(url)
        if finished.disk_full:
            return disk_full(doing)
        if "terminal prompts disabled" in finished.stderr or "could not read Username" in finished.stderr:
            why = f'failed to authenticate to git repository "{url}": no credentials matched this URL'
            return AccessDenied("Unknown", f"{doing}: authentication required: {why}", repository=url)
        if self._is_ours(finished):
            raise CorruptMirror(text)
        if _DENIED.search(finished.stderr):
            why = (
                "authorization failed"
                if "returned error: 403" in finished.stderr
                else "authentication required"
            )
            return AccessDenied("Unknown", f"{doing}: {why}: {text}", repository=url)
        if _ABSENT.search(finished.stderr):
            return RepositoryUnreachable("Unknown", f"{doing}: repository not found: {text}", repository=url)
        if _UNREACHABLE.search(finished.stderr):
            return RepositoryUnreachable("Unknown", f"{doing}: {text}", repository=url)
        return SourceError("Internal", f"{doing}: {text}", repository=url)

    @staticmethod
    def _is_ours(finished: Finished) -> bool:
        """Whether our copy is at fault: git complains of a file of ours, or of broken objects that
        are not the remote's (whose words carry a mark)."""
        own = [line for line in finished.stderr.splitlines() if not line.startswith("remote: ")]
        return any(f"{CACHED_SOURCE}/mirrors" in line or _CORRUPT.search(line) for line in own)

    def explanation(self, finished: Finished) -> str:
        """The lines of a failed command that say why, on one line, without paths of ours."""
        lines = [line for line in finished.stderr.splitlines() if not _NOISE.match(line)]
        text = (
            "; ".join(line.strip() for line in lines[-6:]) or f"git ended with status {finished.returncode}"
        )
        return redact(text[-2000:], (), (self.root,))
