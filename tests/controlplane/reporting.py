"""Telling people what a long step does: what, how far, how long the first time.

On a terminal one line is rewritten; elsewhere (CI, a pipe) a plain line is printed at the start,
every fifteen seconds and at the end. The same reporter serves building, ``make run`` and the
benchmarks, so that all of them look alike.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

QUIET_SECONDS = 15.0


class Step:
    """One running step; ``update`` may be called as often as one likes."""

    def __init__(self, reporter: Reporter, what: str) -> None:
        self._reporter = reporter
        self._what = what
        self._started = time.monotonic()
        self._shown = self._started
        self.outcome = ("✓", "")

    def skip(self, why: str) -> None:
        """The step came to nothing, and that is no failure: another way follows."""
        self.outcome = ("–", why)

    def update(self, detail: str) -> None:
        """Say how far the step is, for example ``1,200 of 2,400 packages``."""
        now = time.monotonic()
        pause = 0.1 if self._reporter.is_terminal else QUIET_SECONDS
        if now - self._shown >= pause:
            self._shown = now
            self._reporter.show(f"  … {self._what}: {detail} ({now - self._started:.0f} s)", final=False)

    def finish(self, mark: str, detail: str) -> None:
        seconds = time.monotonic() - self._started
        tail = f": {detail}" if detail else ""
        self._reporter.show(f"  {mark} {self._what}{tail} ({seconds:.1f} s)", final=True)


class Reporter:
    """Writes steps to a stream (standard error by default)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.is_terminal = self._stream.isatty()

    def say(self, text: str) -> None:
        self.show(text, final=True)

    @contextmanager
    def step(self, what: str, expectation: str = "") -> Iterator[Step]:
        """Announce a step, run the block, and say how long it took or that it failed."""
        step = Step(self, what)
        self.show(f"  … {what}{f' ({expectation})' if expectation else ''}", final=False)
        try:
            yield step
        except BaseException:
            step.finish("✗", "failed")
            raise
        step.finish(*step.outcome)

    def show(self, text: str, *, final: bool) -> None:
        if self.is_terminal:
            width = shutil.get_terminal_size().columns
            self._stream.write("\r\033[K" + text[: width - 1] + ("\n" if final else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
