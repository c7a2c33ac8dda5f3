"""Reads the case tables beside this file: one case a line, written from the sheets.

A heading names kinds (``group/Kind, OtherKind``) and the section that gives the rules; the lines
below it are ``object => verdict``. The object is the inside of a YAML flow map with dotted keys
(``status.phase: X, spec: {}``; ``gen: 2/1`` is the generation and the one that was observed),
with conditions in front where there are some:
``[Ready=False:Reason:text; Other=True@3]`` (``@`` observedGeneration, ``!`` severity). The verdict is
a letter and a message (quotes for spaces and ``\\n``), ``ERR`` (Unknown, the wording is ours) or
``none``; ``{kind}`` stands for the kind.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tiphys.health.bundled.engine import LETTERS
from tiphys.health.model import Health

CONDITION = re.compile(r"([^=:@!]+)(?:=([^:@!]*))?(?:@(\d+))?(?:!(\w+))?(?::([^:]*))?(?::(.*))?")


class Case(NamedTuple):
    where: str
    group: str
    kind: str
    manifest: dict[str, Any]
    expected: Health | None
    """``None``: the assessment fails."""

    def __str__(self) -> str:
        return f"{self.group}/{self.kind} {self.where}"


def read_cases(folder: Path) -> Iterator[Case]:
    for file in sorted(folder.glob("*.txt")):
        kinds: list[tuple[str, str]] = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if not line.startswith(" "):
                kinds = list(_kinds(line))
                continue
            left, arrow, right = line.strip().partition("=>")
            assert arrow, f"{file.name}:{number}"
            for group, kind in kinds:
                verdict = right.strip().replace("{kind}", kind).replace("{lower}", kind.lower())
                manifest = _manifest(group, kind, left.strip())
                yield Case(f"{file.stem}:{number}", group, kind, manifest, _verdict(verdict))


def _kinds(line: str) -> Iterator[tuple[str, str]]:
    group = ""
    for name in line.split(","):
        own, slash, kind = name.strip().rpartition("/")
        group = own if slash else group
        yield group, kind


def _manifest(group: str, kind: str, text: str) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "x"}}
    if text.startswith("["):
        inner, _, text = text[1:].partition("]")
        obj["status"] = {"conditions": [_condition(each) for each in inner.split(";") if each.strip()]}
    for path, value in yaml.safe_load("{" + text + "}").items():
        if path == "gen":
            generation, _, observed = str(value).partition("/")
            _put(obj, "metadata.generation", int(generation))
            _put(obj, "status.observedGeneration", int(observed))
        else:
            _put(obj, re.sub(r"^meta\b", "metadata", path), value)
    return obj


def _condition(text: str) -> dict[str, Any]:
    found = CONDITION.fullmatch(text.strip())
    assert found, text
    type_, status, observed, severity, reason, message = found.groups()
    condition = {
        "type": type_.strip(),
        "status": status,
        "observedGeneration": observed and int(observed),
        "severity": severity,
        "reason": reason or None,
        "message": message,
    }
    return {name: value for name, value in condition.items() if value is not None}


def _put(obj: dict[str, Any], path: str, value: Any) -> None:
    *steps, last = path.split(".")
    for step in steps:
        obj = obj.setdefault(step, {})
    obj[last] = value


def _verdict(text: str) -> Health | None:
    if text == "ERR":
        return None
    if text == "none":
        return Health()
    letter, _, message = text.partition(" ")
    message = message.strip()
    if message.startswith('"') and message.endswith('"') and len(message) > 1:
        message = message[1:-1].replace("\\n", "\n")
    return Health(LETTERS[letter], message)
