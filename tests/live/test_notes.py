"""Answers to own writes wait for each other a moment, and for nobody who looks."""

import asyncio
from typing import Any

import pytest

from tiphys.live import notes
from tiphys.live.notes import MOST, Notes
from tiphys.resources.identity import Manifest


def answer(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}}


class Taken(list[str]):
    """Names as they are taken in; ``bad`` cannot be read."""

    def __call__(self, manifest: dict[str, Any]) -> None:
        if manifest["metadata"]["name"] == "bad":
            raise ValueError("bad")
        self.append(manifest["metadata"]["name"])


async def test_they_are_taken_in_together_and_in_order() -> None:
    taken = Taken()
    noted = Notes(taken)
    for name in ("a", "b", "c"):
        noted.add(answer(name))
    assert taken == []
    noted.settle()
    assert taken == ["a", "b", "c"]
    noted.settle()
    assert taken == ["a", "b", "c"]


async def test_they_are_taken_in_though_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "SECONDS", 0.001)
    done = asyncio.Event()
    taken: list[Manifest] = []

    def take(manifest: Manifest) -> None:
        taken.append(manifest)
        if len(taken) == 2:
            done.set()

    noted = Notes(take)
    noted.add(answer("a"))
    noted.add(answer("b"))
    async with asyncio.timeout(30):
        await done.wait()
        done.clear()
        taken.clear()
        noted.add(answer("c"))  # the next ones have a time of their own
        noted.add(answer("d"))
        await done.wait()


async def test_many_do_not_pile_up() -> None:
    taken = Taken()
    noted = Notes(taken)
    for number in range(MOST + 1):
        noted.add(answer(str(number)))
    assert len(taken) == MOST


async def test_one_that_cannot_be_read_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    noted = Notes(taken)
    for name in ("a", "bad", "b"):
        noted.add(answer(name))
    noted.settle()
    assert taken == ["a", "b"]
    assert "the answer to a write could not be read" in caplog.text
