"""``manifest.yaml``: objects as the reference's emitter writes them (``sources.md`` 21.4).

Two blanks a level, also for lists below their key; no folding; keys in natural order; texts as plain as
a reader of YAML 1.1 or 1.2 can stand, else in quotes, and texts of several lines as blocks. What a
branch holds is compared as text, so that a move from Argo CD here makes no commit.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from tiphys.templating.gotemplate.floats import format_float

_LONGEST_KEY = 128
_WORDS = frozenset(
    (
        *("", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"),
        *(".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF"),
        *("+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"),
        *("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"),
    )
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})"
    r"(?:[Tt]([0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})(?:[.,][0-9]+)?(?:Z|[-+][0-9]{2}:[0-9]{2})"
    r"| ([0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})(?:[.,][0-9]+)?)?"
)
# what the emitter takes for printable; the rest, four-byte characters among it, is escaped
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_BREAKS = re.compile(r"[\n\r\x85\u2028\u2029]")
_INDICATORS = frozenset("#,[]{}&*!|>'\"%@`")
_ESCAPES = {
    "\0": "\\0",
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
_ESCAPED = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


def to_documents(objects: Iterable[Any]) -> str:
    """JSON values as the documents of one file."""
    return "---\n".join("".join(f"{line}\n" for line in _value(each, "")) for each in objects)


def _compare(one: str, other: str) -> int:
    """Letters come after other characters, but before them behind a digit; numbers by their value."""
    place = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), -1)
    if place < 0:
        return len(one) - len(other)
    x, y = one[place], other[place]
    if x.isalpha() and y.isalpha():
        return -1 if x < y else 1
    if x.isalpha() or y.isalpha():
        behind_digit = place > 0 and one[place - 1].isdecimal()
        return -1 if x.isalpha() == behind_digit else 1
    head = ""
    if "0" in (x, y) and _DIGITS_AT_END.search(one[:place]):
        head = "1"  # a zero inside a number counts, one that leads does not
    runs = [head + _DIGITS.match(text, place)[0] for text in (one, other)]  # type: ignore[index]
    numbers = [int(run or 0) for run in runs]
    if numbers[0] != numbers[1]:
        return numbers[0] - numbers[1]
    return len(runs[0]) - len(runs[1]) or (-1 if x < y else 1)


_DIGITS = re.compile(r"[0-9]*")
_DIGITS_AT_END = re.compile(r"[1-9][0-9]*\Z")
_order = cmp_to_key(_compare)


def _value(value: Any, indent: str) -> Iterator[str]:
    """The lines of a value that begins on a line of its own, at ``indent``."""
    if isinstance(value, dict) and value:
        for key in sorted(value, key=_order):
            yield from _member(str(key), value[key], indent)
    elif isinstance(value, list) and value:
        for item in value:
            inner = indent + "  "
            if isinstance(item, dict | list) and item:
                lines = _value(item, inner)
                yield f"{indent}- {next(lines)[len(inner) :]}"
                yield from lines
            else:
                yield from _scalar(item, f"{indent}-", inner)
    else:
        lines = _scalar(value, "", indent)
        yield next(lines)[1:]
        yield from lines


def _member(key: str, value: Any, indent: str) -> Iterator[str]:
    before = f"{indent}{_inline(key)}:"
    if len(key.encode()) > _LONGEST_KEY or _BREAKS.search(key):
        yield from _scalar(key, f"{indent}?", indent + "  ")
        before = f"{indent}:"
        if isinstance(value, dict | list) and value:
            lines = _value(value, indent + "  ")
            yield f"{before} {next(lines)[len(indent) + 2 :]}"
            yield from lines
            return
    if isinstance(value, dict | list) and value:
        yield before
        yield from _value(value, indent + "  ")
    else:
        yield from _scalar(value, before, indent + "  ")


def _scalar(value: Any, before: str, indent: str) -> Iterator[str]:
    """A scalar or an empty collection behind ``before``; further lines at ``indent``."""
    if isinstance(value, str) and "\n" in value and _may_be_block(value):
        yield f"{before} |{_hints(value)}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{indent}{line}" if line else ""
        return
    yield f"{before} {_inline(value)}"


def _hints(text: str) -> str:
    indentation = "2" if text[0] in " \n" else ""
    if not text.endswith("\n"):
        return indentation + "-"
    return indentation + ("+" if text.endswith("\n\n") or text == "\n" else "")


def _may_be_block(text: str) -> bool:
    # a tab where the first line begins could not be read back (docs/differences.md)
    return not (text.endswith(" ") or " \n" in text or text[0] == "\t" or _special(text))


def _special(text: str) -> bool:
    return _UNPRINTABLE.search(text) is not None or "\u2028" in text or "\u2029" in text


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, int):
        return str(value)
    return "[]" if isinstance(value, list) else "{}"


def _text(text: str) -> str:
    if "\n" in text or "\t" in text or _is_something_else(text) or _special(text):
        return f'"{_ESCAPED.sub(_escape, text)}"'
    if _is_plain(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _is_plain(text: str) -> bool:
    if text[0] in _INDICATORS or text.startswith(("---", "...")) or text[0] == " " or text[-1] == " ":
        return False
    if text[0] in "?:-" and (len(text) == 1 or text[1] == " "):
        return False
    return ": " not in text and " #" not in text and not text.endswith(":")


def _is_something_else(text: str) -> bool:
    """A reader would take the plain text for a number, a time, a boolean or nothing."""
    if text in _WORDS or _BASE_60.fullmatch(text):
        return True
    if text[0] not in "+-.0123456789":
        return False
    if (match := _TIME.fullmatch(text)) and _is_time(match):
        return True
    digits = text if text[0] == "." else text.replace("_", "")
    if _FLOAT.fullmatch(digits):
        return True
    if not _INTEGER.fullmatch(digits):
        return False
    number = int(digits, 0)
    return -(1 << 63) <= number < 1 << 64


def _is_time(match: re.Match[str]) -> bool:
    clock = match[2] or match[3] or "0:0:0"
    try:
        datetime(*map(int, match[1].split("-")), *map(int, clock.split(":")))  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if known := _ESCAPES.get(char):
        return known
    code = ord(char)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
