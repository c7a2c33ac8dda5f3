"""Which commit a revision means, given what the remote lists."""

import pytest

from tiphys.sources.errors import RevisionNotFound
from tiphys.sources.git.refs import Listing, parse_listing


def sha(letter: str) -> str:
    return letter * 40


LISTING = Listing(
    parse_listing(
        b"".join(
            line.encode() + b"\n"
            for line in [
                f"{sha('a')}\tHEAD",
                f"{sha('e')}\trefs/heads/both",
                f"{sha('b')}\trefs/heads/dev",
                f"{sha('b')}\trefs/heads/feature/x",
                f"{sha('a')}\trefs/heads/main",
                f"{sha('9')}\trefs/heads/deadbee",
                f"{sha('c')}\trefs/pull/7/head",
                f"{sha('f')}\trefs/tags/both",
                f"{sha('1')}\trefs/tags/app-1.0.0",
                f"{sha('2')}\trefs/tags/app-1.4.0",
                f"{sha('3')}\trefs/tags/v1.0.0",
                f"{sha('4')}\trefs/tags/v1.1.0",
                f"{sha('5')}\trefs/tags/v1.1.0^{{}}",
                f"{sha('6')}\trefs/tags/v2.0.0-rc.1",
            ]
        )
    )
)


# sources.md 14.1
@pytest.mark.parametrize(
    ("revision", "prefix", "expected"),
    [
        ("", "", sha("a")),
        ("HEAD", "", sha("a")),
        ("main", "", sha("a")),
        ("refs/heads/dev", "", sha("b")),
        ("feature/x", "", sha("b")),
        ("pull/7/head", "", sha("c")),
        ("refs/pull/7/head", "", sha("c")),
        ("both", "", sha("e")),
        ("refs/tags/both", "", sha("f")),
        ("v1.0.0", "", sha("3")),
        ("v1.1.0", "", sha("5")),
        ("1.x", "", sha("5")),
        ("~1.0", "", sha("3")),
        ("x", "", sha("5")),
        (">=2.0.0-0", "", sha("6")),
        ("*", "app-", sha("2")),
        ("1.0.0", "app-", sha("1")),
        ("main", "app-", sha("a")),
        ("0123456789abcdef0123456789abcdef01234567", "", "0123456789abcdef0123456789abcdef01234567"),
        ("deadbee", "", sha("9")),
        ("deadbe1", "", "deadbe1"),
    ],
)
def test_revision(revision: str, prefix: str, expected: str) -> None:
    assert LISTING.find(revision, prefix) == expected


@pytest.mark.parametrize(
    ("revision", "prefix"),
    [
        ("nope", ""),
        ("1.0", ""),
        ("1.0.0", ""),
        ("3.x", ""),
        ("heads/main", ""),
        ("abcdef", ""),
        ("9.x", "app-"),
    ],
)
def test_not_found(revision: str, prefix: str) -> None:
    with pytest.raises(RevisionNotFound) as caught:
        LISTING.find(revision, prefix)
    assert caught.value.message == f"unable to resolve '{revision}' to a commit SHA: revision not found"


def test_head_without_commit() -> None:
    with pytest.raises(RevisionNotFound, match="unable to resolve 'HEAD' to a commit SHA"):
        Listing(()).find("")
