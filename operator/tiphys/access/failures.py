"""Failed logins: who has to wait (api.md 11 "Login endpoint"). Pure.

Only names of accounts that exist are counted: any other name is refused in the same words, time and
cost anyway, and so nobody can fill the memory with made-up names.
"""

from collections.abc import Callable, Mapping

import msgspec

MOST_FAILURES = 1_000_000
ADMIN = "admin"


class Failures(msgspec.Struct, frozen=True, array_like=True):
    """Failed logins of one name: how many in a row, and when the last one was (Unix seconds)."""

    count: int
    last: int


Book = Mapping[str, Failures]
"""Account name → its failures; a name without failures is not in it."""

Change = Callable[[Book], dict[str, Failures]]


def is_blocked(book: Book, name: str, now: float, *, limit: int, window: float) -> bool:
    """Whether a login of this name is refused unseen.

    Args:
        limit: failures from which on; 0 switches the limit off.
        window: seconds after the last failure; 0: for ever.
    """
    found = book.get(name)
    if found is None or limit <= 0 or found.count < limit:
        return False
    return window <= 0 or now - found.last < window


def failed(book: Book, name: str, now: float, *, most: int) -> dict[str, Failures]:
    """The book after one more failure.

    Args:
        most: names in the book; who failed longest ago makes room, but never the built-in administrator.
    """
    before = book.get(name, Failures(0, 0))
    new = {**book, name: Failures(min(before.count + 1, MOST_FAILURES), int(now))}
    if len(new) > max(most, 1):
        others = sorted((each for each in new if each not in (name, ADMIN)), key=lambda each: new[each].last)
        for each in others[: len(new) - max(most, 1)]:
            del new[each]
    return new


def cleared(book: Book, name: str) -> dict[str, Failures]:
    """The book after a success."""
    return {key: value for key, value in book.items() if key != name}


def current(book: Book, now: float, *, window: float, names: Callable[[str], bool]) -> dict[str, Failures]:
    """The entries that still matter: within the window, of accounts that exist."""
    return {
        name: entry
        for name, entry in book.items()
        if names(name) and (window <= 0 or now - entry.last < window)
    }
