"""Targets in the form in which the API server stores them (findings: "Normalise D once per render").

Done once per render; the normalised form is what is compared and what is applied. Built-in kinds:
canonical quantities and base64, no nulls (an absent field, as the reference's typed decoding has
it), no ``status`` where it is a subresource, a Secret's ``stringData`` folded into ``data``.
Custom kinds are stored as sent, so only ``metadata`` is touched. Input is never changed; what does
not change is shared with the result.
"""

import base64
import binascii
from typing import Any

from tiphys.compare.quantities import canonical_quantity
from tiphys.compare.schemas import KindSchema, Node, schema_named
from tiphys.resources.identity import Manifest

_MISSING: Any = object()


def normalize(manifest: Manifest) -> Manifest:
    """The stored form of a target."""
    schema = schema_named(manifest.get("apiVersion") or "", manifest.get("kind") or "")
    if schema is not None:
        manifest = _normalize_built_in(manifest, schema)
    return _clean_metadata(manifest)


def normalize_value(value: Any, node: Node) -> Any:
    """The stored form of a value of a built-in type; the same object when nothing changes."""
    code = node.code
    if code == "q":
        return canonical_quantity(value)
    if code == "y":
        return canonical_base64(value)
    if code == "r" and type(value) is dict:
        info = node.type
        return _map(value, lambda key, _: info.field(key))
    if code == "m" and type(value) is dict:
        item = node.item
        return _map(value, lambda _, __: item)
    if code == "l" and type(value) is list and node.item is not None and node.item.code not in "sinbx":
        item = node.item
        made = [normalize_value(entry, item) for entry in value]
        return value if all(new is old for new, old in zip(made, value, strict=True)) else made
    return value


def _map(value: dict[str, Any], node_of: Any) -> dict[str, Any]:
    changed: dict[str, Any] | None = None
    for key, old in value.items():
        node = node_of(key, old)
        if old is None:
            new = _MISSING if node is None or node.code != "j" else old
        elif node is None or node.code in "sinbxtj":
            continue
        else:
            new = normalize_value(old, node)
        if new is not old:
            if changed is None:
                changed = dict(value)
            if new is _MISSING:
                del changed[key]
            else:
                changed[key] = new
    return value if changed is None else changed


def _normalize_built_in(manifest: Manifest, schema: KindSchema) -> Manifest:
    if schema.has_status and "status" in manifest:
        manifest = {key: value for key, value in manifest.items() if key != "status"}
    if manifest["kind"] == "Secret":
        manifest = fold_string_data(manifest)
    normalized: Manifest = normalize_value(manifest, schema.root)
    return normalized


def _clean_metadata(manifest: Manifest) -> Manifest:
    """Without null ``creationTimestamp`` and empty labels and annotations."""
    metadata = manifest.get("metadata")
    if type(metadata) is not dict:
        return manifest
    dropped = {key for key in ("labels", "annotations") if key in metadata and not metadata[key]}
    if "creationTimestamp" in metadata and metadata["creationTimestamp"] is None:
        dropped.add("creationTimestamp")
    if not dropped:
        return manifest
    return {**manifest, "metadata": {k: v for k, v in metadata.items() if k not in dropped}}


def is_core_secret(manifest: Manifest) -> bool:
    """Whether a manifest is a core ``Secret``."""
    return manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"


def fold_string_data(secret: Manifest) -> Manifest:
    """``stringData`` moved into ``data`` in base64, winning over it; null data becomes empty text.

    A value that is no text is copied as it is, so that applying it fails (sync.md 4.3). A ``data``
    or ``stringData`` that is no map leaves the object alone.
    """
    text, data = secret.get("stringData"), secret.get("data")
    if type(data) is dict:
        if None in data.values():
            data = {key: "" if value is None else value for key, value in data.items()}
            secret = {**secret, "data": data}
    elif data is not None:
        return secret
    if type(text) is not dict:
        return secret
    folded = dict(data or {})
    for key, value in text.items():
        if value is None:
            value = ""
        folded[key] = base64.b64encode(value.encode()).decode() if isinstance(value, str) else value
    made = {key: value for key, value in secret.items() if key != "stringData"}
    if folded or data is not None:
        made["data"] = folded
    return made


def canonical_base64(value: Any) -> Any:
    """Base64 without line breaks and stray padding bits; anything else unchanged."""
    if type(value) is not str or not value:
        return value
    if len(value) % 4 == 0 and value.isascii() and value.isprintable() and value[-1] != "=":
        return value
    try:
        raw = base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return value
    return base64.b64encode(raw).decode()
