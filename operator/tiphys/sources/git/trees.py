"""Directories of commits, read once and kept: parsed trees by object id, shared by all commits.

A tree object never changes, so its parsed form is kept (bounded by the number of entries, all
mirrors together) and a new commit costs only the directories it changed. The links below a directory
are remembered in the same way, so that checking a monorepo's symbolic links is not a walk of the
whole repository at each commit.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from tiphys.sources.git.objects import CorruptMirror, Directory, ObjectReader, TreeEntry, parse_tree

_TREE_LIMIT = 512 << 20
_BATCH = 2000
_NO_LINKS: Mapping[str, str] = {}


class TreeCache:
    """Least recently used trees go first; the unit is entries."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._trees: OrderedDict[str, Directory] = OrderedDict()
        self._entries = 0

    def get(self, oid: str) -> Directory | None:
        found = self._trees.get(oid)
        if found is not None:
            self._trees.move_to_end(oid)
        return found

    def put(self, oid: str, tree: Directory) -> None:
        if oid in self._trees:
            return
        self._trees[oid] = tree
        self._entries += len(tree) + 1
        while self._entries > self._limit and len(self._trees) > 1:
            _, gone = self._trees.popitem(last=False)
            self._entries -= len(gone) + 1


class Trees:
    """The trees of one mirror. Nothing here is answered from another mirror's memory: object ids are
    looked up only below a commit of this one."""

    def __init__(self, reader: ObjectReader, cache: TreeCache) -> None:
        self._reader = reader
        self._cache = cache
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._links: OrderedDict[str, Mapping[str, str]] = OrderedDict()
        self._searching = asyncio.Lock()

    async def root(self, sha: str) -> str:
        """Object id of the root directory of a commit. Raises CorruptMirror if it is not there."""
        oid = self._roots.get(sha)
        if oid is None:
            (found,) = await self._reader.info([f"{sha}^{{tree}}"])
            if found is None:
                raise CorruptMirror(f"no tree of commit {sha}")
            oid = self._roots[sha] = found.oid
            if len(self._roots) > 1024:
                self._roots.popitem(last=False)
        return oid

    async def directories(self, oids: Sequence[str]) -> list[Directory]:
        """Parsed trees, in the order asked."""
        missing = list(dict.fromkeys(oid for oid in oids if self._cache.get(oid) is None))
        read: dict[str, Directory] = {}
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            for oid, found in zip(part, await self._reader.contents(part, limit=_TREE_LIMIT), strict=True):
                if found is None or found.type != "tree":
                    raise CorruptMirror(f"no tree {oid}")
                try:
                    read[oid] = parse_tree(found.data)
                except (ValueError, IndexError) as error:
                    raise CorruptMirror(f"tree {oid} is unreadable") from error
                self._cache.put(oid, read[oid])
        result = []
        for oid in oids:
            tree = read.get(oid) or self._cache.get(oid)
            if tree is None:  # pushed out by its own batch: the cache is smaller than the question
                (found,) = await self._reader.contents([oid], limit=_TREE_LIMIT)
                if found is None:
                    raise CorruptMirror(f"no tree {oid}")
                tree = parse_tree(found.data)
            result.append(tree)
        return result

    async def directory(self, oid: str) -> Directory:
        return (await self.directories([oid]))[0]

    async def entry(self, sha: str, path: str) -> TreeEntry | None:
        """The entry at a clean path (no ``..``, no leading slash); links are not followed."""
        return (await self.entries_at(sha, [path]))[0]

    async def entries_at(self, sha: str, paths: Sequence[str]) -> list[TreeEntry | None]:
        """Entries of many clean paths, one question for each level of directories."""
        here: dict[str, TreeEntry] = {"": TreeEntry(0o40000, "tree", await self.root(sha), "")}
        split = {path: path.split("/") for path in paths if path}
        depth = 1
        while split:
            # directory path of this level → the full paths wanted in it
            wanted: dict[str, list[str]] = {}
            for path, parts in list(split.items()):
                if len(parts) < depth:
                    del split[path]
                    continue
                wanted.setdefault("/".join(parts[: depth - 1]), []).append("/".join(parts[:depth]))
            parents = [here[each] for each in wanted if each in here and here[each].is_directory]
            trees = await self.directories([each.oid for each in parents])
            for parent, tree in zip(parents, trees, strict=True):
                for full in wanted[parent.path]:
                    raw = tree.get(full[len(parent.path) + 1 :] if parent.path else full)
                    if raw is not None:
                        here[full] = TreeEntry(raw.mode, raw.type, raw.oid, full)
            depth += 1
        return [here.get(path) for path in paths]

    async def below(self, top: TreeEntry, *, recursive: bool) -> dict[str, TreeEntry]:
        """Full path → entry of what lies in directory ``top``, one question for each level."""
        result: dict[str, TreeEntry] = {}
        level = [top]
        while level:
            trees = await self.directories([each.oid for each in level])
            following: list[TreeEntry] = []
            for parent, tree in zip(level, trees, strict=True):
                prefix = f"{parent.path}/" if parent.path else ""
                for name, raw in tree.items():
                    entry = TreeEntry(raw.mode, raw.type, raw.oid, prefix + name)
                    result[entry.path] = entry
                    if entry.is_directory:
                        following.append(entry)
            level = following if recursive else []
        return result

    async def links(self, oid: str) -> Mapping[str, str]:
        """Path below the tree → target text of every symbolic link in it, at any depth."""
        known = self._known_links(oid)
        if known is not None:
            return known
        async with self._searching:  # all workers ask at once for a new commit: one walk answers them
            known = self._known_links(oid)
            return known if known is not None else await self._find_links(oid)

    def _known_links(self, oid: str) -> Mapping[str, str] | None:
        known = self._links.get(oid)
        if known is not None:
            self._links.move_to_end(oid)
        return known

    async def _find_links(self, oid: str) -> Mapping[str, str]:
        # trees of one level are read together; results are put together from the leaves up
        levels: list[dict[str, Directory]] = []
        level = [oid]
        while level:
            level = [each for each in dict.fromkeys(level) if each not in self._links]
            trees = dict(zip(level, await self.directories(level), strict=True))
            levels.append(trees)
            level = [raw.oid for tree in trees.values() for raw in tree.values() if raw.mode == 0o40000]
        here = {
            raw.oid
            for trees in levels
            for tree in trees.values()
            for raw in tree.values()
            if raw.mode == 0o120000
        }
        targets = await self._targets(sorted(here))
        found: dict[str, Mapping[str, str]] = {}
        for trees in reversed(levels):
            for each, tree in trees.items():
                below: dict[str, str] = {}
                for name, raw in tree.items():
                    if raw.mode == 0o120000:
                        below[name] = targets[raw.oid]
                    elif raw.mode == 0o40000:
                        inner = found.get(raw.oid)
                        if inner is None:
                            inner = self._links[raw.oid]
                        for path, target in inner.items():
                            below[f"{name}/{path}"] = target
                found[each] = below or _NO_LINKS
        for each, value in found.items():
            self._links[each] = value
        result = found[oid]
        while len(self._links) > 50_000:
            self._links.popitem(last=False)
        return result

    async def _targets(self, oids: Sequence[str]) -> dict[str, str]:
        result: dict[str, str] = {}
        for oid, found in zip(oids, await self._reader.contents(oids, limit=64 << 20), strict=True):
            if found is None:
                raise CorruptMirror(f"no link {oid}")
            result[oid] = found.data.decode("utf-8", "surrogateescape")
        return result
