"""The message of a request out of its path, its body and its query (api.md 3).

A body of ``*`` is the whole message, and the query then means nothing; a body that names a field is that
field; path fields are set over it, and whatever neither of them binds may come from the query.

Pure: a match, bytes and a query in, a message out; everything that is wrong is InvalidArgument.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Union, get_args, get_origin

import msgspec

from tiphys.resources import gojson
from tiphys.resources.decoding import decode_as
from tiphys.resources.errors import InvalidObject
from tiphys.resources.parameters import with_parameters
from tiphys.server.api.failures import invalid_argument
from tiphys.server.http.routing import Found


def build_request(found: Found, body: bytes, query: Mapping[str, Sequence[str]]) -> msgspec.Struct:
    """The request message.

    Raises:
        ApiFailure: InvalidArgument, with what is wrong.
    """
    try:
        message = _of_body(found.method.request, found.route.body, body)
        pairs = list(found.values.items())
        if found.route.body != "*" and query:
            pairs.extend(_unbound(found, query))
        return with_parameters(message, pairs) if pairs else message
    except InvalidObject as error:
        raise invalid_argument(str(error)) from None
    except RecursionError:
        raise invalid_argument("JSON is nested too deeply") from None


def _of_body(kind: type[msgspec.Struct], name: str, body: bytes) -> msgspec.Struct:
    if not name or not body.strip():
        return kind()
    if name == "*":
        return gojson.loads(kind, body)
    attribute, inner = _field(kind, name)
    if body.lstrip().startswith(b"null"):
        return kind()  # leaves a pointer nil
    value: Any
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        value = gojson.loads(inner, body)
    else:
        value = decode_as(inner, gojson.first_value(kind.__name__, body))
    return kind(**{attribute: value})


@lru_cache(maxsize=256)
def _field(kind: type[msgspec.Struct], name: str) -> tuple[str, Any]:
    """Attribute and type (without ``None``) of the field that is the body."""
    for info in msgspec.structs.fields(kind):
        if info.encode_name.lower() == name.lower():
            hint = info.type
            if get_origin(hint) in (Union, types.UnionType):
                hint = next(each for each in get_args(hint) if each is not type(None))
            return info.name, hint
    raise TypeError(f"{kind.__name__} has no field {name}")


def _unbound(found: Found, query: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """The parameters whose names neither the path nor the body binds."""
    bound = [tuple(name.split(".")) for name in found.values]
    if found.route.body:
        bound.append((found.route.body,))
    for name, values in query.items():
        path = tuple(name.partition("[")[0].split("."))
        if not any(path[: len(taken)] == taken for taken in bound):
            for value in values:
                yield name, value
