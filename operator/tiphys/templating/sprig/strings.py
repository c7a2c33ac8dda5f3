"""Functions of strings. Lengths and positions count bytes, as in Go."""

from collections.abc import Mapping
from random import Random
from typing import Any

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.printing import text_of
from tiphys.templating.gotemplate.quoting import quote
from tiphys.templating.gotemplate.values import (
    ANY,
    Function,
    StringList,
    StringMap,
    check_size,
    to_bytes,
    to_text,
)
from tiphys.templating.sprig import casting, words

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"


def repeat(count: int, value: str) -> str:
    """``count`` times."""
    if count < 0:
        raise GoError("strings: negative Repeat count")
    check_size(count * len(value))
    return value * count


def replace(old: str, new: str, source: str) -> str:
    """Every ``old`` by ``new``; an empty one stands between all characters."""
    found = source.count(old) if old else len(source) + 1
    check_size(len(source) + found * max(len(new) - len(old), 0))
    return source.replace(old, new)


def indent(spaces: int, value: str) -> str:
    """Each line behind spaces."""
    pad = repeat(spaces, " ")
    return pad + replace("\n", "\n" + pad, value)


def trunc(count: int, value: str) -> str:
    """The first bytes, or with a negative number the last."""
    data = to_bytes(value)
    if count < 0:
        return to_text(data[len(data) + count :]) if len(data) + count > 0 else value
    return to_text(data[:count])


def substr(start: int, end: int, value: str) -> str:
    """The bytes between two positions."""
    data = to_bytes(value)
    size = len(data)
    if start < 0:
        return to_text(_cut(data, 0, end))
    if end < 0 or end > size:
        if start > size:
            raise GoError(f"runtime error: slice bounds out of range [{start}:{size}]")
        return to_text(data[start:])
    return to_text(_cut(data, start, end))


def _cut(data: bytes, start: int, end: int) -> bytes:
    if not 0 <= end <= len(data):
        limit = f"[:{end}]" + (f" with length {len(data)}" if end >= 0 else "")
        raise GoError(f"runtime error: slice bounds out of range {limit}")
    if start > end:
        raise GoError(f"runtime error: slice bounds out of range [{start}:{end}]")
    return data[start:end]


def split(separator: str, value: str, count: int = -1) -> list[str]:
    """The parts between separators, at most ``count`` if it is not negative; characters without one."""
    if count == 0:
        return []
    check_size(len(value) * 8 if not separator else value.count(separator) * 8)
    if separator:
        return value.split(separator, count - 1) if count > 0 else value.split(separator)
    if 0 < count < len(value):
        return [*value[: count - 1], value[count - 1 :]]
    return list(value)


def _numbered(parts: list[str]) -> StringMap:
    return StringMap({f"_{number}": part for number, part in enumerate(parts)})


def join(separator: str, value: Any) -> str:
    """The elements as texts."""
    parts = casting.texts(value)
    check_size(sum(map(len, parts)) + len(parts) * len(separator))
    return separator.join(parts)


def quoted(*values: Any) -> str:
    """Each in double quotes, nil left out."""
    return " ".join(quote(casting.text(value)) for value in values if value is not None)


def single_quoted(*values: Any) -> str:
    """Each in single quotes, nil left out."""
    return " ".join(f"'{text_of(value)}'" for value in values if value is not None)


def cat(*values: Any) -> str:
    """All with spaces between, nil left out."""
    return " ".join(text_of(value) for value in values if value is not None)


def sorted_texts(value: Any) -> StringList:
    """The elements as texts, sorted."""
    return StringList(sorted(casting.texts(value), key=to_bytes) if value is not None else ["<nil>"])


def _random(random: Random, letters: str, count: int) -> str:
    check_size(count)
    return "".join(random.choice(letters) for _ in range(count))


def _shuffled(random: Random, value: str) -> str:
    characters = list(value)
    random.shuffle(characters)
    return "".join(characters)


def functions(random: Random) -> Mapping[str, Function]:
    """Their table."""
    one, two = ("string",), ("string", "string")
    count = ("int", "string")
    ascii_all = "".join(map(chr, range(32, 127)))
    trim_all = Function(two, lambda cut, value: value.strip(cut) if cut else value)
    return {
        "abbrev": Function(count, words.abbrev),
        "abbrevboth": Function(("int", "int", "string"), words.abbrev_both),
        "camelcase": Function(one, words.pascal_case),
        "cat": Function((ANY,), cat, True),
        "contains": Function(two, lambda part, value: part in value),
        "hasPrefix": Function(two, lambda part, value: value.startswith(part)),
        "hasSuffix": Function(two, lambda part, value: value.endswith(part)),
        "hello": Function((), lambda: "Hello!"),
        "indent": Function(count, indent),
        "initials": Function(one, words.initials),
        "join": Function(("string", ANY), join),
        "kebabcase": Function(one, lambda value: words.separated(value, "-")),
        "lower": Function(one, str.lower),
        "nindent": Function(count, lambda spaces, value: "\n" + indent(spaces, value)),
        "nospace": Function(one, words.without_space),
        "plural": Function(("string", "string", "int"), lambda one, many, n: one if n == 1 else many),
        "quote": Function((ANY,), quoted, True),
        "randAlpha": Function(("int",), lambda n: _random(random, _LETTERS, n)),
        "randAlphaNum": Function(("int",), lambda n: _random(random, _LETTERS + _DIGITS, n)),
        "randAscii": Function(("int",), lambda n: _random(random, ascii_all, n)),
        "randNumeric": Function(("int",), lambda n: _random(random, _DIGITS, n)),
        "repeat": Function(count, repeat),
        "replace": Function(("string", "string", "string"), replace),
        "shuffle": Function(one, lambda value: _shuffled(random, value)),
        "snakecase": Function(one, lambda value: words.separated(value, "_")),
        "sortAlpha": Function((ANY,), sorted_texts),
        "split": Function(two, lambda separator, value: _numbered(split(separator, value))),
        "splitList": Function(two, lambda separator, value: StringList(split(separator, value))),
        "splitn": Function(
            ("string", "int", "string"), lambda separator, n, value: _numbered(split(separator, value, n))
        ),
        "squote": Function((ANY,), single_quoted, True),
        "substr": Function(("int", "int", "string"), substr),
        "swapcase": Function(one, words.swap_case),
        "title": Function(one, words.title),
        "toString": Function((ANY,), casting.text),
        "toStrings": Function((ANY,), lambda value: StringList(casting.texts(value))),
        "trim": Function(one, lambda value: value.strip(casting.SPACE)),
        "trimAll": trim_all,
        "trimall": trim_all,
        "trimPrefix": Function(two, lambda part, value: value.removeprefix(part)),
        "trimSuffix": Function(two, lambda part, value: value.removesuffix(part)),
        "trunc": Function(count, trunc),
        "untitle": Function(one, words.untitle),
        "upper": Function(one, str.upper),
        "wrap": Function(count, lambda width, value: words.wrap(value, width, "\n", False)),
        "wrapWith": Function(
            ("int", "string", "string"), lambda width, mark, value: words.wrap(value, width, mark, True)
        ),
    }
