"""JSON as Go writes and reads it."""

import json
import math
import re
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.floats import digits_of, format_float
from tiphys.templating.gotemplate.values import Function, GoObject, from_json, sorted_items, type_of, weigh

_ESCAPED = re.compile(r"[\u2028\u2029\udc80-\udcff]")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_LITERALS = ("true", "false", "null")
_HTML_CHARACTERS = re.compile(r"[<>&]")


def to_json(value: Any, *, html: bool = True, indent: int | None = None) -> str:
    """A value as JSON: keys sorted; ``html``: its characters escaped.

    Raises:
        GoError: something that JSON has not.
    """
    weigh(value)
    return _written(value, html, indent, 0)


def _written(value: Any, html: bool, indent: int | None, depth: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value, html)
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, GoObject):
        return _object(value, html, indent, depth)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        import base64

        return _text(base64.b64encode(value).decode(), html)
    if isinstance(value, dict):
        parts = [
            f"{_text(str(key), html)}:{' ' if indent else ''}{_written(item, html, indent, depth + 1)}"
            for key, item in sorted_items(value)
        ]
        return _laid_out("{", parts, "}", indent, depth)
    if isinstance(value, list | tuple):
        return _laid_out("[", [_written(item, html, indent, depth + 1) for item in value], "]", indent, depth)
    if isinstance(value, Function):
        raise GoError(f"json: unsupported type: {type_of(value)}")
    raise GoError(f"json: unsupported type: {type_of(value)}")


def _object(value: GoObject, html: bool, indent: int | None, depth: int) -> str:
    fields = value.go_fields()
    text = value.go_string()
    if not fields and text is not None:
        return _text(text, html)
    return _written(dict(fields), html, indent, depth)


def _laid_out(begin: str, parts: list[str], end: str, indent: int | None, depth: int) -> str:
    if indent is None or not parts:
        return begin + ",".join(parts) + end
    pad = "\n" + " " * (indent * (depth + 1))
    return begin + pad + ("," + pad).join(parts) + "\n" + " " * (indent * depth) + end


def _text(value: str, html: bool) -> str:
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\x7f")
    text = _ESCAPED.sub(lambda match: _escape(match.group()), text)
    return _HTML_CHARACTERS.sub(lambda match: _HTML[match.group()], text) if html else text


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0xD800 else "\\ufffd"


def number_text(value: float) -> str:
    """A float as JSON: with an exponent only when very small or large."""
    if not math.isfinite(value):
        raise GoError(f"json: unsupported value: {format_float(value)}")
    power = digits_of(value)[1]
    if value and not -6 <= power < 21:
        return (
            re.sub(r"e([+-])0(\d)$", r"e\1\2", format_float(value, "e"))
            if power < 0
            else format_float(value, "e")
        )
    return format_float(value, "f")


def parse_json(value: str) -> Any:
    """JSON as Go reads it.

    Raises:
        GoError: not JSON.
    """
    try:
        return from_json(json.loads(value, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise GoError(_refusal(value, error)) from None
    except RecursionError:
        raise GoError("exceeded max depth") from None


def _no_constant(name: str) -> Any:
    raise json.JSONDecodeError("no value", name, 0)


def _literal_refusal(text: str, position: int, literal: str) -> str:
    for place, wanted in enumerate(literal):
        char = text[position + place : position + place + 1]
        if not char:
            return "unexpected end of JSON input"
        if char != wanted:
            return f"invalid character '{char}' in literal {literal} (expecting '{wanted}')"
    return f"invalid character in literal {literal}"


def _refusal(text: str, error: json.JSONDecodeError) -> str:
    position = error.pos
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    if position >= len(text):
        return "unexpected end of JSON input"
    for literal in _LITERALS:
        if text[position] == literal[0] and error.msg.startswith("Expecting value"):
            return _literal_refusal(text, position, literal)
    char = text[position]
    shown = f"'{char}'" if char != "'" else "'\\''"
    if error.msg.startswith("Extra data"):
        return f"invalid character {shown} after top-level value"
    if error.msg.startswith("Expecting ','"):
        where = (
            "array element"
            if text[:position].rfind("[") > text[:position].rfind("{")
            else "object key:value pair"
        )
        return f"invalid character {shown} after {where}"
    if error.msg.startswith("Expecting property name"):
        return f"invalid character {shown} looking for beginning of object key string"
    return f"invalid character {shown} looking for beginning of value"
