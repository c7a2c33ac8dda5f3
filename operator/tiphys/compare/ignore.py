"""Leaving out what a comparison must not see: ignore rules and built-in normalisation of pairs.

An ``Exclusion`` is everything that applies to one object: JSON pointers, jq paths, trusted field
managers (sync.md 5.1–5.3), aggregated roles (4.3) and fields of known types (5.2). It takes the
pair of target and live and gives back the pair without what is ignored; nothing is changed in place.
A rule that fails on an object is skipped, as in the reference; the failure is in ``problems``.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from tiphys.compare.jqpaths import DEFAULT_TIMEOUT, JqError, JqPath
from tiphys.compare.normalize import normalize_value
from tiphys.compare.ownership import entries_of, without_owned
from tiphys.compare.quantities import canonical_quantity
from tiphys.compare.schemas import Node, type_node
from tiphys.resources.identity import Manifest

Pointer = tuple[str, ...]

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NANOS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def parse_pointer(text: str) -> Pointer | None:
    """Parts of a JSON pointer (RFC 6901); ``None`` when it does not start with ``/``."""
    if not text.startswith("/"):
        return None
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def without_pointer(value: Any, pointer: Pointer) -> Any:
    """A copy without what is at the pointer; the same value when nothing is there."""
    head, rest = pointer[0], pointer[1:]
    if type(value) is dict:
        if head not in value:
            return value
        if not rest:
            return {key: item for key, item in value.items() if key != head}
        inner = without_pointer(value[head], rest)
        return value if inner is value[head] else {**value, head: inner}
    if type(value) is list and head.isdigit() and int(head) < len(value):
        at = int(head)
        if not rest:
            return value[:at] + value[at + 1 :]
        inner = without_pointer(value[at], rest)
        return value if inner is value[at] else [*value[:at], inner, *value[at + 1 :]]
    return value


class KnownField(Struct, frozen=True):
    """A field of a custom kind that holds a value of a built-in type; ``node`` is None for durations."""

    path: tuple[str, ...]
    node: Node | None


def known_field(field: str, type_name: str) -> KnownField | None:
    """A compiled ``knownTypeFields`` entry (sync.md 5.2); ``None`` for a type nobody knows."""
    path = tuple(part for part in field.split(".") if part)
    if not path:
        return None
    if type_name == "core/Quantity":
        return KnownField(path, type_node_of_quantity())
    if type_name == "meta/v1/Duration":
        return KnownField(path, None)
    node = type_node(type_name.replace("/", "."))
    if node is None and type_name == "core/v1/ResourceList":
        node = type_node("core.v1.ResourceRequirements")
        node = node.type.field("limits") if node else None
    return KnownField(path, node) if node is not None else None


def type_node_of_quantity() -> Node:
    requirements = type_node("core.v1.ResourceRequirements")
    limits = requirements.type.field("limits") if requirements else None
    assert limits is not None
    assert limits.item is not None
    return limits.item


def canonical_known(value: Any, path: Sequence[str], node: Node | None) -> Any:
    """A copy with the field in canonical form; lists on the way are walked (sync.md 5.2)."""
    if type(value) is list:
        made = [canonical_known(item, path, node) for item in value]
        return value if all(new is old for new, old in zip(made, value, strict=True)) else made
    if not path:
        if node is None:
            return canonical_duration(value)
        return canonical_quantity(value) if node.code == "q" else normalize_value(value, node)
    if type(value) is not dict or path[0] not in value:
        return value
    inner = canonical_known(value[path[0]], path[1:], node)
    return value if inner is value[path[0]] else {**value, path[0]: inner}


def canonical_duration(value: Any) -> Any:
    """A Go duration as Go writes it: ``90s`` is ``1m30s``; anything else unchanged."""
    if type(value) is not str or not value:
        return value
    sign = "-" if value.startswith("-") else ""
    text = value.lstrip("+-")
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return "0s" if text == "0" else value
    nanos = sum(round(float(number) * _NANOS[unit]) for number, unit in parts)
    if nanos == 0:
        return "0s"
    if nanos < 10**9:
        unit = "ns" if nanos < 1000 else "µs" if nanos < 10**6 else "ms"
        return f"{sign}{_decimal(nanos, _NANOS[unit])}{unit}"
    hours, rest = divmod(nanos, _NANOS["h"])
    minutes, rest = divmod(rest, _NANOS["m"])
    seconds = f"{_decimal(rest, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


class Exclusion(Struct, frozen=True):
    """What is left out when one object is compared."""

    pointers: tuple[Pointer, ...] = ()
    paths: tuple[JqPath, ...] = ()
    managers: frozenset[str] = frozenset()
    known_fields: tuple[KnownField, ...] = ()
    aggregated_roles: bool = False
    jq_timeout: float = DEFAULT_TIMEOUT

    def __bool__(self) -> bool:
        return bool(
            self.pointers or self.paths or self.managers or self.known_fields or self.aggregated_roles
        )

    def apply(
        self, manifest: Manifest, trusted: Iterable[Manifest] = (), problems: list[str] | None = None
    ) -> Manifest:
        """One side without what is ignored.

        ``trusted`` are the ``fieldsV1`` trees of trusted managers, from the live object
        (:meth:`trusted_fields`). Texts of rules that failed are added to ``problems``.
        """
        for fields in trusted:
            manifest = without_owned(manifest, fields)
        for pointer in self.pointers:
            manifest = without_pointer(manifest, pointer)
        for path in self.paths:
            try:
                manifest = path.delete_from(manifest, self.jq_timeout)
            except JqError as error:
                if problems is not None:
                    problems.append(f"{path.expression}: {error}")
        for known in self.known_fields:
            manifest = canonical_known(manifest, known.path, known.node)
        if self.aggregated_roles and type(manifest.get("aggregationRule")) is dict and "rules" in manifest:
            manifest = {key: value for key, value in manifest.items() if key != "rules"}
        return manifest

    def trusted_fields(self, *holders: Manifest) -> list[Manifest] | None:
        """What trusted managers own, read from the first object that tells.

        ``None`` when a trusted manager is there but its fields are not in any of ``holders``.
        """
        if not self.managers:
            return []
        for holder in holders:
            entries = [entry for entry in entries_of(holder) if entry.get("manager") in self.managers]
            if all(type(entry.get("fieldsV1")) is dict or entry.get("subresource") for entry in entries):
                return [entry["fieldsV1"] for entry in entries if type(entry.get("fieldsV1")) is dict]
        return None
