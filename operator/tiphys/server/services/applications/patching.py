"""Patches that users send for a whole Application: JSON Patch and JSON Merge Patch (api.md 8.2 "Patch").

Pure. What a patch makes of name and namespace does not count: it is about one Application.
"""

from typing import Any

import jsonpatch
import jsonpointer
import msgspec
import orjson

from tiphys.resources.application import Application, decode, to_json
from tiphys.resources.errors import InvalidObject
from tiphys.server.api.failures import invalid_argument, unknown
from tiphys.server.services.applications.writing import merge

MOST_BYTES = 3 << 20
"""What an Application may become on the way: more than the API server would take."""


def patched(app: Application, patch: str, patch_type: str) -> Application:
    """The Application that the patch makes of ``app``.

    Raises:
        ApiFailure: InvalidArgument for another type; Unknown for a patch that cannot be read or applied.
    """
    try:
        if patch_type in ("", "json"):
            changed = _by_operations(to_json(app), patch)
        elif patch_type == "merge":
            changed = merge(to_json(app), _read(patch, "error calculating merge patch: Invalid JSON Patch"))
        else:
            raise invalid_argument(f"Patch type '{patch_type}' is not supported")
    except RecursionError:
        raise unknown("error applying patch: it is nested too deeply") from None
    if not isinstance(changed, dict):
        raise unknown("error unmarshaling patched app: it is no object")
    try:
        result = decode(orjson.dumps(changed))
    except InvalidObject as error:
        raise unknown(f"error unmarshaling patched app: {error}") from error
    except (TypeError, RecursionError) as error:  # TypeError: also of orjson, nested too deeply
        raise unknown("error unmarshaling patched app: it is no JSON") from error
    metadata = msgspec.structs.replace(
        result.metadata, name=app.metadata.name, namespace=app.metadata.namespace
    )
    return msgspec.structs.replace(result, metadata=metadata)


def _by_operations(document: Any, patch: str) -> Any:
    """RFC 6902, one operation after the other: ``copy`` can double the document with each."""
    operations = _read(patch, "error decoding json patch")
    if not isinstance(operations, list):
        raise unknown("error decoding json patch: it is no list of operations")
    for operation in operations:
        try:
            document = jsonpatch.apply_patch(document, [operation], in_place=True)
        except (
            jsonpatch.JsonPatchException,
            jsonpointer.JsonPointerException,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
        ) as error:
            raise unknown(f"error applying patch: {error}") from error
        copies = isinstance(operation, dict) and operation.get("op") == "copy"
        if copies and len(orjson.dumps(document)) > MOST_BYTES:
            raise unknown("error applying patch: the result is too large")
    return document


def _read(text: str, problem: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise unknown(f"{problem}: {error}") from error
