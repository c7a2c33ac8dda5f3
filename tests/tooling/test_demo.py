"""What `make run` says about applications, and the repository it makes."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.__main__ import EXPECTED
from demo.cluster import Refused, ask
from demo.repository import Repository
from demo.watching import row_of, unwell
from tests.controlplane.installation import ROOT


def application(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop"}, "status": status}


WELL = {"sync": {"status": "Synced", "revision": "0123456789"}, "health": {"status": "Healthy"}}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param({}, "no sync status, no health. nothing has looked at it yet", id="new"),
        pytest.param(
            {"sync": {"status": "OutOfSync"}, "health": {"status": "Missing"}},
            "OutOfSync, Missing",
            id="nothing deployed",
        ),
        pytest.param(
            WELL | {"operationState": {"phase": "Running", "message": "waiting for hook Job/migrate"}},
            "Synced, Healthy. operation Running: waiting for hook Job/migrate",
            id="a hook still runs",
        ),
        pytest.param(
            {
                "sync": {"status": "Unknown"},
                "conditions": [{"type": "ComparisonError", "message": "no such branch"}],
            },
            "Unknown, no health. ComparisonError: no such branch",
            id="a condition",
        ),
        pytest.param(
            {
                "sync": {"status": "Synced"},
                "health": {"status": "Degraded"},
                "resources": [
                    {"kind": "Job", "name": "a", "health": {"status": "Degraded", "message": "failed"}}
                ],
            },
            "Synced, Degraded. Job/a is Degraded: failed",
            id="a resource",
        ),
    ],
)
def test_the_reason_of_an_application_that_is_not_well(status: dict[str, Any], reason: str) -> None:
    assert unwell([row_of(application(**status))], ["shop"]) == {"shop": reason}


def test_an_application_that_is_well_and_one_that_is_not_there() -> None:
    row = row_of(application(**WELL, operationState={"phase": "Succeeded"}))
    assert row.is_well
    assert row.revision == "0123456"
    assert unwell([row], ["shop", "other"]) == {"other": "does not exist"}


def test_the_repository_is_committed_and_knows_its_address(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "demo")
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("log", "--format=%s") == "The demo\n"
    assert f'repoURL: "{repository.url}"' in (repository.folder / "apps" / "guestbook.yaml").read_text()
    assert not repository.git("grep", "-l", "REPOSITORY@", check=False)


def test_each_expected_application_is_defined() -> None:
    files = {path.stem for path in (ROOT / "demo" / "repository" / "apps").glob("*.yaml")}
    assert {"demo", *files} == set(EXPECTED)


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["y", "Yes", " yes "])
def test_a_yes_is_a_yes(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer + "\n"))
    ask("Install Tiphys on https://prod.example?")


@pytest.mark.parametrize("answer", ["", "n", "no", "yeah", "?"])
def test_anything_else_is_a_no(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer + "\n"))
    with pytest.raises(Refused, match="not agreed"):
        ask("Install Tiphys on https://prod.example?")
    assert "https://prod.example? [y/N]" in capsys.readouterr().out


def test_nobody_at_the_terminal_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(Refused, match="YES=1"):
        ask("Install Tiphys on https://prod.example?")


def test_a_terminal_that_is_closed_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    with pytest.raises(Refused, match="not agreed"):
        ask("Install Tiphys on https://prod.example?")
