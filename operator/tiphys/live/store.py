"""The objects of one cluster with the indexes that reconciling asks for.

By key, by application instance, by owner. Plain dictionaries, no locks: everything runs on one
loop and no method awaits. Parents that only two objects together tell (a StatefulSet and the claims
made from its templates) are inferred here, when either comes or goes.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from tiphys.live.depth import PVC, STATEFUL_SETS
from tiphys.live.records import LiveObject, Owner
from tiphys.resources.identity import GroupKind, ResourceKey

_NOTHING: Mapping[ResourceKey, LiveObject] = {}


class Store:
    """All records of one cluster."""

    def __init__(self) -> None:
        self._kinds: dict[GroupKind, dict[str, dict[str, LiveObject]]] = {}
        self._managed: dict[str, dict[ResourceKey, LiveObject]] = {}
        # uid of the owner, or its key where only the name is known → its children
        self._children: dict[str | ResourceKey, dict[ResourceKey, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: ResourceKey) -> LiveObject | None:
        """The record of ``key``."""
        return self._kinds.get(GroupKind(key[0], key[1]), {}).get(key[2], {}).get(key[3])

    def of_kind(self, kind: GroupKind, namespace: str = "") -> list[LiveObject]:
        """Records of a kind, in one namespace or (``""``) in all."""
        namespaces = self._kinds.get(kind, {})
        if namespace:
            return list(namespaces.get(namespace, {}).values())
        return [each for named in namespaces.values() for each in named.values()]

    def in_namespace(self, namespace: str) -> Iterator[LiveObject]:
        """Records of all kinds in a namespace; ``""``: in all namespaces. Never cluster-scoped."""
        for namespaces in self._kinds.values():
            if namespace:
                yield from namespaces.get(namespace, {}).values()
            else:
                for name, named in namespaces.items():
                    if name:
                        yield from named.values()

    def managed(self, instance: str) -> Mapping[ResourceKey, LiveObject]:
        """Root objects that carry ``instance``. A view: do not keep it over an ``await``."""
        return self._managed.get(instance, _NOTHING)

    def instances(self) -> frozenset[str]:
        """Every instance that some object carries."""
        return frozenset(self._managed)

    def children(self, parent: LiveObject) -> list[LiveObject]:
        """Objects owned by ``parent``, in any namespace if it is cluster-scoped. Two records of one
        object (served by two groups) count once: the smaller key."""
        keys = list(self._children.get(parent.uid, ())) if parent.uid else []
        keys.extend(self._children.get(parent.key, ()))
        found: dict[str, LiveObject] = {}
        for key in keys:
            child = self.get(key)
            if child is None:
                continue
            if parent.key.namespace and child.key.namespace != parent.key.namespace:
                continue
            other = found.get(child.uid)
            if other is None or str(key) < str(other.key):
                found[child.uid] = child
        return list(found.values())

    def parent(self, child: LiveObject, owner: Owner) -> LiveObject | None:
        """The record an owner reference means: in the child's namespace or cluster-scoped."""
        for namespace in dict.fromkeys((child.key.namespace, "")):
            found = self.get(ResourceKey(owner.group, owner.kind, namespace, owner.name))
            if found is not None and (not owner.uid or found.uid == owner.uid):
                return found
        return None

    def instance_of(self, record: LiveObject) -> str:
        """The application instance of an object, its own or through its owners; ``""``: none."""
        if record.app_instance or not record.details.owners:
            return record.app_instance
        seen = {record.key}
        waiting = [record]
        while waiting:
            current = waiting.pop()
            if current.app_instance:
                return current.app_instance
            for owner in current.owners:
                parent = self.parent(current, owner)
                if parent is not None and parent.key not in seen:
                    seen.add(parent.key)
                    waiting.append(parent)
        return ""

    def put(self, record: LiveObject) -> LiveObject:
        """Add or replace; the record as stored (owners may have been inferred)."""
        kind = record.key.group_kind
        if kind == PVC and not record.owners:
            record = self._claim_with_owner(record)
        old = self._place(record)
        if kind in STATEFUL_SETS and (old is None or old.details.templates != record.details.templates):
            self._reconsider_claims(record.key.namespace)
        return record

    def remove(self, key: ResourceKey) -> LiveObject | None:
        """Forget an object; its last record."""
        named = self._kinds.get(key.group_kind, {}).get(key.namespace)
        old = named.pop(key.name, None) if named is not None else None
        if old is None:
            return None
        if not named:
            del self._kinds[key.group_kind][key.namespace]
        self._count -= 1
        self._unlink(old)
        if key.group_kind in STATEFUL_SETS:
            self._reconsider_claims(key.namespace)
        return old

    def _place(self, record: LiveObject) -> LiveObject | None:
        key = record.key
        named = self._kinds.setdefault(key.group_kind, {}).setdefault(key.namespace, {})
        old = named.get(key.name)
        named[key.name] = record
        if old is None:
            self._count += 1
        elif old.owners != record.owners or old.app_instance != record.app_instance:
            self._unlink(old)
        if record.app_instance:
            self._managed.setdefault(record.app_instance, {})[key] = record
        for owner in record.owners:
            self._children.setdefault(_owner_index(record, owner), {})[key] = None
        return old

    def _unlink(self, record: LiveObject) -> None:
        objects = self._managed.get(record.app_instance)
        if objects is not None:
            objects.pop(record.key, None)
            if not objects:
                del self._managed[record.app_instance]
        for owner in record.owners:
            index = _owner_index(record, owner)
            children = self._children.get(index)
            if children is not None:
                children.pop(record.key, None)
                if not children:
                    del self._children[index]

    def _claim_with_owner(self, claim: LiveObject) -> LiveObject:
        """A claim made from a StatefulSet's template is its child: ``<template>-<set>-<n>``, as in
        the reference not anchored at the start (health-and-resources.md 6.6)."""
        for kind in STATEFUL_SETS:
            for owner in self._kinds.get(kind, {}).get(claim.key.namespace, {}).values():
                for template in owner.details.templates:
                    if re.search(re.escape(f"{template}-{owner.key.name}-") + r"\d+$", claim.key.name):
                        found = Owner(kind.group, kind.kind, owner.key.name, owner.uid)
                        details = msgspec.structs.replace(claim.details, owners=(found,))
                        return msgspec.structs.replace(claim, details=details, app_instance="")
        return claim

    def _reconsider_claims(self, namespace: str) -> None:
        for claim in self.of_kind(PVC, namespace):
            inferred = any(GroupKind(each.group, each.kind) in STATEFUL_SETS for each in claim.owners)
            if claim.owners and not inferred:
                continue
            bare = claim
            if inferred:
                details = msgspec.structs.replace(claim.details, owners=())
                instance = details.carried_instance
                bare = msgspec.structs.replace(claim, details=details, app_instance=instance)
            again = self._claim_with_owner(bare)
            if again != claim:
                self._place(again)


def _owner_index(child: LiveObject, owner: Owner) -> str | ResourceKey:
    return owner.uid or ResourceKey(owner.group, owner.kind, child.key.namespace, owner.name)
