"""Versions and version constraints in the dialect of the reference (``sources.md`` 14.2).

Loose versions (``v1``, ``1.2``, leading zeros) and constraints with ``= != > < >= => <= =< ~ ~> ^``,
AND by space or comma, OR by ``||``, hyphen ranges and wildcards. A prerelease is accepted only where
a bound of the same AND group names one. Pure; used for Git tags and for chart versions.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import total_ordering
from typing import NamedTuple

_PART = r"[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*"
_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({_PART}))?(?:\+({_PART}))?")
# the bar is a slip of the reference that wild numbers may carry ("x|"); kept, as it costs nothing
_BOUND = rf"v?([0-9xX*|]+)(?:\.([0-9xX*|]+))?(?:\.([0-9xX*|]+))?(?:-({_PART}))?(?:\+{_PART})?"
_OPERATOR = r"(=>|>=|=<|<=|!=|~>|=|>|<|~|\^|)"
_CONSTRAINT = re.compile(rf"\s*{_OPERATOR}\s*{_BOUND}\s*")
_PLAIN_BOUND = _BOUND.replace("([0-9xX*|]+)", "(?:[0-9xX*|]+)").replace(f"({_PART})", _PART)
_PLAIN_OPERATOR = _OPERATOR.replace("(", "(?:")
_GROUP = re.compile(
    rf"\s*{_PLAIN_OPERATOR}\s*{_PLAIN_BOUND}\s*(?:(?:\s+|,\s*){_PLAIN_OPERATOR}\s*{_PLAIN_BOUND}\s*)*"
)
_HYPHEN = re.compile(rf"\s*({_PLAIN_BOUND})\s+-\s+({_PLAIN_BOUND})\s*")
_WILD = ("x", "X", "*")
_MAX = 1 << 64
_MAX_LENGTH = 256


class InvalidVersion(ValueError):
    """Not a semantic version, or not a constraint."""


@total_ordering
class Version:
    """A semantic version; build metadata does not count when comparing."""

    __slots__ = ("_order", "major", "minor", "original", "patch", "prerelease")

    def __init__(self, text: str) -> None:
        match = _VERSION.fullmatch(text) if len(text) <= _MAX_LENGTH and text.isascii() else None
        if match is None:
            raise InvalidVersion("invalid semantic version")
        major, minor, patch, prerelease, _ = match.groups()
        self.original = text
        self.major, self.minor, self.patch = int(major), int(minor or 0), int(patch or 0)
        if max(self.major, self.minor, self.patch) >= _MAX:
            raise InvalidVersion("version number too large")
        self.prerelease: str = prerelease or ""
        for part in self.prerelease.split("."):
            if part.isdigit() and len(part) > 1 and part[0] == "0":
                raise InvalidVersion("version segment starts with 0")
        self._order = (self.major, self.minor, self.patch, _prerelease_order(self.prerelease))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order == other._order

    def __lt__(self, other: "Version") -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash(self._order)

    def __repr__(self) -> str:
        return f"Version({self.original!r})"


def _prerelease_order(text: str) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    if not text:
        return (1, ())
    parts = text.split(".")
    # numbers sort below words, shorter below longer with the same beginning
    return (0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts))


class _Bound(NamedTuple):
    operator: str
    version: Version
    dirty: bool
    minor_dirty: bool
    patch_dirty: bool

    def accepts(self, version: Version, prereleases: bool) -> bool:
        if version.prerelease and not prereleases:
            return False
        return _CHECKS[self.operator](self, version)


def _equal(bound: _Bound, version: Version) -> bool:
    return _tilde(bound, version) if bound.dirty else version == bound.version


def _not_equal(bound: _Bound, version: Version) -> bool:
    limit = bound.version
    if not bound.dirty:
        return version != limit
    if version.major != limit.major:
        return True
    if bound.minor_dirty:
        return False
    if version.minor != limit.minor:
        return True
    if bound.patch_dirty:
        return version.prerelease != limit.prerelease
    return version.patch != limit.patch or version.prerelease != limit.prerelease


def _greater(bound: _Bound, version: Version) -> bool:
    limit = bound.version
    if not bound.dirty:
        return version > limit
    if version.major != limit.major:
        return version.major > limit.major
    if bound.minor_dirty:
        return False
    if bound.patch_dirty:
        return version.minor > limit.minor
    return version > limit  # ">*": wild from the major on, everything above 0.0.0


def _less_or_equal(bound: _Bound, version: Version) -> bool:
    limit = bound.version
    if not bound.dirty:
        return version <= limit
    if version.major > limit.major:
        return False
    return not (version.major == limit.major and version.minor > limit.minor and not bound.minor_dirty)


def _tilde(bound: _Bound, version: Version) -> bool:
    limit = bound.version
    if version < limit:
        return False
    if limit.major == limit.minor == limit.patch == 0 and not bound.minor_dirty and not bound.patch_dirty:
        return True
    return version.major == limit.major and (bound.minor_dirty or version.minor == limit.minor)


def _caret(bound: _Bound, version: Version) -> bool:
    limit = bound.version
    if version < limit:
        return False
    if limit.major > 0 or bound.minor_dirty:
        return version.major == limit.major
    if version.major > 0:
        return False
    if limit.minor > 0 or bound.patch_dirty:
        return version.minor == limit.minor
    return version.minor == 0 and version.patch == limit.patch


_CHECKS: Mapping[str, Callable[[_Bound, Version], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": lambda bound, version: version < bound.version,
    ">=": lambda bound, version: version >= bound.version,
    "=>": lambda bound, version: version >= bound.version,
    "<=": _less_or_equal,
    "=<": _less_or_equal,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


class Constraint:
    """A parsed constraint. Raises InvalidVersion if the text is none."""

    __slots__ = ("_groups",)

    def __init__(self, text: str) -> None:
        self._groups = [_parse_group(group, text) for group in _rewrite_hyphens(text).split("||")]

    def accepts(self, version: Version) -> bool:
        return any(
            all(bound.accepts(version, prereleases) for bound in bounds)
            for bounds, prereleases in self._groups
        )


def _rewrite_hyphens(text: str) -> str:
    return _HYPHEN.sub(lambda match: f">={match.group(1)}, <={match.group(2)} ", text)


def _parse_group(text: str, whole: str) -> tuple[list[_Bound], bool]:
    if not _GROUP.fullmatch(text):
        raise InvalidVersion(f"improper constraint: {whole}")
    bounds = []
    prereleases = False
    for match in _CONSTRAINT.finditer(text):
        operator, major, minor, patch, prerelease = match.groups()
        suffix = f"-{prerelease}" if prerelease else ""
        prereleases = prereleases or bool(prerelease)
        dirty = minor_dirty = patch_dirty = False
        if major in _WILD:
            number, dirty = "0.0.0", True
        elif minor is None or minor in _WILD:
            number, dirty, minor_dirty = f"{major}.0.0", True, True
        elif patch is None or patch in _WILD:
            number, dirty, patch_dirty = f"{major}.{minor}.0", True, True
        else:
            number = f"{major}.{minor}.{patch}"
        bounds.append(_Bound(operator, Version(number + suffix), dirty, minor_dirty, patch_dirty))
    return bounds, prereleases


def is_version(text: str) -> bool:
    """Whether the text is a (loose) version, and so a pin."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def is_constraint(text: str) -> bool:
    """Whether the text is a constraint: no valid version, and parses as a constraint."""
    if is_version(text):
        return False
    try:
        Constraint(text)
    except InvalidVersion:
        return False
    return True


def max_matching(constraint: str, texts: Iterable[str]) -> str | None:
    """The text of the highest version that the constraint accepts, ``None`` without one.

    Texts that are no versions are skipped; among equal versions the first stays. Raises
    InvalidVersion if ``constraint`` is none.
    """
    accepted = Constraint(constraint)
    best: Version | None = None
    for text in texts:
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        if accepted.accepts(version) and (best is None or version > best):
            best = version
    return None if best is None else best.original
