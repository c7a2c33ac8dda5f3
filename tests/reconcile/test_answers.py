"""Answers to dry runs are kept within bounds of bytes and time."""

from hypothesis import given
from hypothesis import strategies as st

from tiphys.reconcile.inspecting.answers import Answers


def test_an_answer_holds_for_a_moment() -> None:
    answers = Answers(seconds=10)
    answers.keep("a", {"x": 1}, 100.0)
    assert answers.get("a", 110.0) == {"x": 1}
    assert answers.get("a", 110.1) is None
    assert answers.get("b", 100.0) is None


def test_what_is_too_old_goes() -> None:
    answers = Answers(seconds=10)
    answers.keep("a", {"x": 1}, 0.0)
    answers.keep("b", {"x": 1}, 20.0)
    assert answers.size == len(b'{"x":1}')


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 200)), max_size=30))
def test_never_more_than_there_is_room_for(kept: list[tuple[str, int]]) -> None:
    answers = Answers(most_bytes=150)
    for moment, (stamp, length) in enumerate(kept):
        answers.keep(stamp, {"x": "y" * length}, float(moment))
        assert answers.size <= 150
        if length <= 140:
            assert answers.get(stamp, float(moment)) == {"x": "y" * length}
    assert answers.size == sum(len(body) for _, body in answers._kept.values())
