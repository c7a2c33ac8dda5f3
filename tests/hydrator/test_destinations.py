"""Who is hydrated to the same place (sources.md 21.3 step 2)."""

from typing import Any

import msgspec
import pytest

from tests.hydrator.building import application, plain
from tiphys.hydrator.destinations import Destinations, place_of, rivals


@pytest.mark.parametrize(
    ("parts", "same"),
    [
        pytest.param({}, True, id="same"),
        pytest.param({"dry": {"targetRevision": "next", "path": "q"}}, True, id="another dry revision"),
        pytest.param(
            {"dry": {"repoURL": "https://git.example/b"}, "sync": {"repoURL": "https://GIT.example/dry"}},
            True,
            id="another dry repository",
        ),
        pytest.param({"sync": {"path": "./apps//x/../a/"}}, True, id="another spelling"),
        pytest.param({"sync": {"targetBranch": "x"}, "hydrate_to": "env/dev"}, True, id="hydrateTo"),
        pytest.param({"hydrate_to": "env/dev-next"}, False, id="another branch"),
        pytest.param({"sync": {"path": "apps/a/b"}}, False, id="a path below"),
        pytest.param({"sync": {"repoURL": "https://git.example/wet"}}, False, id="another repository"),
        pytest.param({"deleting": True}, False, id="being deleted"),
    ],
)
def test_places(parts: dict[str, Any], same: bool) -> None:
    one, other = application("one"), application("other", **parts)
    assert (place_of(one) == place_of(other)) is same
    known = Destinations()
    known.moved(None, one)
    known.moved(None, other)
    assert known.beside([one]) == ([other.key] if same else [])


def test_who_is_left_behind() -> None:
    known = Destinations()
    one, two, three = (application(name, dry={"targetRevision": name}) for name in ("one", "two", "three"))
    for app in (one, two, three):
        assert known.moved(None, app) == frozenset()
    assert known.beside([two]) == [one.key, three.key]
    assert known.moved(two, application("two", annotations={"hydrate": "normal"})) == frozenset()
    elsewhere = application("two", sync={"path": "elsewhere"})
    assert known.moved(two, elsewhere) == {one.key, three.key}
    assert known.beside([one]) == [three.key]
    assert known.moved(one, application("one", deleting=True)) == {three.key}
    assert known.moved(application("one", deleting=True), None) == frozenset()
    assert known.moved(three, None) == frozenset()
    assert known.beside([one, three]) == []
    assert known.moved(plain(), None) == frozenset()
    assert known.moved(None, plain()) == frozenset()


@pytest.mark.parametrize(
    ("mine", "other", "counts"),
    [("a", "a", True), ("a", "b", False), ("", "default", True), ("default", "", True), ("", "b", False)],
)
def test_nobody_stops_another_project(mine: str, other: str, counts: bool) -> None:
    one, two = (
        msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, project=project))
        for app, project in ((application("one"), mine), (application("two"), other))
    )
    assert rivals([one], [two]) == ([two] if counts else [])
