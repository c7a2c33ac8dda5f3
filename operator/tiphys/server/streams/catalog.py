"""All Applications in the order of lists, with indexes: a list looks at what it may return, not at all.

Kept current by the store's changes. An entry holds what filters ask for, worked out once per change:
the project, the RBAC object, the labels. Sorted by name, then namespace, as lists are.

Whoever may see all, or few of many, is remembered with that, until a policy changes or an Application comes,
goes or moves to another project; so a tenant's list costs what the tenant has.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable

import msgspec

from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application
from tiphys.server.guard import app_object
from tiphys.server.streams.fragments import Fragment, Fragments
from tiphys.server.streams.selectors import Labels, Selector


class Entry(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One Application as lists see it.

    Attributes:
        order: name and namespace, by which lists are sorted.
        named: its RBAC object.
        version: resourceVersion as a number; 0 when it is none.
        fragment: its encoded forms.
    """

    order: tuple[str, str]
    project: str
    named: str
    version: int
    labels: Labels
    fragment: Fragment[Application]

    @property
    def app(self) -> Application:
        """The Application itself."""
        return self.fragment.object


class Filters(msgspec.Struct, frozen=True):
    """What a list asks for; empty fields do not limit it.

    Attributes:
        repo: the URL of the first source, letter by letter.
        namespaces: whether a namespace may be shown.
    """

    name: str = ""
    namespace: str = ""
    projects: frozenset[str] = frozenset()
    repo: str = ""
    selector: Selector | None = None
    namespaces: Callable[[str], bool] = lambda namespace: True


Viewer = tuple[Hashable, int]
"""Whose rights decide, and the generation of the policies."""

REMEMBERED_VIEWERS = 1000
FEW = 1000
"""Most entries that are remembered of one viewer."""


class _Sight(msgspec.Struct, frozen=True):
    """What a viewer may see: all, or what is at these places (project and order)."""

    stamp: tuple[int, int]
    everything: bool
    places: tuple[tuple[str, tuple[str, str]], ...]


class Catalog:
    """See the module."""

    def __init__(self, store: Store[Application], fragments: Fragments[Application], control_namespace: str):
        self._fragments = fragments
        self._control = control_namespace
        self._sorted: list[Entry] = []
        self._by_project: dict[str, dict[tuple[str, str], Entry]] = {}
        self._members = 0  # changes whenever an RBAC object comes or goes
        self._sights: OrderedDict[Hashable, _Sight] = OrderedDict()
        for app in store:
            self._add(app)
        store.listen(self._changed)

    def __len__(self) -> int:
        return len(self._sorted)

    def find(
        self, filters: Filters, permits: Callable[[str], bool], viewer: Viewer | None = None
    ) -> list[Entry]:
        """The entries that pass the filters and that the caller may see, in the order of lists.

        Args:
            permits: decides by RBAC object; ``viewer`` names whose decisions they are, so that they need
                not be asked for again.
        """
        seen = None if filters.name or filters.projects else self._remembered(viewer)
        if seen is not None:
            found = self._filtered(seen, filters)
        else:
            passing = self._filtered(self._candidates(filters), filters)
            found = [entry for entry in passing if permits(entry.named)]
            if passing is self._sorted:
                self._remember(viewer, found)
        if filters.namespace:
            found = [entry for entry in found if entry.order[1] == filters.namespace]
        shown = {space: filters.namespaces(space) for space in {entry.order[1] for entry in found}}
        if not all(shown.values()):
            found = [entry for entry in found if shown[entry.order[1]]]
        return list(found) if found is self._sorted else found

    def _remembered(self, viewer: Viewer | None) -> list[Entry] | None:
        """All that a viewer may see, if it is known."""
        sight = self._sights.get(viewer[0]) if viewer is not None else None
        if viewer is None or sight is None or sight.stamp != (viewer[1], self._members):
            return None
        self._sights.move_to_end(viewer[0])
        if sight.everything:
            return self._sorted
        return [self._by_project[project][order] for project, order in sight.places]

    def _remember(self, viewer: Viewer | None, found: list[Entry]) -> None:
        everything = len(found) == len(self._sorted)
        if viewer is None or not (everything or len(found) <= min(FEW, len(self._sorted) // 4)):
            return
        places = () if everything else tuple((entry.project, entry.order) for entry in found)
        self._sights[viewer[0]] = _Sight((viewer[1], self._members), everything, places)
        if len(self._sights) > REMEMBERED_VIEWERS:
            self._sights.popitem(last=False)

    def _candidates(self, filters: Filters) -> list[Entry]:
        """What has the name, or is in the projects; the list of all where neither is asked for."""
        if filters.name:
            found = self._named(filters.name)
            if filters.projects:
                found = [entry for entry in found if entry.project in filters.projects]
            return found
        if filters.projects:
            some = [self._by_project.get(project, {}).values() for project in filters.projects]
            return sorted((entry for entries in some for entry in entries), key=_order)
        return self._sorted

    def _filtered(self, found: list[Entry], filters: Filters) -> list[Entry]:
        """Those that have the labels and the repository; the same list where neither is asked for."""
        for term in filters.selector.terms if filters.selector is not None else ():
            found = [entry for entry in found if term(entry.labels)]
        if repo := filters.repo:
            found = [e for e in found if e.app.spec.effective_sources()[0].repo_url == repo]
        return found

    def _named(self, name: str) -> list[Entry]:
        at = bisect_left(self._sorted, (name, ""), key=_order)
        found = []
        while at < len(self._sorted) and self._sorted[at].order[0] == name:
            found.append(self._sorted[at])
            at += 1
        return found

    def _changed(self, old: Application | None, new: Application | None) -> None:
        same_place = old is not None and new is not None and old.spec.project_name == new.spec.project_name
        if same_place and new is not None and self._replace(new):
            return  # what nearly every change is: a status
        if old is not None:
            self._remove(old)
        if new is not None:
            self._add(new)
        if old is None or new is None or old.spec.project_name != new.spec.project_name:
            self._members += 1

    def _entry(self, app: Application) -> Entry:
        key, version, project = app.key, app.metadata.resource_version, app.spec.project_name
        return Entry(
            (key.name, key.namespace),
            project,
            app_object(project, key.namespace, key.name, self._control),
            int(version) if version.isdecimal() else 0,
            app.metadata.labels or {},
            self._fragments.of(app),
        )

    def _add(self, app: Application) -> None:
        entry = self._entry(app)
        insort(self._sorted, entry, key=_order)
        self._by_project.setdefault(entry.project, {})[entry.order] = entry

    def _replace(self, app: Application) -> bool:
        """Put an Application where its older state is; False: there is none."""
        entry = self._entry(app)
        at = bisect_left(self._sorted, entry.order, key=_order)
        if at == len(self._sorted) or self._sorted[at].order != entry.order:
            return False
        self._sorted[at] = self._by_project[entry.project][entry.order] = entry
        return True

    def _remove(self, app: Application) -> None:
        key, project = app.key, app.spec.project_name
        order = (key.name, key.namespace)
        at = bisect_left(self._sorted, order, key=_order)
        if at < len(self._sorted) and self._sorted[at].order == order:
            del self._sorted[at]
        members = self._by_project.get(project, {})
        members.pop(order, None)
        if not members:
            self._by_project.pop(project, None)


def _order(entry: Entry) -> tuple[str, str]:
    return entry.order
