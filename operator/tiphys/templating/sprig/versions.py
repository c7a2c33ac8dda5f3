"""Semantic versions."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.resources.semver import Constraint, InvalidVersion, Version
from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import Function, GoObject, Int64


class Uint64(Int64):
    """Go's ``uint64``."""

    go_type = "uint64"


class SemanticVersion(msgspec.Struct, GoObject, frozen=True, eq=False):
    """What ``semver`` gives: ``.Major``, ``.Minor`` and so on are its methods."""

    version: Version

    go_type = "*semver.Version"

    def go_string(self) -> str:
        """The version without what is not needed."""
        parts = self.version
        text = f"{parts.major}.{parts.minor}.{parts.patch}"
        text += f"-{parts.prerelease}" if parts.prerelease else ""
        return text + (f"+{self._metadata}" if self._metadata else "")

    @property
    def _metadata(self) -> str:
        return self.version.original.partition("+")[2]

    def go_methods(self) -> Mapping[str, Function]:
        """The methods."""
        version = self.version
        values: dict[str, Any] = {
            "Major": Uint64(version.major),
            "Minor": Uint64(version.minor),
            "Patch": Uint64(version.patch),
            "Prerelease": version.prerelease,
            "Metadata": self._metadata,
            "Original": version.original,
            "String": self.go_string(),
        }
        found = {name: Function((), lambda value=value: value) for name, value in values.items()}
        compared = {
            "Compare": lambda other: (version > other.version) - (version < other.version),
            "Equal": lambda other: version == other.version,
            "LessThan": lambda other: version < other.version,
            "GreaterThan": lambda other: version > other.version,
        }
        return found | {name: Function((self.go_type,), call) for name, call in compared.items()}


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise GoError(str(error)) from None


def _accepts(constraint: str, version: str) -> bool:
    try:
        accepted = Constraint(constraint)
    except InvalidVersion as error:
        raise GoError(str(error)) from None
    return accepted.accepts(_version(version))


def functions() -> Mapping[str, Function]:
    """Their table."""
    return {
        "semver": Function(("string",), lambda text: SemanticVersion(_version(text))),
        "semverCompare": Function(("string", "string"), _accepts),
    }
