"""manifest-generate-paths."""

import pytest

from tiphys.sources.paths import is_affected, refresh_paths


# sources.md 15
@pytest.mark.parametrize(
    ("annotation", "source", "expected"),
    [
        (".", "apps/a", ("apps/a",)),
        (" . ; ;/shared ", "apps/a", ("apps/a", "shared")),
        ("../base", "apps/a", ("apps/base",)),
        ("", "apps/a", ()),
        (";;", "apps/a", ()),
        ("/", "apps/a", ("",)),
        (".", "", ("",)),
        ("/charts/*.yaml", "a", ("charts/*.yaml",)),
        ("../../../../x", "a", ("x",)),
    ],
)
def test_entries(annotation: str, source: str, expected: tuple[str, ...]) -> None:
    assert refresh_paths(annotation, source) == expected


@pytest.mark.parametrize(
    ("entries", "changed", "expected"),
    [
        ((), ["x"], True),
        (("a",), ["a/b/c.yaml"], True),
        (("a",), ["ab/c.yaml"], False),
        (("a/x.yaml",), ["a/x.yaml"], True),
        (("",), ["anything"], True),
        (("a/*.yaml",), ["a/x.yaml"], True),
        (("a/*.yaml",), ["a/b/x.yaml"], False),
        (("a/*/x.yaml",), ["a/b/x.yaml"], True),
        (("a/[a-c]?.yaml",), ["a/bz.yaml"], True),
        (("a/[^a-c]?.yaml",), ["a/bz.yaml"], False),
        (("a/[z-a].yaml",), ["a/b.yaml"], False),
        (("a/[",), ["a/x"], False),
        (("a/\\*.yaml",), ["a/*.yaml"], True),
        (("a",), [], False),
        (("b", "c"), ["a/x", "c/y"], True),
    ],
)
def test_affected(entries: tuple[str, ...], changed: list[str], expected: bool) -> None:
    assert is_affected(entries, changed) is expected


def test_webhook_without_files_counts_as_change() -> None:
    assert is_affected(("a",), [], when_empty=True)
