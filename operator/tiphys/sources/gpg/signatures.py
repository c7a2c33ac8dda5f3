"""What gpg and git say of a signature, in the words of the reference (``sources.md`` 20). Pure."""

import msgspec

GOOD = "G"

RESULTS = {
    "B": "bad signature",
    "U": "signed with untrusted key",
    "X": "expired signature",
    "Y": "signed with expired key",
    "R": "signed with revoked key",
    "E": "signed with key not in keyring",
    "N": "unsigned",
}
"""Git's letter (``%G?``) → what a person reads; every letter but ``G`` is a problem."""

_UNALLOWED = "signed with unallowed key"

# status lines of gpg (its doc/DETAILS) → git's letter
_STATUS = {
    "BADSIG": "B",
    "EXPSIG": "X",
    "EXPKEYSIG": "Y",
    "REVKEYSIG": "R",
    "ERRSIG": "E",
    "NO_PUBKEY": "E",
    "GOODSIG": GOOD,
}
_TRUSTED = ("TRUST_FULLY", "TRUST_ULTIMATE")


class CommitSignature(msgspec.Struct, frozen=True):
    """The signature of a commit or tag.

    Attributes:
        revision: SHA of the commit, or name of the tag.
        author: ``Name <email>``.
        letter: git's letter, see :data:`RESULTS`.
        key: id of the key that signed (perhaps a subkey), capitals; ``""`` if there is none.
        primary: fingerprint of the key it belongs to, where known.
    """

    revision: str
    author: str
    letter: str
    key: str
    primary: str = ""

    def problem(self, allowed: frozenset[str]) -> str:
        """Why the signature does not count; ``""`` if it does. ``allowed`` are ids of 16 digits."""
        if self.letter != GOOD:
            return RESULTS.get(self.letter, "bad signature")
        ids = {each[-16:].upper() for each in (self.key, self.primary) if len(each) >= 16}
        return "" if ids & allowed else _UNALLOWED

    def told(self, result: str) -> str:
        """The whole sentence for a condition."""
        return f"Failed verifying revision {self.revision} by '{self.author}': {result} (key_id={self.key})"


def parse_signatures(output: bytes) -> tuple[CommitSignature, ...]:
    """Lines of ``git log --format=%H%x00%G?%x00%GK%x00%GP%x00%an <%ae>``."""
    found: list[CommitSignature] = []
    for line in output.decode("utf-8", "replace").splitlines():
        fields = line.split("\0")
        if len(fields) == 5:
            sha, letter, key, primary, author = fields
            found.append(CommitSignature(sha, author, letter or "N", key, primary))
    return tuple(found)


def tag_signature(tag: str, tagger: str, status: str) -> CommitSignature:
    """What the status lines of ``git verify-tag --raw`` say; without any the tag is unsigned.

    More than one signature never counts, whatever they are (as git sees it).
    """
    letter, key, primary, trusted, seen = "N", "", "", False, 0
    for line in status.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "[GNUPG:]":
            continue
        name = words[1]
        if name in _STATUS:
            letter = _STATUS[name] if letter in ("N", "E") else letter
            key = key or (words[2] if len(words) > 2 else "")
            seen += name not in ("NO_PUBKEY",)
        elif name == "VALIDSIG":
            primary = words[-1]
        elif name in _TRUSTED:
            trusted = True
    if seen > 1:
        letter = "B"
    elif letter == GOOD and not trusted:
        letter = "U"
    return CommitSignature(tag, tagger, letter, key[-16:].upper(), primary)
