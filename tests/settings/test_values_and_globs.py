"""Spellings of values (operations.md 1.7), globs (applications.md 16), references (operations.md 1.4)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.settings import values
from tiphys.settings.globs import GlobError, compile_glob, glob_matches
from tiphys.settings.references import References
from tiphys.settings.secrecy import Quiet

DURATIONS = [
    ("90s", 90.0),
    ("1h30m", 5400.0),
    ("1d12h", 129600.0),
    ("1.5h", 5400.0),
    ("250ms", 0.25),
    ("10us", 1e-5),
    ("0", 0.0),
    ("-5s", -5.0),
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations(text: str, seconds: float) -> None:
    assert values.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "5x", "s", "1h 5m", "five", "1m5"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError):
        values.duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10M", 10**7),
        ("1Gi", 2**30),
        ("512", 512),
        ("1k", 1000),
        ("1.5Ki", 1536),
        ("2Ti", 2 * 2**40),
        ("", 0),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert values.size(text) == size


GLOBS = [
    ("*", "a/b.c", "", True),
    ("a*", "abc", "", True),
    ("a*", "a/b", "/", False),
    ("a/**", "a/b/c", "/", True),
    ("a?c", "abc", "", True),
    ("a?c", "a/c", "/", False),
    ("[ab]c", "bc", "", True),
    ("[!ab]c", "bc", "", False),
    ("[a-c]x", "bx", "", True),
    ("{foo,ba*}", "bar", "", True),
    ("{foo,ba*}", "qux", "", False),
    ("{a,{b,c}}", "c", "", True),
    (r"a\*", "a*", "", True),
    (r"a\*", "ab", "", False),
    ("a.c", "abc", "", False),
    ("a,b", "a,b", "", True),
    ("[", "[", "", False),
    ("{a", "{a", "", False),
    ("", "", "", True),
    ("", "a", "", False),
    ("*.example.com", "x.example.com", "", True),
    ("a*\n", "a\n\n", "", True),
]


@pytest.mark.parametrize(("pattern", "text", "separators", "matches"), GLOBS)
def test_globs(pattern: str, text: str, separators: str, matches: bool) -> None:  # applications.md 16
    assert glob_matches(pattern, text, separators) is matches


def test_a_broken_glob_says_why() -> None:
    with pytest.raises(GlobError, match="not closed"):
        compile_glob("{a")


@given(st.text())
def test_an_escaped_text_matches_itself_only(text: str) -> None:
    pattern = re.sub(r"([*?\[\]{}\\,!])", r"\\\1", text)
    assert glob_matches(pattern, text)
    assert not glob_matches(pattern, text + "x")


@given(st.text(), st.text())
def test_any_pattern_is_safe(pattern: str, text: str) -> None:
    assert glob_matches(pattern, text) in (True, False)


REFERENCES = References(
    Quiet({"key": " value\n", "empty": "", "with:colon": "x"}), Quiet({"other": {"k": "v"}})
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$key", "value"),
        ("$other:k", "v"),
        ("$other:none", "$other:none"),
        ("$missing", "$missing"),
        ("$unlabelled:k", "$unlabelled:k"),
        ("x$key", "x$key"),
        ("$empty", ""),
        ("plain", "plain"),
        ("$", "$"),
    ],
)
def test_references(text: str, value: str) -> None:  # operations.md 1.4
    assert REFERENCES.resolve(text) == value


def test_references_in_trees() -> None:
    tree = {"a": ["$key", {"b": "$other:k"}], "c": 3, "$key": "$no"}
    assert REFERENCES.resolve_all(tree) == {"a": ["value", {"b": "v"}], "c": 3, "$key": "$no"}
    assert list(REFERENCES.unresolved(tree)) == ["$no"]
