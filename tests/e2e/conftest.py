"""The running operator and the words that stories are told with.

One operator runs for the whole session, under the ServiceAccount and RBAC of ``manifests/``; each
story has a Git repository and a namespace of its own, so stories do not meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator, install
from tests.e2e.neighbours import Neighbour
from tests.e2e.story import Story

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker("e2e")
            item.add_marker("controlplane")


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """``tiphys run`` as users have it, with short intervals."""
    install(control_plane.kubectl)
    running = Operator.start(
        control_plane.kubectl,
        control_plane.bin,
        tmp_path_factory.mktemp("operator"),
        environment={"ARGOCD_SYNC_WAVE_DELAY": "0"},
    )
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def new_story(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[[], Story]]:
    """Makes stories; what they made in the cluster goes at the end."""
    made: list[Story] = []

    def make() -> Story:
        number = next(_numbers)
        story = Story(control_plane.kubectl, tmp_path / f"repository-{number}", f"story-{number}")
        made.append(story)
        return story

    yield make
    for story in made:
        story.clean_up()


@pytest.fixture
def story(operator: Operator, new_story: Callable[[], Story]) -> Story:
    """One story with the session's operator running."""
    return new_story()


@pytest.fixture(scope="module")
def neighbour(
    operator: Operator, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neighbour]:
    """A healthy Application, for tests of broken ones."""
    number = next(_numbers)
    folder = tmp_path_factory.mktemp("neighbour")
    story = Story(control_plane.kubectl, folder / "repository", f"story-{number}")
    yield Neighbour(story)
    story.clean_up()
