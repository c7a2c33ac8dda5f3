"""YAML as Go writes it: by way of JSON, keys in natural order, quotes where YAML 1.1 needs them.

The emitter is libyaml's, of which Go's is a port; what is ours is which texts a reader would take for
something else, and the order of keys.
"""

import json
import re
from typing import Any

import yaml

_DIGITS = re.compile(r"([0-9]+)")
_AMBIGUOUS = re.compile(
    r"(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|y|Y|n|N"
    r"|[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN|<<|="
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?)",
)


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _number(dumper: _Dumper, value: "_Number") -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", value.text)


class _Number:
    """A number with its own text."""

    def __init__(self, text: str) -> None:
        self.text = text


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    style = None
    if not value or _AMBIGUOUS.fullmatch(value):
        style = '"'
    elif "\n" in value:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Number, _number)


def to_yaml(text: str) -> str:
    """JSON as YAML, with a newline at the end."""
    value = json.loads(text, parse_float=_Number, object_pairs_hook=_in_order)
    return yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=False,
        allow_unicode=True,
        sort_keys=False,
        width=1 << 30,
    ).removesuffix("...\n")


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(pairs, key=lambda pair: natural(pair[0])))


def natural(key: str) -> list[tuple[int, int, str]]:
    """The order of keys: numbers inside by value, letters behind other characters."""
    parts: list[tuple[int, int, str]] = []
    for part in _DIGITS.split(key):
        if part.isdecimal():
            parts.append((1, int(part), ""))
        else:
            parts.extend((2 if char.isalpha() else 0, 0, char) for char in part)
    return parts
