"""``$`` references: text in settings that stands for a value in a Secret (operations.md 1.4).

``$key`` is looked up in ``argocd-secret``; ``$secretName:key`` in any Secret of the control-plane
namespace that carries ``app.kubernetes.io/part-of: argocd``. Only a whole value may be a
reference. A value is trimmed; what cannot be resolved stays as it is, and ``unresolved`` lets
the caller warn about it by name (names of references are not secret, values are).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tiphys.settings.secrecy import Quiet


class References(msgspec.Struct, frozen=True):
    """The values that references may name; the repr shows key names only."""

    main: Mapping[str, str] = Quiet()
    """Data of ``argocd-secret``."""
    others: Mapping[str, Mapping[str, str]] = Quiet()
    """Secret name → its data, for Secrets that are part of the installation."""

    def lookup(self, reference: str) -> str | None:
        """The trimmed value of ``$key`` or ``$secret:key``, ``None`` when there is none."""
        if not reference.startswith("$"):
            return None
        secret, separator, key = reference[1:].partition(":")
        value = self.others.get(secret, {}).get(key.strip()) if separator else self.main.get(secret)
        return None if value is None else value.strip()

    def resolve(self, text: str) -> str:
        """The text, or what it refers to."""
        value = self.lookup(text)
        return text if value is None else value

    def resolve_all(self, tree: Any) -> Any:
        """A copy of a decoded YAML tree with every string value resolved (keys are left alone)."""
        if isinstance(tree, str):
            return self.resolve(tree)
        if isinstance(tree, Mapping):
            return {key: self.resolve_all(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self.resolve_all(value) for value in tree]
        return tree

    def unresolved(self, tree: Any) -> Iterator[str]:
        """The references in a tree that name nothing."""
        if isinstance(tree, str):
            if tree.startswith("$") and self.lookup(tree) is None:
                yield tree
        elif isinstance(tree, Mapping):
            for value in tree.values():
                yield from self.unresolved(value)
        elif isinstance(tree, list | tuple):
            for value in tree:
                yield from self.unresolved(value)
