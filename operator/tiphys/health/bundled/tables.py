"""The tables of rules: where they stand, and which one a kind has.

``rules/*.yaml`` holds blocks of lines (``engine.py`` tells the language) by ``group/Kind``. One
key may name several kinds (``a.io/X, Y``) and may be a pattern, where ``*`` stands for a run of
characters in the group or for any kind; patterns are tried in the order in which the reference
sorts its directories, and only for kinds without rules of their own. A block takes in a template
of its file with ``include NAME a | b``; ``$1``, ``$2`` in the template are a and b.

Tables are read at the first look-up, a block is compiled when the first object of its kind comes,
and what is known of a kind is kept, so a kind without rules costs one look-up in a dictionary.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

from tiphys.health.bundled.engine import Check, RuleError, compile_check, lines_of
from tiphys.health.model import Health
from tiphys.resources.identity import GroupKind, Manifest, gvk_of

_KINDS_KEPT = 4096
_INCLUDE = "include "


def rules(kind: GroupKind) -> tuple[str, ...] | None:
    """The lines that assess a kind, ``None`` when the bundled tables have none for it."""
    name = _entry(kind)
    return _blocks()[name] if name else None


def kinds() -> tuple[str, ...]:
    """Every entry of the tables: ``group/Kind``, or a pattern of them."""
    return tuple(_blocks())


def find_check(kind: GroupKind) -> Check | None:
    """The check of a kind, ``None`` when the bundled tables have none for it."""
    try:
        return _checks[kind]
    except KeyError:
        pass
    name = _entry(kind)
    check = None if name is None else _compiled(name)
    if len(_checks) >= _KINDS_KEPT:
        _checks.clear()
    _checks[kind] = check
    return check


def bundled(manifest: Manifest) -> Health | None:
    """What the bundled rules say of an object, ``None`` when there are none for its kind."""
    check = find_check(gvk_of(manifest).group_kind)
    return None if check is None else check(manifest)


_checks: dict[GroupKind, Check | None] = {}
"""What is known of kinds: a cache of the constant tables."""


def _entry(kind: GroupKind) -> str | None:
    name = str(kind)
    if name in _blocks():
        return name
    return next((key for key, pattern in _patterns() if pattern.fullmatch(name)), None)


@cache
def _compiled(name: str) -> Check:
    return compile_check(name, _blocks()[name])


@lru_cache(maxsize=1)
def _blocks() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    folder = files("tiphys.health.bundled") / "rules"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            for name, lines in read_table(file.name, file.read_text(encoding="utf-8")):
                if name in found:
                    raise RuleError(f"{file.name}: {name} has rules already")
                found[name] = lines
    return found


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Entries with wildcards, in the order of the reference's directories (``_`` for ``*``)."""
    names = sorted((name for name in _blocks() if "*" in name), key=lambda name: name.replace("*", "_"))
    return tuple((name, re.compile(re.escape(name).replace(r"\*", "[^/]*"))) for name in names)


def read_table(where: str, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Entries of one file: ``group/Kind`` and lines.

    Raises:
        RuleError: an unknown template.
    """
    table: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    templates: dict[str, str] = table.get("templates") or {}
    for names, block in table["checks"].items():
        group = ""
        for name in (part.strip() for part in names.split(",")):
            own_group, slash, kind = name.rpartition("/")
            group = own_group if slash else group
            yield f"{group}/{kind}", tuple(_expanded(where, lines_of(block), templates))


def _expanded(where: str, lines: list[str], templates: Mapping[str, str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith(_INCLUDE):
            yield line
            continue
        name, _, rest = line.removeprefix(_INCLUDE).partition(" ")
        if name not in templates:
            raise RuleError(f"{where}: no template {name!r}")
        arguments = [argument.strip() for argument in rest.split(" | ")]
        filled = templates[name]
        for number, argument in enumerate(arguments, 1):
            filled = filled.replace(f"${number}", argument)
        yield from _expanded(where, lines_of(filled), templates)
