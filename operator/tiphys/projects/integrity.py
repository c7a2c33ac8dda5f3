"""Which verification of commits a project demands for a repository (``applications.md`` 22)."""

import msgspec

from tiphys.projects.glob import is_negative, matches
from tiphys.resources.project import AppProject, SourceIntegrityGit
from tiphys.settings.urls import without_credentials

NONE = "none"
HEAD = "head"
STRICT = "strict"


class IntegrityError(Exception):
    """More than one policy claims a repository; the message is the reference's."""

    def __init__(self, count: int, url: str) -> None:
        super().__init__(
            f"multiple ({count}) git source integrity policies found for repo URL: {without_credentials(url)}"
        )
        self.count = count
        self.url = url


class Verification(msgspec.Struct, frozen=True):
    """What is to be verified: ``head`` (the commit or its annotated tag) or ``strict`` (the whole
    history), signed by one of ``keys`` (16-digit key ids in capitals)."""

    mode: str
    keys: tuple[str, ...]


def verification_of(project: AppProject, url: str) -> Verification | None:
    """What the project demands for a Git repository; ``None``: nothing.

    The deprecated ``signatureKeys`` count only without ``sourceIntegrity.git``: as mode ``head``
    for every repository.

    Raises:
        IntegrityError: several policies match.
    """
    integrity = project.spec.source_integrity
    if integrity is None or integrity.git is None:
        keys = tuple(key_id(key.key_id) for key in project.spec.signature_keys)
        return Verification(HEAD, keys) if keys else None
    return _of_policies(integrity.git, url)


def _of_policies(git: SourceIntegrityGit, url: str) -> Verification | None:
    found = [
        policy
        for policy in git.policies
        if _claims(tuple(repository.url for repository in policy.repos), url)
    ]
    if len(found) > 1:
        raise IntegrityError(len(found), url)
    if not found or found[0].gpg is None or found[0].gpg.mode == NONE:
        return None
    gpg = found[0].gpg
    return Verification(gpg.mode, tuple(key_id(key) for key in gpg.keys))


def _claims(patterns: tuple[str, ...], url: str) -> bool:
    """One positive pattern hits and no negative one does."""
    if any(is_negative(pattern) and matches(pattern[1:], url) for pattern in patterns):
        return False
    return any(not is_negative(pattern) and matches(pattern, url) for pattern in patterns)


def key_id(key: str) -> str:
    """The 16-digit id of a key given by id or by its fingerprint of 40 digits."""
    return key[-16:].upper()
