"""Every file that ``kustomize build`` of one directory can read, found without running it.

A kustomization names files in many fields, and new versions add more. Instead of a list of fields,
every string anywhere in a kustomization that names something existing (seen from its directory)
belongs to the closure: a directory with a kustomization is followed, any other is taken whole, and
files that themselves configure Kustomize (generators, transformers, components' patches of that
kind) are searched in the same way. That is a superset of what is read, so the key can only be too
careful. What cannot be found in the repository where Kustomize expects something is remote; then
the key is the whole commit, and only then the build may use the network.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tiphys.sources.errors import SourceError
from tiphys.sources.render.detection import KUSTOMIZATION_NAMES
from tiphys.sources.render.files import Child, Entry, Files, OutsideRoot, join
from tiphys.sources.yamlgo import YamlError, iterate_documents, load_value

MAX_DIRECTORIES = 2000
_MAX_TEXT = 1024
_MAX_FILE = 10 << 20
_CONFIGURING = ("generators", "transformers", "validators", "configurations", "crds", "openapi")
_PLUGINS = ("generators", "transformers", "validators")
_LOADING = ("resources", "bases", "components", "generators", "transformers", "validators")


class Closure(msgspec.Struct):
    """``entries``: path → oid; ``whole``: only the whole commit is sure to be enough; ``remote``:
    not even that; ``charts``: Helm runs."""

    entries: dict[str, str] = {}
    remote: bool = False
    whole: bool = False
    charts: bool = False
    file: str = ""
    """Path of the top kustomization file, ``""`` if there is none."""


class _Walk:
    def __init__(self, files: Files) -> None:
        self._files = files
        self.closure = Closure()
        self._seen: set[str] = set()

    async def directory(self, directory: Entry, children: Mapping[str, Child] | None = None) -> bool:
        """Follows the kustomization in a directory; whether there is one."""
        if directory.path in self._seen:
            return True
        names = children if children is not None else await self._files.children(directory)
        present = [name for name in KUSTOMIZATION_NAMES if name in names]
        if not present:
            return False
        self._seen.add(directory.path)
        if len(self._seen) > MAX_DIRECTORIES:
            raise SourceError("Unknown", f"kustomization reaches more than {MAX_DIRECTORIES} directories")
        for name in present:
            found = await self._find(directory.path, name)
            if found is None or found.is_directory:
                continue
            self.closure.file = self.closure.file or found.path
            (text,) = await self._files.read([found], _MAX_FILE)
            try:
                value = load_value(text, found.path)
            except YamlError as error:
                raise SourceError("Unknown", f"{found.path}: invalid Kustomization: {error}") from None
            await self._kustomization(directory.path, value)
        return True

    async def _kustomization(self, directory: str, value: Any) -> None:
        if not isinstance(value, dict):
            return
        fields = {key.lower(): each for key, each in value.items()}
        if fields.get("helmcharts") or fields.get("helmchartinflationgenerator"):
            self.closure.charts = True
            await self.names(directory, "charts")
        for field, each in fields.items():
            for text in strings(each):
                entry = await self.names(directory, text)
                if entry is None:
                    if field in _LOADING and not _inline(text):
                        self.closure.remote = True
                elif entry.is_directory:
                    # What such a directory's resources name in turn is not followed.
                    self.closure.whole |= field in _PLUGINS
                elif field in _CONFIGURING:
                    await self._configuring(entry)

    async def names(self, directory: str, text: str) -> Entry | None:
        """Takes what a string names into the closure; ``None``: it names nothing here."""
        for candidate in (text, text.partition("=")[2]):
            if not candidate or _inline(candidate):
                continue
            found = await self._find(directory, candidate)
            if found is None:
                continue
            if found.is_directory and not await self.directory(found):
                self._take(found)
                for child in await self._files.below(found):
                    if child.is_link:
                        await self._find("", child.path)
            return found
        return None

    async def _find(self, directory: str, text: str) -> Entry | None:
        """Looks up, and takes a file and every link on the way into the closure."""
        if text.startswith("/"):
            return None
        try:
            found = await self._files.find(join(directory, text))
        except OutsideRoot:
            return None
        if found is None:
            return None
        for link in found.links:
            self.closure.entries[link] = "link"
        if not found.entry.is_directory:
            self._take(found.entry)
        return found.entry

    def _take(self, entry: Entry) -> None:
        self.closure.entries[entry.path] = entry.oid

    async def _configuring(self, entry: Entry) -> None:
        """Files that configure plugins may name further files, seen from their own directory's
        kustomization, which is where Kustomize resolves them."""
        (text,) = await self._files.read([entry], _MAX_FILE)
        directory = entry.path.rpartition("/")[0]
        try:
            documents = list(iterate_documents(text, entry.path))
        except YamlError:
            return
        for document in documents:
            if "Chart" in str(document.get("kind")):
                self.closure.charts = True
                await self.names(directory, "charts")
            for each in strings(document):
                await self.names(directory, each)


async def find_closure(
    files: Files, directory: Entry, children: Mapping[str, Child], extra: list[str]
) -> Closure:
    """The closure of a directory's kustomization; ``extra``: further paths seen from it (components
    and patch files of the application's options). Raises SourceError."""
    walk = _Walk(files)
    await walk.directory(directory, children)
    for text in extra:
        await walk.names(directory.path, text)
    return walk.closure


def strings(value: Any) -> Iterator[str]:
    """All strings in a value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def _inline(text: str) -> bool:
    return "\n" in text or len(text) > _MAX_TEXT
