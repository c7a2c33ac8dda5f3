"""Symbolic links that lead out of the repository."""

import errno
import os
import tempfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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


PARTS = st.sampled_from(["a", "b", "c", "..", "."])
PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)


def is_loop(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


@given(st.dictionaries(PATHS, TARGETS, max_size=5))
@example({"a": ".", "c": "a", "b": "a/b/../.."})
def test_what_passes_stays_inside_for_the_operating_system(wanted: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.realpath(os.path.join(folder, "outer", "root"))
        links = {}
        for path, target in wanted.items():
            try:
                # as in a tree: a link has nothing below it, and no parent that is a link
                parent = os.path.dirname(os.path.join(root, path))
                os.makedirs(parent, exist_ok=True)
                if os.path.realpath(parent) == parent:
                    os.symlink(target, os.path.join(root, path))
                    links[path] = target
            except OSError:
                continue
        if find_out_of_bounds(links) is None:
            for path in links:
                if is_loop(os.path.join(root, path)):
                    continue  # leads nowhere; realpath() would read on behind it as if it did
                real = os.path.realpath(os.path.join(root, path))
                assert real == root or real.startswith(root + "/")
