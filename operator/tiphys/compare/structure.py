"""What applying a target would change, told from the two objects and the schema table.

The walk asks one question everywhere: if this desired value is merged into this live value, does
the live value stay as it is? Three answers: yes; no, certainly (with the path); or a doubt, where
only the API server knows (it may fill in a default, drop a field behind a gate, rewrite a time).
A doubt costs the caller one dry run; certain differences are looked for first and end the walk.

Two ways of merging: ``MERGE`` is the three-way patch of a client-side apply, ``APPLY`` is
server-side apply. They differ in which lists are keyed and which maps are replaced. Of custom kinds
only ``metadata`` has a schema; under server-side apply their lists are read off our own entry in
``managedFields``.
"""

from typing import Any

from tiphys.compare.equality import same
from tiphys.compare.normalize import canonical_base64
from tiphys.compare.ownership import Fields, find_item, key_fields
from tiphys.compare.proof import ZERO_IS_ABSENT
from tiphys.compare.quantities import canonical_quantity
from tiphys.compare.schemas import Node
from tiphys.compare.strategic import child, index
from tiphys.resources.identity import Manifest

MERGE, APPLY = "merge", "apply"

Path = tuple[str, ...]
_ROOT_SKIPPED = frozenset(("apiVersion", "kind", "metadata"))
_METADATA_SKIPPED = frozenset(
    (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "managedFields",
        "selfLink",
        "creationTimestamp",
        "generateName",
    )
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# numbers whose 0 is a wish; where live has another number, other fields may get it back as a default
_ZERO_COUNTS = frozenset(("replicas", "minReplicas", "maxSurge", "maxUnavailable", "minAvailable"))
_NOTHING: Any = object()


class Different(Exception):
    """A certain difference; ``path`` says where."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{dotted(path)}: {why}")
        self.path = path


class Doubt:
    """A place that only the API server can judge."""

    __slots__ = ("live", "path", "wanted", "why")

    def __init__(self, path: Path, wanted: Any, live: Any, why: str):
        self.path = path
        self.wanted = wanted
        self.live = live
        self.why = why


def dotted(path: Path) -> str:
    """A path for people: ``spec.template.spec.containers[web].image``."""
    text = ""
    for part in path:
        text += part if part.startswith("[") else f".{part}"
    return text.lstrip(".")


class Walk:
    """One comparison of a target with a live object.

    Attributes:
        custom: the kind has no schema.
        doubts: what was met on the way.
    """

    __slots__ = ("apply", "custom", "doubts")

    def __init__(self, mode: str, *, custom: bool):
        self.apply = mode == APPLY
        self.custom = custom
        self.doubts: list[Doubt] = []

    def root(
        self,
        target: Manifest,
        live: Manifest,
        node: Node | None,
        metadata_node: Node,
        fields: Fields | None,
    ) -> None:
        """Compare two whole objects.

        Raises:
            Different: applying would change the live object.
        """
        metadata, live_metadata = target.get("metadata") or {}, live.get("metadata") or {}
        wanted = {key: value for key, value in metadata.items() if key not in _METADATA_SKIPPED}
        annotations = wanted.get("annotations")
        if annotations and _LAST_APPLIED in annotations:
            wanted["annotations"] = {k: v for k, v in annotations.items() if k != _LAST_APPLIED}
        if wanted:
            # a custom kind's metadata is typed, too, but a JSON merge patch replaces its lists
            inner = fields.get("f:metadata") if fields else None
            self._map(wanted, live_metadata, metadata_node, inner, ("metadata",))
        rest = {key: value for key, value in target.items() if key not in _ROOT_SKIPPED}
        self._map(rest, live, node, fields, ())

    def member(self, key: str, wanted: Any, live: Any, parent: Node | None, path: Path) -> None:
        """Compare one member of an object, of which our entry names nothing inside.

        Raises:
            Different: applying would change it.
        """
        self._map({key: wanted}, {key: live}, parent, {f"f:{key}": {}}, path[:-1])

    def _doubt(self, path: Path, wanted: Any, live: Any, why: str) -> None:
        self.doubts.append(Doubt(path, wanted, live, why))

    def _map(
        self,
        wanted: Manifest,
        live: Manifest,
        node: Node | None,
        fields: Fields | None,
        path: Path,
    ) -> None:
        for key, value in wanted.items():
            present = live.get(key, _NOTHING)
            kind = type(value)
            if kind is str and value == present:
                continue
            if kind is dict or kind is list:
                if present is _NOTHING or present is None:
                    self._missing(key, value, child(node, key), node, (*path, key))
                    continue
                inner_node = child(node, key)
                inner = fields.get("f:" + key) if fields else None
                if kind is dict and type(present) is dict:
                    self._object(value, present, inner_node, inner, (*path, key))
                elif kind is list and type(present) is list:
                    self._list(value, present, inner_node, inner, (*path, key))
                else:
                    self._value(value, present, inner_node, (*path, key))
            elif kind is type(present) and value == present:
                continue
            elif present is _NOTHING or present is None:
                self._missing(key, value, child(node, key), node, (*path, key))
            else:
                self._value(value, present, child(node, key), (*path, key))

    def _object(
        self, wanted: Manifest, live: Manifest, node: Node | None, fields: Fields | None, path: Path
    ) -> None:
        if node is not None and node.code == "j":
            self._value(wanted, live, node, path)
            return
        if node is None and self.custom and self.apply:
            self._custom_object(wanted, live, fields, path)
            return
        if node is not None and (node.atomic if self.apply else node.strategy == "replace"):
            self._replaced(wanted, live, node, path)
            return
        self._map(wanted, live, node, fields, path)
        if node is not None and node.retain_keys and not self.apply:
            self._surplus(wanted, live, node, path)

    def _surplus(self, wanted: Manifest, live: Manifest, node: Node | None, path: Path) -> None:
        """Keys that only live has, where the whole map is replaced: defaults come back, others go."""
        for key, present in live.items():
            if key in wanted:
                continue
            if node is not None and node.code == "r":
                default = node.type.default(wanted, key)
                if default is not None and same(default, present):
                    continue
            elif node is not None and node.code == "m":
                raise Different((*path, key), "would be removed")
            self._doubt((*path, key), _NOTHING, present, "may be a default")

    def _custom_object(self, wanted: Manifest, live: Manifest, fields: Fields | None, path: Path) -> None:
        """A map of a custom kind under server-side apply: granular if our entry looks into it."""
        self._map(wanted, live, None, fields, path)
        if not fields and any(key not in wanted for key in live):
            self._doubt(path, wanted, live, "the map may be atomic")

    def _value(self, wanted: Any, live: Any, node: Node | None, path: Path) -> None:
        """Two values that are not both maps or both lists, or that have no inner shape."""
        if same(wanted, live):
            return
        if wanted is None:
            if self.apply:
                self._doubt(path, wanted, live, "null")
            return
        if node is None:
            if not self.custom:
                self._doubt(path, wanted, live, "unknown field")
                return
            raise Different(path, "differs")
        code = node.code
        if _is_zero(wanted) and wanted is not False and path[-1] not in _ZERO_COUNTS:
            self._doubt(path, wanted, live, "the server may fill in a default")
            return
        if code == "q":
            canonical = canonical_quantity(wanted)
            if canonical == live:
                return
            if not isinstance(canonical, str) or canonical[-1:] in "nu":
                self._doubt(path, wanted, live, "the server rounds")
                return
            raise Different(path, "differs")
        if code == "y" and canonical_base64(wanted) == canonical_base64(live):
            return
        if code in "jt":
            self._doubt(path, wanted, live, "the server may rewrite it")
            return
        raise Different(path, "differs")

    def _missing(self, key: str, wanted: Any, node: Node | None, parent: Node | None, path: Path) -> None:
        """A desired value that live does not have."""
        if wanted is None:
            if self.apply:
                self._doubt(path, wanted, _NOTHING, "null")
            return
        if parent is not None and parent.code == "m":
            raise Different(path, "is missing")
        if node is None:
            self._doubt(path, wanted, _NOTHING, "the server may drop it")
            return
        if wanted == [] and type(wanted) is list:
            return  # left out by the server, as every empty list that is absent
        if type(wanted) is dict and not wanted and node.code == "m":
            return
        if key in ZERO_IS_ABSENT and _is_zero(wanted) and type(wanted) is not dict:
            return
        if node.gated or _is_zero(wanted) or (type(wanted) is dict and not _says_something(wanted, node)):
            self._doubt(path, wanted, _NOTHING, "the server may drop it")
            return
        raise Different(path, "is missing")

    def _list(
        self, wanted: list[Any], live: list[Any], node: Node | None, fields: Fields | None, path: Path
    ) -> None:
        keys: tuple[str, ...] = ()
        is_set = False
        if node is not None and not (self.custom and not self.apply):
            if self.apply:
                keys, is_set = node.map_keys, node.is_set
            elif node.strategy == "merge":
                keys = (node.merge_key,) if node.merge_key else ()
                is_set = not keys
        elif self.custom and self.apply:
            first = next((key for key in fields or () if key != "."), "")
            if first.startswith("k:"):
                keys = tuple(key_fields(first))
            elif first.startswith("v:"):
                is_set = True
            elif fields is None:
                if not same(wanted, live):
                    self._doubt(path, wanted, live, "the list may be merged")
                return
        if keys:
            self._keyed(wanted, live, node, keys, fields, path)
        elif is_set:
            self._set(wanted, live, path)
        else:
            self._positional(wanted, live, node, path)

    def _set(self, wanted: list[Any], live: list[Any], path: Path) -> None:
        at = -1
        for item in wanted:
            if item not in live:
                raise Different(path, "an item is missing")
            found = live.index(item)
            if found <= at:
                raise Different(path, "items would be reordered")
            at = found

    def _keyed(
        self,
        wanted: list[Any],
        live: list[Any],
        node: Node | None,
        keys: tuple[str, ...],
        fields: Fields | None,
        path: Path,
    ) -> None:
        item_node = node.item if node is not None else None
        wanted_by, live_by = index(wanted, keys, item_node), index(live, keys, item_node)
        if (wanted_by is None or live_by is None) and not self.apply and node is not None and node.map_keys:
            # ports 53/TCP and 53/UDP: our own patch tells them apart by these keys (see strategic)
            keys = node.map_keys
            wanted_by, live_by = index(wanted, keys, item_node), index(live, keys, item_node)
        if wanted_by is None or live_by is None:
            if not same(wanted, live):
                self._doubt(path, wanted, live, "items cannot be told apart by their keys")
            return
        positions = {identity: at for at, identity in enumerate(live_by)}
        at = -1
        for identity, item in wanted_by.items():
            name = f"[{','.join(str(part) for part in identity)}]"
            found = positions.get(identity)
            if found is None:
                if "" not in identity and (item_node is None or _says_something(item, item_node)):
                    raise Different((*path, name), "is missing")
                self._doubt((*path, name), item, _NOTHING, "the server may drop it")
                continue
            if found < at:
                raise Different(path, "items would be reordered")
            at = found
            owned = None
            if fields:
                owned = next(
                    (sub for key, sub in fields.items() if key[:2] == "k:" and find_item([item], key) == 0),
                    None,
                )
            present = live_by[identity]
            self._map(item, present, item_node, owned, (*path, name))
            if not self.apply and node is not None and node.retain_keys:
                self._surplus(item, present, item_node, (*path, name))

    def _positional(self, wanted: list[Any], live: list[Any], node: Node | None, path: Path) -> None:
        """A list that is replaced as a whole: every item must come out as it lives."""
        if len(wanted) != len(live):
            if not wanted and not self.custom:
                self._doubt(path, wanted, live, "the server may fill in a default")
                return
            raise Different(path, "the number of items differs")
        item_node = node.item if node is not None else None
        for at, (item, present) in enumerate(zip(wanted, live, strict=True)):
            self._replaced(item, present, item_node, (*path, f"[{at}]"))

    def _replaced(self, wanted: Any, live: Any, node: Node | None, path: Path) -> None:
        if same(wanted, live):
            return
        if wanted is None:
            self._doubt(path, wanted, live, "null")
            return
        if node is not None and node.code == "j":
            self._value(wanted, live, node, path)
            return
        if type(wanted) is dict and type(live) is dict:
            for key, value in wanted.items():
                present = live.get(key, _NOTHING)
                kind = type(value)
                if kind is not dict and kind is not list and kind is type(present) and value == present:
                    continue
                inner = child(node, key)
                if present is _NOTHING or present is None:
                    if present is _NOTHING or value is not None:
                        self._missing_replaced(key, value, inner, node, (*path, key))
                else:
                    self._replaced(value, present, inner, (*path, key))
            self._surplus(wanted, live, node, path)
        elif type(wanted) is list and type(live) is list:
            self._positional(wanted, live, node, path)
        else:
            self._value(wanted, live, node, path)

    def _missing_replaced(
        self, key: str, wanted: Any, node: Node | None, parent: Node | None, path: Path
    ) -> None:
        if wanted is None and self.custom:
            self._doubt(path, wanted, _NOTHING, "null")
            return
        self._missing(key, wanted, node, parent, path)


def _is_zero(value: Any) -> bool:
    return value == "" or value == {} or value is False or (type(value) in (int, float) and value == 0)


def _says_something(value: Any, node: Node) -> bool:
    """Whether a map has a leaf that the server surely keeps."""
    if type(value) is not dict:
        return not _is_zero(value) and value is not None and value != []
    for key, item in value.items():
        inner = child(node, key)
        if node.code == "m":
            return True
        if inner is not None and not inner.gated and _says_something(item, inner):
            return True
    return False
