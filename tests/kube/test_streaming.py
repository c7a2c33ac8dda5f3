"""Watch bytes become lines, however they are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tiphys.kube.streaming import LineSplitter

lines = st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b.replace(b"\n", b" ")), max_size=8)


@given(lines=lines, cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=12))
def test_lines_come_out_whole_wherever_the_stream_was_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    splitter = LineSplitter()
    out: list[bytes] = []
    for start, end in pairwise(places):
        out.extend(splitter.feed(stream[start:end]))
    assert out == lines


def test_a_line_may_be_longer_than_any_buffer() -> None:
    splitter = LineSplitter()
    line = b"x" * 5_000_000
    out: list[bytes] = []
    for start in range(0, len(line), 65_536):
        out.extend(splitter.feed(line[start : start + 65_536]))
    assert out == []
    assert splitter.feed(b"\nrest") == [line]
