"""How the API's structs are written down: one definition gives JSON names and omission rules.

Every API object is a ``msgspec.Struct`` derived from :class:`ApiObject`. Attributes are
snake_case; the JSON name follows from the attribute by one rule (:func:`json_name`), so that
protobuf, OpenAPI and CRD schemas can be derived later from the same attribute list.

Omission follows Go's ``omitempty``, which clients of the reference are used to:

- a field whose value is empty (``""``, ``0``, ``False``, ``()``, ``{}``, ``None``) is left out;
- a field declared with :func:`always` is written even when empty (Go never omits structs, and
  some strings lack the tag: ``applications.md`` 1, "wire-shape notes");
- a Go pointer is ``X | None``: ``None`` is absent, an explicit ``false`` or ``{}`` survives.

``Mandatory[...]`` marks a field that the CRD schema requires. That is a different question from
being always written: ``status.history[].source`` is always written, yet not required.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

Mandatory = Annotated[T, msgspec.Meta(extra={"required": True})]
"""A field in the ``required`` list of the CRD schema."""

# Parts of attribute names that Go writes in capitals.
_CAPITALS = {"url": "URL", "urls": "URLs", "sha": "SHA", "id": "ID"}


def json_name(attribute: str) -> str:
    """``repo_url`` → ``repoURL``: camel case with Go's capitals, except in the first word."""
    first, *rest = attribute.rstrip("_").split("_")
    return first + "".join(_CAPITALS.get(word) or word.capitalize() for word in rest)


def always(factory: Callable[[], T]) -> T:
    """A field written even when empty; ``factory`` makes the empty value (``str``, a struct…).

    msgspec leaves out a default *value* and writes the result of a default *factory*, which is
    exactly the difference wanted.
    """
    value: T = msgspec.field(default_factory=factory)
    return value


def no_reference() -> None:
    """The empty value of a pointer that is written (as ``null``) even when it points nowhere."""
    return


def no_items() -> tuple[()]:
    """The empty value of a list that is written even when empty (msgspec takes ``tuple`` itself
    for the default value ``()``)."""
    return ()


class ApiObject(msgspec.Struct, frozen=True, omit_defaults=True, rename=json_name, kw_only=True):
    """Base of every API struct: frozen, JSON names by rule, empty fields left out."""


def to_json(struct: msgspec.Struct | tuple[msgspec.Struct, ...]) -> Any:
    """Builtin ``dict`` (or ``list``) of a struct, with the reference's names and omission rules.

    The detour over bytes makes lists of tuples, as they come from anybody else's JSON.
    """
    return msgspec.json.decode(msgspec.json.encode(struct))
