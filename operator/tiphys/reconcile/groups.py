"""Which applications follow the same revision of the same repository.

The first of a group that sees a new commit tells the others, so nobody has to ask for it. Values
only: who asks Git and who is woken is decided by ``desired``.
"""

from typing import NamedTuple

from tiphys.resources.identity import AppKey


class GroupName(NamedTuple):
    """What a group follows; ``credentials`` is a digest: others may see another repository."""

    url: str
    credentials: str
    target_revision: str
    tag_prefix: str


class _Group:
    def __init__(self, commit: str) -> None:
        self.commit = commit
        self.members: set[AppKey] = set()


class RevisionGroups:
    """Members of groups, and the commit that each group saw last."""

    def __init__(self) -> None:
        self._groups: dict[GroupName, _Group] = {}
        self._names: dict[AppKey, set[GroupName]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def join(self, key: AppKey, name: GroupName, commit: str) -> str | None:
        """``key`` follows ``name`` and sees ``commit`` there; the commit before, if it moved."""
        group = self._groups.setdefault(name, _Group(commit))
        group.members.add(key)
        self._names.setdefault(key, set()).add(name)
        before, group.commit = group.commit, commit
        return None if before == commit else before

    def others(self, key: AppKey, name: GroupName) -> set[AppKey]:
        """The members of a group besides ``key``."""
        group = self._groups.get(name)
        return group.members - {key} if group is not None else set()

    def settle(self, key: AppKey, names: set[GroupName]) -> None:
        """``key`` follows these and nothing else any more (none: it is gone)."""
        for name in self._names.pop(key, set()) - names:
            group = self._groups[name]
            group.members.discard(key)
            if not group.members:
                del self._groups[name]
        if names:
            self._names[key] = names & self._groups.keys()
