"""Whether a commit is signed as a project demands (``sources.md`` 20, ``applications.md`` 22).

In come a repository, a commit and what is to be verified; out come the problems as sentences, none
if all is well. Git and gpg do the work, in a keyring that holds the keys of the settings alone. The
check always reads the whole history: a shallow mirror would end it where nobody signed anything.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tiphys.projects.integrity import HEAD, STRICT, Verification
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.signing import Ancestor
from tiphys.sources.git.store import GitStore
from tiphys.sources.gpg.keyrings import Keyring
from tiphys.sources.gpg.signatures import CommitSignature

CHECK = "GIT/GPG"
"""Name of this check in conditions and answers."""

MAX_PROBLEMS = 10
_AT_A_TIME = 200
_FRESH_SECONDS = 3600.0


async def signature_problems(
    git: GitStore,
    repository: Repository,
    commit: str,
    asked: str,
    wanted: Verification,
    keys: Mapping[str, str],
    *,
    tag_prefix: str = "",
) -> tuple[str, ...]:
    """What is wrong with the signatures of a commit: at most ten sentences, one for each key.

    Args:
        commit: full SHA.
        asked: the revision that led to it: of an annotated tag the tag itself must be signed.
        keys: the trusted public keys (key id → armored text).

    Raises:
        SourceError: an unknown mode; the repository cannot be read; gpg does not work.
    """
    if wanted.mode not in (HEAD, STRICT):
        raise SourceError("Unknown", f'unknown GPG mode "{wanted.mode}" configured for GIT source integrity')
    whole = msgspec.structs.replace(repository, depth=0)
    allowed = frozenset(wanted.keys)
    problems: dict[tuple[str, str], str] = {}
    async with git.keyrings.lease(keys) as ring:
        tag = await git.tag_of(whole, asked, tag_prefix=tag_prefix)
        signed = None if tag is None else await git.tag_signature(whole, tag, commit, ring.home)
        if signed is not None:
            _note(problems, signed, allowed)
        if wanted.mode == HEAD:
            shas: Sequence[str] = [] if signed is not None else [commit]
        else:
            history = await git.ancestry(whole, commit)
            shas = list(up_to_seals(history, commit))
            if signed is not None and not history[commit].is_seal:
                shas = shas[1:]  # the tag's signature stands for that of its commit
        for start in range(0, len(shas), _AT_A_TIME):
            for found in await _signatures(git, whole, shas[start : start + _AT_A_TIME], ring):
                _note(problems, found, allowed)
            if len(problems) >= MAX_PROBLEMS:
                break
    return tuple(problems.values())[:MAX_PROBLEMS]


def up_to_seals(history: Mapping[str, Ancestor], commit: str) -> Iterator[str]:
    """The commits to verify, nearest first: ancestors up to the root or to a seal, which is verified
    itself. A seal whose signature does not count refuses the commit, so nothing hides behind it."""
    seen = {commit}
    todo = [commit]
    while todo:
        following: list[str] = []
        for sha in todo:
            yield sha
            ancestor = history[sha]
            if ancestor.is_seal:
                continue
            for parent in ancestor.parents:
                if parent not in seen:
                    seen.add(parent)
                    following.append(parent)
        todo = following


async def _signatures(
    git: GitStore, repository: Repository, shas: Sequence[str], ring: Keyring
) -> Sequence[CommitSignature]:
    now = asyncio.get_running_loop().time()
    known = {sha: found for sha in shas if (found := ring.known(sha, now - _FRESH_SECONDS)) is not None}
    missing = [sha for sha in shas if sha not in known]
    if missing:
        for found in await git.signatures(repository, missing, ring.home):
            ring.remember(found.revision, now, found)
            known[found.revision] = found
    return [known[sha] for sha in shas]


def _note(problems: dict[tuple[str, str], str], signature: CommitSignature, allowed: frozenset[str]) -> None:
    """Commits with the same trouble and the same key are one problem, told of the nearest."""
    if result := signature.problem(allowed):
        problems.setdefault((result, signature.key), signature.told(result))
