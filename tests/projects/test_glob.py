"""Pattern dialects: applications.md 16."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.projects.glob import matches, matches_name_list, matches_negatable, matches_path


@pytest.mark.parametrize(
    ("pattern", "text", "separators", "expected"),
    [
        ("*", "", "", True),
        ("*", "a/b", "/", True),  # "A pattern equal to * always matches"
        ("a*", "a/b", "", True),
        ("a*", "a/b", "/", False),
        ("a/**", "a/b/c", "/", True),
        ("?", "a", "", True),
        ("[!a]", "b", "", True),
        ("[a-c]x", "bx", "", True),
        ("{a,b}-*", "b-1", "", True),
        (r"\*", "*", "", True),
        (r"\*", "a", "", False),
        ("", "", "", True),
        ("", "a", "", False),
        ("[", "[", "", False),
        ("A", "a", "", False),
    ],
)
def test_gobwas(pattern: str, text: str, separators: str, expected: bool) -> None:
    assert matches(pattern, text, separators) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [("!a*", "b", True), ("!a*", "ab", False), ("a*", "ab", True), ("!*", "x", False), ("![", "x", True)],
)
def test_negation(pattern: str, text: str, expected: bool) -> None:
    assert matches_negatable(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "Deployment", True),
        ("*", "", True),
        ("*", "a/b", False),
        ("**", "a/b", False),
        ("*.example.com", "a.example.com", True),
        ("a?c", "abc", True),
        ("[a-c]*", "bcd", True),
        ("[^a-c]*", "bcd", False),
        ("[^a-c]*", "xcd", True),
        ("[!a]", "!", True),  # no negation by "!" in filepath.Match
        ("[!a]", "b", False),
        (r"[\]]", "]", True),
        (r"\*", "*", True),
        ("{a,b}", "a", False),
        ("{a,b}", "{a,b}", True),
        ("[]a]", "]", False),  # malformed
        ("[", "[", False),
        ("[a", "a", False),
        ("[-]", "-", False),
        ("[a-]", "a", False),
        ("a\\", "a\\", False),
        ("[c-a]", "b", False),
        ("[^c-a]", "b", True),
        ("!Secret", "ConfigMap", False),
        ("", "", True),
    ],
)
def test_filepath_match(pattern: str, text: str, expected: bool) -> None:
    assert matches_path(pattern, text) is expected


HOSTILE = ["*a" * 40 + "b", "{a*,*a}" * 20 + "b", "?*" * 40 + "b", "[a-z]*" * 40 + "B"]


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("separators", ["", "/"])
def test_no_glob_takes_for_ever(pattern: str, separators: str) -> None:
    assert not matches(pattern, "a" * 250, separators)


def test_no_path_pattern_takes_for_ever() -> None:
    assert not matches_path("*a" * 40 + "b", "a" * 250)
    assert not matches_path("[^b]*?" * 40 + "b", "a" * 250)


@given(st.text(), st.text())
def test_no_pattern_breaks_anything(pattern: str, text: str) -> None:
    matches_path(pattern, text)
    matches(pattern, text, "/")


@pytest.mark.parametrize(
    ("patterns", "text", "expected"),
    [
        (["team-*"], "team-a", True),
        (["/^team-[ab]$/"], "team-b", True),
        (["/^team-[ab]$/"], "team-c", False),
        (["/team/"], "a-team-b", True),
        (["/[/"], "x", False),
        (["/^a$/"], "a\n", False),  # Go: the end of the text, not of its last line
        (["/(?i)^TEAM$/"], "team", True),
        (["/^(?!x)/"], "y", False),  # no RE2
        (["/(a)\\1/"], "aa", False),
        (["/^(a+)+$/"], "a" * 250 + "b", False),  # seconds, years in an engine that goes back
        (["/^(a|a?)+$/"], "a" * 250 + "b", False),
        (["/(.*a){20}b/"], "a" * 250, False),
        ([], "x", False),
    ],
)
def test_name_lists(patterns: list[str], text: str, expected: bool) -> None:
    assert matches_name_list(patterns, text) is expected
