"""What the pages say is true where a machine can tell: links lead somewhere, commands exist, the map of the
rooms names each room, and whatever is installed has a reason beside it and a hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.controlplane.installation import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("manifests", "benchmarks", "demo/repository")),
]
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "docs" / "architecture.md").read_text()
PROJECT = (ROOT / "pyproject.toml").read_text()
ONE_SCREEN = 60
"""Lines that a person sees at once on a large screen."""


def anchor(heading: str) -> str:
    """The anchor that Git servers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{target} of {page.name}"
        assert ROOT in place.parents, f"{target} of {page.name} leads out of the repository"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", place.read_text(), flags=re.MULTILINE)
            assert fragment in map(anchor, headings), f"{target} of {page.name}"


def test_each_page_can_be_reached_from_the_first_one() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)", README))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


def test_each_command_of_the_pages_is_one_of_make() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`(?:[A-Z]+=\S+ )?make ([a-z0-9]+)", page.read_text())) <= targets, page
    for command in ("run", "test", "lint", "unit", "e2e", "bench"):
        assert f"make {command}" in README, command


def test_what_a_submission_passes_is_what_a_person_runs() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
    assert commands[-1] == "make test"
    recipe = re.search(r"^test: (.*?) ##.*\n\t(.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert recipe is not None
    assert "lint" in recipe[1]
    assert recipe[2].endswith("-m pytest $(PYTEST)"), "all tests, none deselected"


def test_the_map_names_each_room_in_the_order_that_is_checked() -> None:
    """docs/architecture.md beside the folders and import-linter's layers (lowest first there, last here)."""
    rooms = re.findall(r"^\| `(\w+)` \|", MAP, flags=re.MULTILINE)
    code = ROOT / "operator" / "tiphys"
    assert set(rooms) == {path.parent.name for path in code.glob("*/__init__.py")}
    (contract,) = tomllib.loads(PROJECT)["tool"]["importlinter"]["contracts"]
    layers = [layer.strip("()").removeprefix("tiphys.") for layer in reversed(contract["layers"])]
    assert [layer for layer in layers if layer in rooms] == rooms


def test_the_map_fits_on_one_screen() -> None:
    assert len(MAP.splitlines()) <= ONE_SCREEN
    assert max(map(len, MAP.splitlines())) <= 250


def test_what_the_map_points_at_exists() -> None:
    code = ROOT / "operator" / "tiphys"
    for place in re.findall(r"`([a-z_]+(?:/[a-z_]+)+)/?`", MAP):
        found = [code / place, code / f"{place}.py", ROOT / place]
        found += [each for room in code.iterdir() for each in (room / place, room / f"{place}.py")]
        assert any(each.exists() for each in found), place
    for place in re.findall(r"`([a-z]+)/`", MAP):
        assert (ROOT / place).exists() or any(code.glob(f"*/{place}")), place


def test_each_dependency_says_why_it_is_here() -> None:
    for name, block in re.findall(r"^(dependencies|dev) = \[\n(.*?)^\]", PROJECT, flags=re.DOTALL | re.M):
        for line in block.splitlines():
            assert re.fullmatch(r'  "[^"]+",\s+# \S.{4,}', line), f"{name}: {line}"


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_requirements_have_hashes_and_no_addresses(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "-index" not in text
    entries = re.findall(r"^[a-zA-Z0-9][^\n]*(?:\n +[^\n]*)*", text, flags=re.MULTILINE)
    assert entries
    for entry in entries:
        assert re.match(r"[\w.\-\[\]]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
