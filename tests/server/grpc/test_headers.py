"""Our check of headers says no exactly where the HTTP/2 library's does."""

from __future__ import annotations

import pytest
from h2.exceptions import ProtocolError
from h2.utilities import HeaderValidationFlags, validate_headers
from hypothesis import given
from hypothesis import strategies as st

from tiphys.server.grpc.headers import fault_of, fault_of_trailers

Pairs = list[tuple[bytes, bytes]]
REQUEST: Pairs = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/version.VersionService/Version"),
    (b":authority", b"localhost"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
]

names = st.sampled_from(
    (
        *(b":method", b":scheme", b":path", b":authority", b":protocol", b":status", b":other", b":", b"::a"),
        *(
            b"te",
            b"host",
            b"connection",
            b"upgrade",
            b"keep-alive",
            b"transfer-encoding",
            b"proxy-connection",
        ),
        *(b"content-type", b"Token", b"a:b", b"a b", b"a\x7f", b"a\0", b"", b"a\xff", b"!#$%&'*+-.^_`|~09az"),
    )
) | st.binary(min_size=1, max_size=3)
values = st.sampled_from(
    (b"POST", b"CONNECT", b"http", b"/", b"", b"localhost", b"trailers", b"Trailers", b"gzip", b" a", b"a\t")
) | st.binary(max_size=3)
pairs = st.tuples(names, values)


@st.composite
def requests(draw: st.DrawFn) -> Pairs:
    """Mostly right: a request with a few things left out, put in or moved."""
    made = [pair for pair in REQUEST if draw(st.integers(0, 9))]
    for pair in draw(st.lists(pairs, max_size=3)):
        made.insert(draw(st.integers(0, len(made))), pair)
    return made


def is_refused(headers: Pairs, *, trailers: bool) -> bool:
    flags = HeaderValidationFlags(
        is_client=False, is_trailer=trailers, is_response_header=False, is_push_promise=False
    )
    try:
        list(validate_headers(headers, flags))
    except ProtocolError:
        return True
    except IndexError:  # the library's own fault with an empty name behind others
        return True
    return False


@given(requests() | st.lists(pairs, max_size=8))
def test_requests(headers: Pairs) -> None:
    assert bool(fault_of(headers)) is is_refused(headers, trailers=False)


@given(st.lists(pairs, max_size=4))
def test_trailers(headers: Pairs) -> None:
    assert bool(fault_of_trailers(headers)) is is_refused(headers, trailers=True)


@pytest.mark.parametrize("code", range(256))
def test_each_character(code: int) -> None:
    character = bytes((code,))
    for name, value in (
        (b"a" + character, b"v"),
        (character + b"a", b"v"),
        (b"a", character),
        (b"a", b"v" + character + b"v"),
        (b"a", b"v" + character),
    ):
        headers = [*REQUEST, (name, value)]
        assert bool(fault_of(headers)) is is_refused(headers, trailers=False), (name, value)
