"""Answers of HTTP/1.1 (RFC 9112), whole and in pieces."""

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.kube.answers import Answer, AnswerReader, BadAnswer


def read(data: bytes, *cuts: int, bodiless: bool = False, ended: bool = False) -> Answer | None:
    """The answer in ``data`` cut at these places."""
    reader = AnswerReader()
    reader.expect(bodiless=bodiless)
    places = sorted({0, len(data), *cuts})
    answer = None
    for start, end in pairwise(places):
        assert answer is None, "the answer was there before its end"
        answer = reader.feed(data[start:end])
    return reader.end() if ended else answer


def chunked(parts: list[bytes], *, trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(1, 200), max_size=6), st.booleans())
def test_pieces_make_the_same_answer(parts: list[bytes], cuts: list[int], in_chunks: bool) -> None:
    body = b"".join(parts)
    if in_chunks:
        data = chunked(parts, trailer=b"Checksum: 1\r\n")
    else:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    answer = read(data, *(cut for cut in cuts if cut < len(data)))
    assert answer is not None
    assert (answer.status, answer.body, answer.keeps) == (200, body, True)


@pytest.mark.parametrize(
    ("data", "status", "body", "keeps"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="204-has-no-body"),
        pytest.param(b"HTTP/1.1 304 -\r\nContent-Length: 9\r\n\r\n", 304, b"", True, id="304-has-no-body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            200,
            b"x",
            False,
            id="close",
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", False, id="1.0-closes"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
            200,
            b"x",
            True,
            id="1.0-kept",
        ),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
            200,
            b"x",
            True,
            id="hints-before-the-answer",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxy",
            200,
            b"xy",
            True,
            id="twice",
        ),
    ],
)
def test_answers(data: bytes, status: int, body: bytes, keeps: bool) -> None:
    answer = read(data)
    assert answer is not None
    assert (answer.status, answer.body, answer.keeps) == (status, body, keeps)


def test_head_has_no_body_whatever_it_says() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", bodiless=True)
    assert answer is not None
    assert answer.body == b""


def test_a_body_without_length_ends_with_the_connection() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\n\r\nabc", 20, ended=True)
    assert answer is not None
    assert (answer.body, answer.keeps) == (b"abc", False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", id="by-length"),
        pytest.param(chunked([b"abc"])[:-4], id="by-chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-L", id="in-the-head"),
    ],
)
def test_an_answer_cut_short_is_none(data: bytes) -> None:
    assert read(data, ended=True) is None


def test_fields_of_any_case_and_compressed_bodies() -> None:
    packed = gzip.compress(b"abc" * 100)
    head = b"HTTP/1.1 200 OK\r\nWARNING: 299 - a\r\nwarning:\t299 - b \r\ncontent-encoding: gzip\r\n"
    answer = read(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed, 40, 110)
    assert answer is not None
    assert list(answer.headers("warning")) == ["299 - a", "299 - b"]
    assert (answer.header("etag"), answer.body) == ("", b"abc" * 100)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", id="another-protocol"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="another-version"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="switching"),
        pytest.param(OK + b"Content-Length: -1\r\n\r\n", id="negative-length"),
        pytest.param(OK + b"Content-Length: 1_0\r\n\r\n", id="length-with-underscore"),
        pytest.param(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", id="two-lengths"),
        pytest.param(OK + b"Content-Length: 1\r\n\r\nxx", id="more-than-announced"),
        pytest.param(OK + b"Content-Length : 1\r\n\r\nx", id="blank-before-the-colon"),
        pytest.param(OK + b"A: b\r\n folded\r\n\r\n", id="folded-line"),
        pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="other-coding"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", id="size-with-prefix"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", id="negative-size"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", id="chunk-too-long"),
        pytest.param(chunked([b"a"]) + b"more", id="more-after-the-last-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000, id="endless-head"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 9000, id="endless-size"),
        pytest.param(OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", id="not-compressed"),
    ],
)
def test_what_contradicts_itself_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(data)


def test_nothing_may_come_unasked() -> None:
    with pytest.raises(BadAnswer):
        AnswerReader().feed(b"HTTP/1.1 200 OK\r\n\r\n")
