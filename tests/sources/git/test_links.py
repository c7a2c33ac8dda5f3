"""Symbolic links that lead out of the repository."""

import pytest

from tiphys.sources.errors import OutOfBoundsSymlink
from tiphys.sources.git.links import check_links, find_out_of_bounds, resolve_link


# sources.md 3
@pytest.mark.parametrize(
    ("links", "culprit"),
    [
        ({}, None),
        ({"a": "b"}, None),
        ({"x/a": "../b"}, None),
        ({"x/a": "../../b"}, "x/a"),
        ({"a": "/etc/passwd"}, "a"),
        ({"a": ".."}, "a"),
        ({"a": "."}, None),
        ({"x/a": "../../repo/b"}, "x/a"),  # leaves even if it comes back
        ({"a": "b/../../c"}, "a"),
        ({"x/y/a": "../../../c", "b": "/x"}, "b"),  # the first in order of paths
        ({"p/q/s": "../..", "p/q/l": "s/../.."}, "p/q/l"),  # inside as text, outside for the system
        ({"a": "a"}, None),  # a circle leads nowhere
        ({"a": "b", "b": "a"}, None),
        ({"dangling": "nowhere/at/all"}, None),
    ],
)
def test_out_of_bounds(links: dict[str, str], culprit: str | None) -> None:
    assert find_out_of_bounds(links) == culprit


def test_text_of_the_reference() -> None:
    with pytest.raises(OutOfBoundsSymlink, match=r"^repository contains out-of-bounds symlinks\. file: x/a$"):
        check_links({"x/a": "/etc"})
    with pytest.raises(OutOfBoundsSymlink, match=r"^chart contains"):
        check_links({"x/a": "/etc"}, "chart")


def test_a_bomb_of_links_ends() -> None:
    links = {f"l{level}": f"l{level + 1}/../l{level + 1}" for level in range(60)} | {"l60": "directory"}
    assert find_out_of_bounds(links) is None
    assert resolve_link("l0", links) is None


def test_where_a_path_lies() -> None:
    links = {"env/prod/base": "../../base", "current": "env/prod"}
    assert resolve_link("current/base/cm.yaml", links) == "base/cm.yaml"
    assert resolve_link("current/../../..", links) is None
