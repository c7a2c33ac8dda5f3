"""Version constraints of the reference's dialect."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.resources.semver import (
    Constraint,
    InvalidVersion,
    Version,
    is_constraint,
    is_version,
    max_matching,
)

# sources.md 14.2
ACCEPTS = [
    ("=1.2.3", "1.2.3", True),
    ("1.2.3 || 2.x", "2.9.9", True),
    ("1.2.3 || 2.x", "1.2.4", False),
    ("!=1.2.3", "1.2.3", False),
    ("!=1.2.3", "1.2.4", True),
    ("!=1.2.x", "1.2.9", False),
    ("!=1.x", "1.2.9", False),
    ("!=1.x", "2.0.0", True),
    ("!=1.2", "1.3.0", True),
    (">1.2.3", "1.2.4", True),
    (">1.2", "1.2.9", False),
    (">1.2", "1.3.0", True),
    (">11", "11.1.0", False),
    (">*", "0.0.1", True),
    (">*", "0.0.0", False),
    ("!=2.1-0", "2.1.0", True),
    (">11", "12.0.0", True),
    ("<2", "1.99.0", True),
    ("<2", "2.0.0", False),
    (">=1.2, <1.4", "1.3.5", True),
    (">=1.2 <1.4", "1.4.0", False),
    ("=>1.2", "1.2.0", True),
    ("<=1.2", "1.2.7", True),
    ("<=1.2", "1.3.0", False),
    ("<=1", "1.9.0", True),
    ("=<1.2.3", "1.2.3", True),
    ("~1.2.3", "1.2.9", True),
    ("~1.2.3", "1.3.0", False),
    ("~1", "1.9.9", True),
    ("~1", "2.0.0", False),
    ("~>1.2", "1.2.1", True),
    ("^1.2.3", "1.9.0", True),
    ("^1.2.3", "2.0.0", False),
    ("^0.2.3", "0.2.9", True),
    ("^0.2.3", "0.3.0", False),
    ("^0.0.3", "0.0.3", True),
    ("^0.0.3", "0.0.4", False),
    ("^0.0", "0.0.9", True),
    ("^0.0", "0.1.0", False),
    ("^0", "0.9.0", True),
    ("^0", "1.0.0", False),
    ("1.2 - 2.3", "2.3.9", True),
    ("1.2 - 2.3", "2.4.0", False),
    ("1.2.0 - 2.3.4", "2.3.5", False),
    ("*", "9.9.9", True),
    ("x", "0.0.1", True),
    ("1.x", "1.7.0", True),
    ("1.X.x", "2.0.0", False),
    ("1.2.*", "1.2.8", True),
    ("v1.2.*", "v1.2.8", True),
    # prereleases only where a bound of the same group names one
    ("*", "1.0.0-rc.1", False),
    (">=1.0.0", "1.1.0-rc.1", False),
    (">=1.0.0-0", "1.1.0-rc.1", True),
    ("*-0", "1.1.0-rc.1", True),
    (">=1.0.0-0, <2", "1.1.0-rc.1", True),
    (">=1.0.0-0 || <2", "0.5.0-rc.1", False),
    ("~1.0.0-beta", "1.0.0-rc", True),
    ("~1.0.0-beta", "1.0.0-alpha", False),
]


@pytest.mark.parametrize(("constraint", "version", "expected"), ACCEPTS, ids=lambda each: str(each))
def test_constraint_accepts(constraint: str, version: str, expected: bool) -> None:
    assert Constraint(constraint).accepts(Version(version)) is expected


ORDER = """
0.0.1 1.0.0-1 1.0.0-2 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-rc.2 1.0.0-rc.10 1.0.0 1.0.1 1.10.0
"""


def test_versions_in_order() -> None:
    versions = [Version(text) for text in ORDER.split()]
    assert sorted(versions, key=lambda each: each) == versions
    assert all(low < high for low, high in itertools.pairwise(versions))
    assert Version("1.0.0+build") == Version("v1")


@pytest.mark.parametrize(
    ("text", "version", "constraint"),
    [
        ("1.0", True, False),
        ("v1", True, False),
        ("01.002.3", True, False),
        ("1.0.0-rc.1+x", True, False),
        ("1.0.0-01", False, False),
        ("main", False, False),
        ("x", False, True),
        ("1.x", False, True),
        (">= 1.0", False, True),
        ("release-1.0", False, False),
        ("1.0.0.0", False, False),
        ("", False, False),
        ("1.2 ||", False, False),
        ("feature/1.x", False, False),
        ("99999999999999999999", False, False),
    ],
)
def test_kind_of_text(text: str, version: bool, constraint: bool) -> None:
    assert (is_version(text), is_constraint(text)) == (version, constraint)


def test_maximum_keeps_original_text_and_first_of_equals() -> None:
    tags = ["nightly", "v1.2.0", "1.2", "1.1.9", "v2.0.0-rc.1", "2"]
    assert max_matching("1.x", tags) == "v1.2.0"
    assert max_matching("*", tags) == "2"
    assert max_matching("3.x", tags) is None
    with pytest.raises(InvalidVersion):
        max_matching("not a constraint", tags)


@given(st.text(alphabet="0123456789.xX*v-+ ,|<>=~^!ab", max_size=24))
def test_any_text_is_judged_without_crash(text: str) -> None:
    if is_constraint(text):
        Constraint(text).accepts(Version("1.2.3"))


@given(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
    st.sampled_from(["~", "^", ">=", "<="]),
)
def test_a_version_satisfies_its_own_bound(parts: tuple[int, int, int], operator: str) -> None:
    text = ".".join(map(str, parts))
    assert Constraint(operator + text).accepts(Version(text))
