"""Users' Lua health scripts: found, compiled once, run inside limits (health-and-resources.md 3).

A script comes from ``argocd-cm`` and sees objects that tenants write, so neither is trusted with
the process: each run has a memory limit and a budget of VM instructions, and the
environment (``sandbox.lua``) holds no way to files, programs or other scripts. What goes wrong is
the health of that one object: ``Unknown`` with the reason. A state that ran out of memory is
thrown away.

Where we give less than the reference: ``useOpenLibs`` opens ``string``, ``math``, ``coroutine``
and the clock part of ``os``, never ``io``, programs or the environment; ``dofile``, ``loadfile``,
``getfenv``, ``setfenv`` and compiled code do not exist; ``goto`` is a syntax error (real Lua 5.1).
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol

import msgspec
from lupa import lua51

from tiphys.health.model import CODES, UNKNOWN, Health, failed
from tiphys.resources.identity import GroupKind, Manifest
from tiphys.settings.globs import glob_matches

INSTRUCTIONS = 20_000_000
"""Budget of one run; about 0.2 s, and what the reference's engine does in its second."""

SECONDS = 1.0
"""CPU time of one run, for scripts whose instructions are dear."""

MEMORY_BYTES = 32 * 1024 * 1024
"""Most a run may take, beside the object it is about."""

_STEP = 10_000
_COLLECT_ABOVE = 8 * 1024 * 1024
_SCRIPTS_KEPT = 512


class Override(Protocol):
    """The part of ``settings.model.ResourceOverride`` that health needs."""

    @property
    def health_lua(self) -> str: ...
    @property
    def use_open_libs(self) -> bool: ...


class ScriptError(Exception):
    """A script did not compile, failed or exceeded its limits; the text is what users see."""


def find_override(kind: GroupKind, overrides: Mapping[str, Override]) -> Override | None:
    """The override whose script assesses a kind: the exact key, else the first key in sorted order
    that matches as a glob. Core kinds are matched as ``Kind``, so ``*/*`` never means them."""
    name = str(kind)
    exact = overrides.get(name)
    if exact is not None and exact.health_lua:
        return exact
    for key in sorted(overrides):
        if overrides[key].health_lua and glob_matches(key, name):
            return overrides[key]
    return None


def _no_attributes(obj: object, name: object, setting: bool) -> object:
    raise AttributeError("not available in scripts")


class _State:
    """One state of Lua with its compiled scripts.

    The memory limit holds only while a script compiles or runs: there a lack of memory is an error of
    Lua's. Anywhere else (objects put in, answers taken out, garbage collected at the limit, which a
    script may have reached and survived) it would be Lua's panic, which ends the process.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self.runtime = lua51.LuaRuntime(
            encoding="utf-8",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
            max_memory=0,  # none yet, but one can be set
        )
        self._scripts: dict[str, Any] = {}
        patterns = self.runtime.execute(_source("patterns.lua"))
        prepare = self.runtime.eval("loadstring")(_source("sandbox.lua"), "=sandbox")
        self._compile: Callable[[str], Any]
        self._run: Callable[..., Any]
        self._compile, self._run = prepare(patterns, _STEP, SECONDS)
        self.runtime.execute("python = nil; io = nil; os = nil; package = nil; require = nil")

    def run(
        self, script: str, *, open_libs: bool, obj: Manifest, params: Mapping[str, str], budget: int
    ) -> tuple[str, str]:
        """Kind (``ok``, ``nil``, ``type``, ``error``) and text of a run."""
        chunk = self._scripts.get(script)
        if chunk is None:
            compiled = self._limited(self._compile, script)
            if isinstance(compiled, tuple):
                raise ScriptError(str(compiled[1]))
            if len(self._scripts) >= _SCRIPTS_KEPT:
                self._scripts.clear()
            self._scripts[script] = chunk = compiled
        table = self.runtime.table_from
        value = table(without_nulls(obj), recursive=True)
        kind, text = self._limited(self._run, chunk, open_libs, value, table(dict(params)), budget)
        if self.runtime.get_memory_used() > _COLLECT_ABOVE:
            self.runtime.gccollect()
        return str(kind), str(text)

    def _limited(self, function: Callable[..., Any], *args: Any) -> Any:
        self.runtime.set_max_memory(self.runtime.get_memory_used() + self._memory)
        try:
            return function(*args)
        finally:
            self.runtime.set_max_memory(0)


@lru_cache(maxsize=4)
def _source(name: str) -> str:
    return (files("tiphys.health") / name).read_text(encoding="utf-8")


def without_nulls(value: Any) -> Any:
    """A decoded JSON value as scripts see it: absent instead of null, numbers as doubles."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value if item is not None]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


class LuaHost:
    """Runs scripts; keeps a state for each set of libraries. Not for several threads at once.

    Args:
        instructions: budget of one run.
        memory: bytes a run may take, beside its object.
    """

    def __init__(self, *, instructions: int = INSTRUCTIONS, memory: int = MEMORY_BYTES) -> None:
        self._instructions = instructions
        self._memory = memory
        self._states: dict[bool, _State] = {}

    def evaluate(
        self,
        script: str,
        obj: Manifest,
        *,
        open_libs: bool = False,
        params: Mapping[str, str] | None = None,
        nothing: bool = True,
    ) -> Any:
        """The decoded table a script returns (``[]`` for nothing or an empty one).

        Args:
            params: what the script sees as ``actionParams``.
            nothing: whether it may return nothing.

        Raises:
            ScriptError: it does not compile, failed, took too long or too much memory, or
                returned something else than a table.
        """
        try:
            if open_libs not in self._states:
                self._states[open_libs] = _State(self._memory)
            kind, text = self._states[open_libs].run(
                script, open_libs=open_libs, obj=obj, params=params or {}, budget=self._instructions
            )
        except lua51.LuaMemoryError:
            self._states.pop(open_libs, None)
            raise ScriptError(self._memory_text()) from None
        except (lua51.LuaError, UnicodeError) as error:
            self._states.pop(open_libs, None)
            raise ScriptError(str(error).partition("\nstack traceback:")[0]) from None
        if kind == "nil" and not nothing:
            raise ScriptError("expect table output from Lua script, not nil")
        if kind == "type":
            raise ScriptError(f"expect table output from Lua script, not {text}")
        if kind == "error":
            if text.endswith("not enough memory"):
                self._states.pop(open_libs, None)
                raise ScriptError(self._memory_text())
            if text.endswith("context deadline exceeded"):
                limits = f"{self._instructions:,} instructions or {SECONDS:g} s"
                raise ScriptError(f"{text}: the script ran for more than {limits}")
            raise ScriptError(text)
        return msgspec.json.decode(text)

    def _memory_text(self) -> str:
        return f"not enough memory: the script used more than {self._memory // (1024 * 1024)} MiB"

    def health(self, script: str, obj: Manifest, *, open_libs: bool = False) -> Health:
        """The health a script gives an object (health-and-resources.md 3.2); never raises for what
        a script does."""
        try:
            value = self.evaluate(script, obj, open_libs=open_libs)
        except ScriptError as error:
            return failed(str(error))
        if not isinstance(value, dict):
            return Health()
        fields = {"status": "", "message": ""}
        for key, item in value.items():
            if key.lower() in fields and item is not None:
                if not isinstance(item, str):
                    return Health()
                fields[key.lower()] = item
        if fields["status"] not in CODES:
            return Health(UNKNOWN, "Lua returned an invalid health status")
        return Health(fields["status"], fields["message"])
