"""Scalars of YAML as Go reads them: the text, tag and style of a scalar to a JSON value.

``y`` is true, ``0o17`` and ``017`` are fifteen, ``1:30`` is text, and so is a date; numbers are typed
as Go's step to JSON types them, and keys are written as Go writes them (``sources.md`` 5).
"""

import json
import re
import struct
from typing import Any, Final


class Unreadable(Exception):
    """A problem of one document, before it is known which one."""


TAG: Final = "tag:yaml.org,2002:"

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{w: float("nan") for w in (".nan", ".NaN", ".NAN")},
    **{s + w: float("inf") for s in ("", "+") for w in (".inf", ".Inf", ".INF")},
    **{w: float("-inf") for w in ("-.inf", "-.Inf", "-.INF")},
}
_NUMERIC_START: Final = frozenset("0123456789+-.")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED_FLOAT = re.compile(r"\.[0-9]+([eE][-+]?[0-9]+)?")
_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO](?P<o>[0-7]+)"
    r"|(?P<z>0[0-7]*)|(?P<d>[1-9][0-9]*))"
)
_BASES: Final = {"x": 16, "b": 2, "o": 8, "z": 8, "d": 10}


def resolve_plain(text: str, key: bool = False) -> Any:
    """The value of a plain scalar without a tag; of a ``key`` before it is written as text."""
    if text in _WORDS:
        value = _WORDS[text]
        return value if type(value) is not float else _json_number(value, key)
    if text[0] not in _NUMERIC_START:
        return text
    if text[0] == ".":
        number: int | float | None = float(text) if _DOTTED_FLOAT.fullmatch(text) else None
        if number in (float("inf"), None):
            return text
    else:
        number = _number(text)
        if number is None:
            return text
    return _json_number(number, key)


def _number(text: str) -> int | float | None:
    plain = text.replace("_", "")
    match = _INT.fullmatch(plain)
    if match:
        group = match.lastgroup or "d"
        value = int(match.group(group), _BASES[group])
        if match.group("sign") == "-":
            value = -value
        signed = bool(match.group("sign"))
        if -(1 << 63) <= value < (1 << 63) or (not signed and value < 1 << 64):
            return value
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        return None if number in (float("inf"), float("-inf")) else number
    return None


def _json_number(value: int | float | None, key: bool = False) -> Any:
    """Number typing of the step to JSON: integral floats become integers, integers above int64
    floats; there is no infinity. A key keeps what it was, to be written or refused as a key."""
    if type(value) is int:
        if key or -(1 << 63) <= value < 1 << 63:
            return value
        return float(value)
    if isinstance(value, float):
        if value != value:
            raise Unreadable("json: unsupported value: NaN")
        if value in (float("inf"), float("-inf")):
            raise Unreadable("json: unsupported value: " + ("+Inf" if value > 0 else "-Inf"))
        if not key and value.is_integer() and -(2.0**63) <= value < 2.0**63:
            return int(value)
    return value


def resolve_tagged(tag: str, text: str) -> Any:
    """The value of a scalar with an explicit tag.

    Raises:
        Unreadable: the text is no such value.
    """
    short = tag.removeprefix(TAG)
    if tag == "!" or short == tag or short in ("str", "timestamp"):
        return text  # unknown and local tags are dropped, the text is kept
    value = resolve_plain(text) if short in ("bool", "int", "float", "null") else text
    fits = {
        "bool": type(value) is bool,
        "int": type(value) is int and not _FLOAT_ONLY.search(text),
        "float": type(value) in (int, float),
        "null": value is None,
    }.get(short, True)
    if not fits:
        kind = {bool: "bool", int: "int", float: "float", type(None): "null"}.get(type(value), "str")
        raise Unreadable(f"cannot decode !!{kind} `{text}` as a !!{short}")
    return value


_FLOAT_ONLY = re.compile(r"^[-+]?[0-9]*\.|^[-+]?[0-9]+[eE]")


def key_text(key: Any) -> str:
    """A key of any type as the text that JSON needs.

    Raises:
        Unreadable: it cannot be a key.
    """
    if type(key) is str:
        return key
    if type(key) is bool:
        return "true" if key else "false"
    if type(key) is int:
        if key >= 1 << 63:
            raise Unreadable(f"unsupported map key of type: uint64, key: {key}")
        return str(key)
    if type(key) is float:
        return _float32_text(key)
    if key is None:
        raise Unreadable("unsupported map key of type: %!s(<nil>), key: <nil>")
    kind = "map[interface {}]interface {}" if isinstance(key, dict) else "[]interface {}"
    raise Unreadable(f"invalid map key: {kind}{json.dumps(key)[:200]}")


def _float32_text(value: float) -> str:
    """Shortest text that names the same float32, as Go writes float keys."""
    try:
        packed = struct.pack("f", value)
    except OverflowError:
        return ".inf" if value > 0 else "-.inf"
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == packed:
            return text
    return repr(value)
