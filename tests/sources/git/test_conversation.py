"""Answers of ``git cat-file``, in whatever pieces they come."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.sources.errors import SourceError
from tiphys.sources.git.conversation import Conversation, EndedEarly, Found

NAMES = ("a" * 40, "HEAD:gone", "b" * 40, "HEAD:two", "c" * 40)
SAID = (
    b"a" * 40 + b" blob 6\nx\ny\0z!\n"
    b"HEAD:gone missing\n" + b"b" * 40 + b" blob 0\n\n"
    b"HEAD:two ambiguous\n" + b"c" * 40 + b" tree 3\n\xff\n \n"
)
ANSWERS = [
    Found("a" * 40, "blob", b"x\ny\0z!"),
    None,
    Found("b" * 40, "blob", b""),
    None,
    Found("c" * 40, "tree", b"\xff\n "),
]


@given(st.lists(st.integers(0, len(SAID)), max_size=12))
def test_pieces(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(SAID)]

    async def heard() -> list[Found | None]:
        conversation = Conversation("contents", NAMES, 100)
        for begin, end in itertools.pairwise(places):
            assert not conversation.done.done() or end == begin
            conversation.feed(SAID[begin:end])
        return await conversation.done

    assert asyncio.run(heard()) == ANSWERS


async def test_only_what_they_are() -> None:
    conversation = Conversation("info", ("a" * 40, "x"), 0)
    assert conversation.question == b"info " + b"a" * 40 + b"\ninfo x\nflush\n"
    conversation.feed(b"a" * 40 + b" blob 600\nx missing\n")
    assert await conversation.done == [Found("a" * 40, "blob", b""), None]


async def test_too_much_is_told_before_it_came() -> None:
    conversation = Conversation("contents", ("a" * 40,), 5)
    conversation.feed(b"a" * 40 + b" blob 6\n")
    with pytest.raises(SourceError, match="larger than 5 bytes"):
        await conversation.done
    conversation.feed(b"abcdef\n")  # nobody listens any more


@pytest.mark.parametrize("said", [b"", b"a" * 40, b"fatal\n", b"a" * 40 + b" blob many\n"])
async def test_no_answer(said: bytes) -> None:
    conversation = Conversation("contents", ("a" * 40,), 100)
    conversation.feed(said)
    conversation.lost()
    with pytest.raises(EndedEarly):
        await conversation.done
