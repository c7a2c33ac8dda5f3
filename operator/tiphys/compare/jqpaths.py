"""jq path expressions of ignore rules: ``del(<expression>)`` on an object, with a time limit.

jq is a whole language: an expression can loop for ever, multiply its own results or read the
environment, and its author may be a tenant. Expressions made of nothing but paths, ``select`` and
comparisons with fixed texts (nearly all of them) cannot, and run here, in microseconds. Anything
else runs in a worker process that is killed when it is late (sync.md 5.1: one second). An expression
that was late three times is left out from then on, unless it is given more time: it costs every
comparison a second and never answers.
"""

import os
import re
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache
from typing import Any

import jq
import orjson

from tiphys.resources.identity import Manifest

DEFAULT_TIMEOUT = 1.0
_START_TIMEOUT = 20.0
_MOST_LATE = 3
_LONGEST = 1000
"""Characters of an expression that runs here."""
_MOST_ITERATIONS = 4
_MOST_BRANCHES = 4
"""Commas and alternatives: each may double the results of what stands before it."""
_TEXT = r"""\"(?:[^"\\]|\\["\\/bfnrtu])*\""""
_TOKEN = re.compile(
    rf"""\s+
    | (?P<iteration>\[\s*\])
    | \[\s*(?:{_TEXT}|-?\d+|-?\d*\s*:\s*-?\d*)\s*\]
    | (?:startswith|endswith|contains|has|ltrimstr|rtrimstr)\s*\(\s*
        (?:{_TEXT}|\[\s*{_TEXT}\s*\]|\d+)\s*\)
    | {_TEXT} | \.[A-Za-z_]\w* | \.(?!\.) | -?\d+(?:\.\d+)? | \? (?!//)
    | (?P<branch>//|,) | (?P<open>\() | (?P<close>\)) | \|
    | (?P<operator>==|!=|<=|>=|<|>|(?:and|or)\b)
    | (?:not|select|any|all|length|type|keys|true|false|null|ascii_downcase|ascii_upcase|first|last
        |tostring|tonumber)\b""",
    re.VERBOSE | re.ASCII,
)


class JqError(Exception):
    """An expression did not yield exactly one object; the texts are those of sync.md 5.1."""


def is_harmless(expression: str) -> bool:
    """Whether an expression has only parts that end quickly and see nothing but the document.

    Results multiply where two iterations meet in a condition or follow one: of the iterations in
    parentheses there may be one, and none may come after it.
    """
    if len(expression) > _LONGEST:
        return False
    at, depth, iterations, branches = 0, 0, 0, 0
    conditional = False  # an iteration stood in parentheses
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            return False
        at = match.end()
        match match.lastgroup:
            case "iteration":
                if conditional:
                    return False
                iterations += 1
                conditional = depth > 0
            case "branch":
                branches += 1
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "operator" if depth == 0:
                return False
    return iterations <= _MOST_ITERATIONS and branches <= _MOST_BRANCHES


_PLAIN = re.compile(r"""(?:\.([A-Za-z_]\w*)|\.?\["([^"\\]*)"\]|\."([^"\\]*)")""", re.ASCII)


def plain_path(expression: str) -> tuple[str, ...] | None:
    """The field names of ``.a.b["c"]``, by far the most common form; ``None`` for any other."""
    names: list[str] = []
    at = 0
    text = expression.strip()
    while at < len(text):
        match = _PLAIN.match(text, at)
        if match is None or (not names and text[at] == "["):
            return None
        names.append(next(name for name in match.groups() if name is not None))
        at = match.end()
    return tuple(names) or None


def _without(document: Any, names: tuple[str, ...], at: int) -> Any:
    """``del(.a.b)``: a copy where something goes, the same value where there is nothing."""
    if document is None:
        return document
    if not isinstance(document, dict):
        kind = _KINDS.get(type(document), "number")
        raise JqError(f'JQ patch returned error: Cannot index {kind} with "{names[at]}"')
    name = names[at]
    if name not in document:
        return document
    if at + 1 == len(names):
        return {key: value for key, value in document.items() if key != name}
    inner = _without(document[name], names, at + 1)
    return document if inner is document[name] else {**document, name: inner}


_KINDS = {str: "string", bool: "boolean", list: "array"}


class JqPath:
    """One compiled expression.

    Raises:
        ValueError: it is no jq; the text is jq's.
    """

    def __init__(self, expression: str):
        self.expression = expression
        self.program = f"del({expression})"
        self._compiled = jq.compile(self.program)
        self._harmless = is_harmless(expression)
        self._plain = plain_path(expression)
        self._late = 0
        self._late_within = 0.0

    @property
    def may_wait(self) -> bool:
        """Whether it is evaluated in another process, which may take as long as its time limit."""
        return self._plain is None and not self._harmless

    def delete_from(self, document: Manifest, timeout: float = DEFAULT_TIMEOUT) -> Manifest:
        """The document without what the expression names.

        Raises:
            JqError: the expression fails on this document, or is late.
        """
        if self._plain is not None:
            # No conversion to jq's values and back: a twentieth of the cost.
            found: Manifest = _without(document, self._plain, 0)
            return found
        if self._harmless:
            try:
                results = self._compiled.input_value(document).all()
            except ValueError as error:
                raise JqError(f"JQ patch returned error: {error}") from error
        else:
            if self._late >= _MOST_LATE and timeout <= self._late_within:
                raise JqError(f"JQ patch execution timed out ({timeout:g}s) {self._late} times: left out")
            try:
                results = _worker().run(self.program, document, timeout)
            except TimeoutError as error:
                self._late = self._late + 1 if timeout <= self._late_within else 1
                self._late_within = max(self._late_within, timeout)
                raise JqError(f"JQ patch execution timed out ({timeout:g}s)") from error
        if len(results) > 1:
            raise JqError("JQ patch returned multiple objects")
        if not results:
            raise JqError("JQ patch did not return any data")
        if not isinstance(results[0], dict):
            raise JqError("JQ patch did not return an object")
        return results[0]


@lru_cache(maxsize=1024)
def compile_path(expression: str) -> JqPath:
    """The compiled form of an expression, made once.

    Raises:
        ValueError: as :class:`JqPath`.
    """
    return JqPath(expression)


class JqWorker:
    """The other end of ``jqworker``; starts the process when it is needed and after it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self, program: str, document: Any, timeout: float) -> list[Any]:
        """Results of a program (two at most).

        Raises:
            TimeoutError: no answer in ``timeout`` seconds.
            JqError: the program failed.
        """
        body = orjson.dumps({"program": program, "document": document}) + b"\n"
        with self._lock:
            process = self._started()
            try:
                answer = orjson.loads(_exchange(process, body, timeout))
            except (TimeoutError, OSError, orjson.JSONDecodeError) as error:
                self._stop()
                if isinstance(error, TimeoutError):
                    raise
                raise JqError("JQ patch returned error: it ended its process") from error
        if "error" in answer:
            raise JqError(f"JQ patch returned error: {answer['error']}")
        results: list[Any] = answer["results"]
        return results

    def _started(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "tiphys.compare.jqworker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            )
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
            # starting the interpreter is not the expression's time
            _exchange(process, orjson.dumps({"program": ".", "document": {}}) + b"\n", _START_TIMEOUT)
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        pass
            process.wait()


def _exchange(process: subprocess.Popen[bytes], request: bytes, timeout: float) -> bytes:
    """Write one line, read one line."""
    assert process.stdin is not None
    assert process.stdout is not None
    writing, reading = process.stdin.fileno(), process.stdout.fileno()
    until = time.monotonic() + timeout
    waiting = memoryview(request)
    answer = bytearray()
    while not answer.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        readable, writable, _ = select.select([reading], [writing] if waiting else [], [], left)
        if writable:
            waiting = waiting[os.write(writing, waiting) :]
        if readable:
            part = os.read(reading, 1 << 16)
            if not part:
                raise BrokenPipeError
            answer += part
    return bytes(answer)


@lru_cache(maxsize=1)
def _worker() -> JqWorker:
    return JqWorker()
