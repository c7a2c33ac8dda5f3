"""The book of failed logins has so many names and no more (api.md 11 "Login endpoint")."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tiphys.access.failures import Book, Failures, failed

FULL: Book = {"admin": Failures(5, 1), "ann": Failures(2, 10), "ben": Failures(1, 20), "cat": Failures(1, 30)}


@pytest.mark.parametrize(
    ("name", "most", "names"),
    [
        pytest.param("dan", 5, ["admin", "ann", "ben", "cat", "dan"], id="there-is-room"),
        pytest.param("dan", 4, ["admin", "ben", "cat", "dan"], id="longest-ago-goes"),
        pytest.param("ann", 3, ["admin", "ann", "cat"], id="the-current-one-stays"),
        pytest.param("dan", 2, ["admin", "dan"], id="the-limit-became-smaller"),
        pytest.param("dan", 1, ["admin", "dan"], id="the-administrator-always-stays"),
        pytest.param("admin", 1, ["admin"], id="only-the-administrator"),
    ],
)
def test_who_makes_room(name: str, most: int, names: list[str]) -> None:
    found = failed(FULL, name, 40, most=most)
    assert sorted(found) == names
    assert found[name] == Failures(FULL.get(name, Failures(0, 0)).count + 1, 40)


@given(some.lists(some.sampled_from("abcdefgh"), max_size=40), some.integers(1, 6))
def test_the_book_never_outgrows_its_limit(guessed: list[str], most: int) -> None:
    book: Book = {"admin": Failures(1, 0)}
    for moment, name in enumerate(guessed):
        book = failed(book, name, moment, most=most)
        assert len(book) <= max(most, 2)
        assert {name, "admin"} <= book.keys()
