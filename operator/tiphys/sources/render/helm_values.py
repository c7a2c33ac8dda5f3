"""Where the value files of a Helm source really are: in the repository, a ``$ref``, or at a URL.

``sources.md`` 9.4. Everything is resolved in the repositories' objects, symbolic links included,
so nothing outside of them can be named; the result knows the content of each file for the key.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from tiphys.sources.errors import SourceError
from tiphys.sources.render.environment import substitute
from tiphys.sources.render.files import Entry, Files, OutsideRoot, clean, join
from tiphys.sources.render.globs import is_glob, path_glob

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")


class ValueFile(msgspec.Struct, frozen=True):
    """``ref`` is ``""`` for the source's own repository; ``oid`` is ``""`` for a missing file."""

    url: str = ""
    ref: str = ""
    path: str = ""
    oid: str = ""


class ValueFiles:
    """Resolves for one source. ``roots`` maps ``""`` and each ref name to its files."""

    def __init__(
        self,
        roots: Mapping[str, Files],
        directory: Entry,
        environment: Mapping[str, str],
        schemes: Sequence[str],
    ) -> None:
        self._roots = roots
        self._directory = directory
        self._environment = environment
        self._schemes = schemes

    async def resolve(self, given: Sequence[str], *, ignore_missing: bool) -> tuple[ValueFile, ...]:
        """``valueFiles``, globs expanded in place, duplicates dropped; a file given explicitly keeps
        that place. Raises SourceError."""
        singles = {each: await self.one(each) for each in given if not is_glob(each) or _URL.match(each)}
        explicit = {(each.ref, each.path) for each in singles.values() if not each.url}
        result: dict[ValueFile, None] = {}
        for each in given:
            if each in singles:
                found = singles[each]
                if found.url or found.oid or not ignore_missing:
                    result.setdefault(found)
                continue
            matches = await self._expand(each)
            if not matches and not ignore_missing:
                raise SourceError(
                    "NotFound",
                    f'error resolving helm value files: values file glob "{each}" matched no files',
                )
            for match in matches:
                if (match.ref, match.path) not in explicit:
                    result.setdefault(match)
        return tuple(result)

    async def one(self, given: str) -> ValueFile:
        """One file without globs; a missing one has no ``oid``. Raises SourceError."""
        ref, base, path = self._place(given)
        if match := _URL.match(path):
            if match.group(1).lower() not in self._schemes:
                raise _refused(f"the URL scheme '{match.group(1)}' is not allowed")
            return ValueFile(url=path)
        try:
            wanted = join(base, path)
            found = await self._roots[ref].find(wanted)
        except OutsideRoot:
            raise _refused(f"file '{given}' resolved to outside repository root") from None
        if wanted == "" or (found is not None and found.entry.path == ""):
            raise _refused("internal error: failed to resolve path. Check logs for more details")
        if found is None:
            return ValueFile(ref=ref, path=wanted)
        return ValueFile(ref=ref, path=found.entry.path, oid=found.entry.oid)

    def _place(self, given: str) -> tuple[str, str, str]:
        """Ref, directory that the path starts from, path."""
        if given.startswith("$"):
            name, slash, rest = given[1:].partition("/")
            if name in self._roots and name:
                if not slash:
                    raise _refused(f"value file {given} names a ref but no path in it")
                return name, "", substitute(rest, self._environment)
        path = substitute(given, self._environment)
        return "", "" if path.startswith("/") else self._directory.path, path

    async def _expand(self, given: str) -> list[ValueFile]:
        ref, base, path = self._place(given)
        files = self._roots[ref]
        try:
            pattern = clean(f"{base}/{path}")
        except OutsideRoot:
            raise _refused(f"file '{given}' resolved to outside repository root") from None
        compiled = path_glob(pattern)
        if compiled is None:
            raise _refused(f'invalid glob "{given}"')
        static: list[str] = []
        for part in pattern.split("/")[:-1]:
            if is_glob(part) or "{" in part:
                break
            static.append(part)
        top = await files.find("/".join(static))
        if top is None or not top.entry.is_directory:
            return []
        matches: list[ValueFile] = []
        for child in sorted(await files.below(top.entry), key=lambda child: child.path):
            if not compiled.fullmatch(child.path):
                continue
            try:
                found = await files.find(child.path)
            except OutsideRoot:
                raise _refused(f'glob match "{child.path}" resolved to outside repository root') from None
            if found is not None and not found.entry.is_directory:
                matches.append(ValueFile(ref=ref, path=found.entry.path, oid=found.entry.oid))
        return matches


def _refused(why: str) -> SourceError:
    return SourceError("Unknown", f"error resolving helm value files: error resolving value file path: {why}")
