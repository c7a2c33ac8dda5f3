"""Label selectors as clients write them (Kubernetes' grammar, api.md 8.2 "List")."""

import pytest

from tiphys.server.streams.selectors import Selector, SelectorError

LABELS = {"app": "web", "tier": "", "n": "7", "example.com/team": "a.b_c-d"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("app", True),
        ("!app", False),
        ("gone", False),
        ("!gone", True),
        ("app=web", True),
        ("app==web", True),
        (" app = web , n ", True),
        ("app=other", False),
        ("app!=other", True),
        ("app!=web", False),
        ("gone!=x", True),
        ("tier=", True),
        ("tier=,app=web", True),
        ("app=", False),
        ("app in (web,other)", True),
        ("app in(other)", False),
        ("tier in ()", True),
        ("tier in (x,)", True),
        ("app notin (other)", True),
        ("app notin (web)", False),
        ("gone notin (x)", True),
        ("n>6", True),
        ("n>7", False),
        ("n<8", True),
        ("app>1", False),
        ("gone<1", False),
        ("example.com/team=a.b_c-d", True),
        ("app=web,n=8", False),
        ("in=x", False),
    ],
)
def test_selecting(text: str, matches: bool) -> None:
    assert Selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "=x", "app=web,", ",app", "app web", "app in web", "app in (web", "app in (web))", "app>x", "a b",
        "app=(", "!", "-app=x", "app=-x", "app=" + "x" * 64, "x" * 64, "Bad/app=x", "/app", "app=x=y",
        "a in (b c)", "app!web", "app=ä",
    ],
)  # fmt: skip
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        Selector(text)


def test_no_labels_are_empty_labels() -> None:
    assert Selector("!a").matches(None)
    assert not Selector("a").matches(None)
