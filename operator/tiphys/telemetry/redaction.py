"""Keeping secrets out of whatever is written.

Two nets. Values known to be secret (the composition root tells them: passwords, tokens, keys of
repositories and clusters) are replaced wherever they occur, also percent-encoded as a URL would
carry them. And what looks like a credential is replaced without being known: the user part of a
URL, an ``Authorization`` header, a PEM private key. The second net catches what a tool prints
before we have read the Secret it came from.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "******"

SHORTEST_SECRET = 4
"""Values shorter than this are not looked for: replacing every ``a`` would destroy the log and
reveal the secret by doing so."""

_URL_USER = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@?#'\"]+@")
_AUTHORIZATION = re.compile(
    r"(?i)\b(authorization\s*[:=]\s*[\"']?|bearer\s+|basic\s+(?=[A-Za-z0-9+/=]{8}))([^\s\"',]+)(\s+[^\s\"',]{8,})?"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)


class Redactor:
    """Replaces secrets in text. ``learn`` may be called at any time; it replaces what one source
    told before, so that a rotated credential is forgotten and memory stays bounded."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._pattern: re.Pattern[str] | None = None

    def learn(self, source: str, values: Iterable[str]) -> None:
        """These are the secret values of a source (``settings``, …) from now on."""
        found: set[str] = set()
        for value in values:
            for form in _forms(value):
                if len(form) >= SHORTEST_SECRET:
                    found.add(form)
        self._known[source] = frozenset(found)
        everything = sorted(frozenset().union(*self._known.values()), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, everything))) if everything else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        if "://" in text and "@" in text:
            text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
        lowered = text.lower()
        if "authorization" in lowered or "bearer " in lowered or "basic " in lowered:
            text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
        if "PRIVATE KEY-----" in text:
            text = _PRIVATE_KEY.sub(HIDDEN, text)
        return text


def _forms(value: str) -> Iterable[str]:
    """A value as it may turn up: itself, trimmed, as a URL carries it, line by line if it is a key."""
    stripped = value.strip()
    yield value
    yield stripped
    yield quote(stripped, safe="")
    if "\n" in stripped:
        yield from (line for line in stripped.splitlines() if len(line) > 20 and not line.startswith("-----"))
