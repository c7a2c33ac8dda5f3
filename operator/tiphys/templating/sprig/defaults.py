"""Defaults, conditions, types, and JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import ANY, Function, kind_of, type_of
from tiphys.templating.sprig.casting import is_empty
from tiphys.templating.sprig.json_texts import parse_json, to_json


def default(fallback: Any, *given: Any) -> Any:
    """The given value, or the fallback if it is empty."""
    return given[0] if given and not is_empty(given[0]) else fallback


def coalesce(*values: Any) -> Any:
    """The first that is not empty."""
    return next((value for value in values if not is_empty(value)), None)


def _or(fallback: Any, call: Callable[[], Any]) -> Any:
    """For functions that swallow errors."""
    try:
        return call()
    except GoError:
        return fallback


def _fail(message: str) -> Any:
    raise GoError(message)


def functions() -> Mapping[str, Function]:
    """Their table."""
    one = (ANY,)
    kind_is = ("string", ANY)
    raw = Function(one, lambda value: to_json(value, html=False))
    return {
        "all": Function(one, lambda *values: not any(map(is_empty, values)), True),
        "any": Function(one, lambda *values: not all(map(is_empty, values)), True),
        "coalesce": Function(one, coalesce, True),
        "default": Function((ANY, ANY), default, True),
        "empty": Function(one, is_empty),
        "fail": Function(("string",), _fail),
        "fromJson": Function(("string",), lambda value: _or(None, lambda: parse_json(value))),
        "kindIs": Function(kind_is, lambda kind, value: kind_of(value) == kind),
        "kindOf": Function(one, kind_of),
        "mustFromJson": Function(("string",), parse_json),
        "mustToJson": Function(one, to_json),
        "mustToPrettyJson": Function(one, lambda value: to_json(value, indent=2)),
        "mustToRawJson": raw,
        "ternary": Function((ANY, ANY, "bool"), lambda yes, no, value: yes if value else no),
        "toJson": Function(one, lambda value: _or("", lambda: to_json(value))),
        "toPrettyJson": Function(one, lambda value: _or("", lambda: to_json(value, indent=2))),
        "toRawJson": raw,
        "typeIs": Function(kind_is, lambda name, value: type_of(value) == name),
        "typeIsLike": Function(kind_is, lambda name, value: type_of(value) in (name, f"*{name}")),
        "typeOf": Function(one, type_of),
    }
