"""Built-in actions: the table ``builtin.yaml`` and its interpreter.

A kind's actions are compiled when they are first asked for. ``offered`` says what an object can be
asked to do now, ``find`` gives an action whether it is offered or not, as the reference does not
look again before it runs one.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec
import yaml

from tiphys.health.actions.creating import EFFECTS
from tiphys.health.actions.editing import path_of, with_value, without_value
from tiphys.health.actions.model import (
    EXECUTING,
    PATCH,
    ActionError,
    ActionParam,
    Call,
    Impacted,
    ResourceAction,
)
from tiphys.health.bundled.engine import compile_expression
from tiphys.health.bundled.vocabulary import Unreadable, number_or_none
from tiphys.resources.identity import GroupKind, Manifest

_NAMES = ("params", "now", "second")
_EVALUATION = (Unreadable, TypeError, ValueError, AttributeError, KeyError, IndexError)

Step = Callable[[Manifest, Call], Manifest]


class BuiltinAction(msgspec.Struct, frozen=True):
    """One compiled entry of the table."""

    name: str
    icon: str
    params: tuple[ActionParam, ...]
    display: Callable[[Manifest], str]
    listed: Callable[[Manifest], bool]
    disabled: Callable[[Manifest], bool]
    execute: Callable[[Manifest, Call], tuple[Impacted, ...]] | None

    def describe(self, obj: Manifest) -> ResourceAction:
        return ResourceAction(self.name, self.params, self.disabled(obj), self.icon, self.display(obj))

    def run(self, obj: Manifest, call: Call) -> tuple[Impacted, ...]:
        """What the action impacts.

        Raises:
            ActionError: it cannot be run with this object and these parameters.
        """
        assert self.execute is not None
        try:
            return self.execute(obj, call)
        except _EVALUATION as error:
            raise ActionError(EXECUTING, f"the object lacks what the action needs: {error}") from None


def offered(kind: GroupKind, obj: Manifest) -> list[ResourceAction]:
    """The built-in actions of an object, disabled ones included.

    Raises:
        ActionError: the object cannot be read.
    """
    try:
        return [action.describe(obj) for action in _actions(kind).values() if action.listed(obj)]
    except _EVALUATION as error:
        raise ActionError(EXECUTING, f"the object lacks what its actions need: {error}") from None


def find(kind: GroupKind, name: str) -> BuiltinAction | None:
    """A built-in action that can be run."""
    action = _actions(kind).get(name)
    return action if action is not None and action.execute is not None else None


def kinds() -> Mapping[GroupKind, tuple[str, ...]]:
    """Every kind with built-in actions and their names."""
    return {kind: tuple(entry) for kind, entry in _table().items()}


def number(value: Any) -> int | float | None:
    """A text as Lua's ``tonumber`` reads it; whole numbers as such."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if not re.fullmatch(r"[+-]?(\d+|(\d+\.\d*|\.\d+)([eE][+-]?\d+)?)", text):
        return None
    found = float(text)
    return int(found) if found.is_integer() else found


def _new(observed: Any, generation: Any) -> bool:
    """Whether a Rollout's controller is newer than v0.9, which wrote no generation it observed."""
    found = number_or_none(observed)
    return found is not None and found <= generation


_FUNCTIONS: Mapping[str, Any] = {"number": number, "new": _new}
"""Words beside those of the rules."""


@lru_cache(maxsize=1)
def _table() -> Mapping[GroupKind, Mapping[str, Any]]:
    text = (files("tiphys.health.actions") / "builtin.yaml").read_text(encoding="utf-8")
    found: dict[GroupKind, Mapping[str, Any]] = {}
    for names, entry in yaml.safe_load(text).items():
        group = ""
        for name in (part.strip() for part in names.split(",")):
            own, slash, kind = name.rpartition("/")
            group = own if slash else group
            found[GroupKind(group, kind)] = entry
    return found


@lru_cache(maxsize=256)
def _actions(kind: GroupKind) -> Mapping[str, BuiltinAction]:
    return {name: _compiled(name, entry) for name, entry in _table().get(kind, {}).items()}


def _compiled(name: str, entry: Mapping[str, Any]) -> BuiltinAction:
    icon = entry.get("icon", "")
    display = entry.get("display", "")
    return BuiltinAction(
        name,
        icon if " " in icon or not icon else f"fa fa-fw fa-{icon}",
        tuple(ActionParam(param) for param in entry.get("params", ())),
        compile_expression(display.removeprefix("= ") if display.startswith("= ") else repr(display)),
        compile_expression(entry.get("listed", "True")),
        compile_expression(entry.get("disabled", "False"), words=_FUNCTIONS),
        _steps(entry["do"]) if "do" in entry else None,
    )


def _steps(lines: list[str]) -> Callable[[Manifest, Call], tuple[Impacted, ...]]:
    if lines[0].startswith("effect "):
        return EFFECTS[lines[0].removeprefix("effect ")]
    steps = [_step(line) for line in lines]

    def execute(obj: Manifest, call: Call) -> tuple[Impacted, ...]:
        changed = obj
        for step in steps:
            changed = step(changed, call)
        return (Impacted(PATCH, changed),)

    return execute


def _step(line: str) -> Step:
    word, _, rest = line.partition(" ")
    match word:
        case "when":
            condition, _, inner = rest.partition(" then ")
            holds, step = _expression(condition), _step(inner)
            return lambda obj, call: step(obj, call) if holds(obj, call) else obj
        case "set":
            target, _, text = rest.partition(" = ")
            path, value = path_of(target), _expression(text)
            return lambda obj, call: with_value(obj, path, value(obj, call))
        case "remove":
            path = path_of(rest)
            return lambda obj, _call: without_value(obj, path)
        case "need":
            condition, _, text = rest.partition(" else ")
            holds = _expression(condition)

            def need(obj: Manifest, call: Call) -> Manifest:
                if holds(obj, call):
                    return obj
                raise ActionError(EXECUTING, _filled(text, call))

            return need
    raise ValueError(f"unknown step {line!r}")


def _expression(text: str) -> Callable[[Manifest, Call], Any]:
    compiled = compile_expression(text, names=_NAMES, words=_FUNCTIONS)

    def evaluate(obj: Manifest, call: Call) -> Any:
        second = f"{call.now.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
        return compiled(obj, dict(call.params), second + "Z", second)

    return evaluate


def _filled(text: str, call: Call) -> str:
    return re.sub(r"\{params\.(\w+)\}", lambda found: call.params.get(found[1], "nil"), text)
