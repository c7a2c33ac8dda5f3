"""What bad input gets: a short answer or a closed connection, never a 5xx, never a word about us."""

import asyncio
import zlib

import pytest

from tests.server.port.running import GOOD, POST, met, running, status_of
from tiphys.server.http.bodies import BodyRoom
from tiphys.server.http.options import HttpOptions
from tiphys.server.port.http1 import Http1Options


def tells_nothing(answer: bytes) -> bool:
    words = (b"Traceback", b"aiohttp", b"Python", b"tiphys/", b".py", b"llhttp", b"msgspec", b"Exception")
    return not any(word in answer for word in words)


SMUGGLING = {
    "length and chunked": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "list of lengths": POST + b"Content-Length: 2, 3\r\n\r\n{} ",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "length with underscore": POST + b"Content-Length: 1_0\r\n\r\n{}",
    "length beyond any": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "tab in a name": POST + b"Transfer\tEncoding: chunked\r\n\r\n0\r\n\r\n",
    "control in a coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "folded header": POST + b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n",
    "bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "chunk size beyond any": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
    "bare LF after a chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "bare LF lines": b"GET /api/version HTTP/1.1\nHost: a\n\n",
    "bare CR in a value": b"GET /api/version HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
    "NUL in a value": b"GET /api/version HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    "NUL in a name": b"GET /api/version HTTP/1.1\r\nHost: a\r\nX\0A: b\r\n\r\n",
    "NUL in the path": b"GET /api/\0version HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the path": b"GET /api/ver sion HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /api/version\r\nHost: a\r\n\r\n",
    "a version of the future": b"GET /api/version HTTP/3.7\r\nHost: a\r\n\r\n",
    "a method of signs": b"G@T /api/version HTTP/1.1\r\nHost: a\r\n\r\n",
    "header without a colon": b"GET /api/version HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "empty header name": b"GET /api/version HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "binary": bytes(range(256)),
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
}


@pytest.mark.parametrize("data", SMUGGLING.values(), ids=SMUGGLING.keys())
async def test_two_readers_could_not_read_it_differently(data: bytes) -> None:
    """Refused, and nothing behind it is taken for a request of its own."""
    async with running(http1=Http1Options(head_seconds=0.3)) as port:
        answer = await port.say(data + GOOD)
        calls = len(port.observer.codes)
    assert 400 <= status_of(answer) < 500 or answer == b""
    assert answer.count(b"HTTP/1.") <= 1
    assert calls == 0
    assert tells_nothing(answer)


PATHS = {
    "dots": (b"/api/v1/applications/../../../../etc/passwd", 404),
    "escaped dots": (b"/api/v1/applications/%2e%2e/%2e%2e/etc/passwd", 404),
    "dots to a file": (b"/../../../../../../etc/passwd", 404),
    "escaped slashes": (b"/..%2f..%2f..%2fetc%2fpasswd", 404),
    "backslashes": (b"/..\\..\\etc\\passwd", 404),
    "NUL": (b"/api/v1/applications/a%00b", 200),
    "a line break": (b"/api/v1/applications/a%0D%0Ab", 200),
    "a line break elsewhere": (b"/a%0Ab", 404),
    "NUL in a file": (b"/index.html%00.png", 404),
    "unicode": (b"/api/v1/applications/%E2%82%AC", 200),
    "raw unicode": ("/api/v1/applications/€".encode(), 400),
    "broken unicode": (b"/api/v1/applications/%FF%FE", 400),
    "overlong slash": (b"/api/v1/applications/%C0%AF", 400),
    "broken escape": (b"/api/v1/applications/%zz", 400),
    "half an escape": (b"/api/v1/applications/%2", 400),
    "double slashes": (b"//api//version", 404),
    "a verb of the path": (b"/api/v1/applications/a:b", 404),
    "an escaped verb": (b"/api/v1/applications/a%3Ab", 404),
    "an authority": (b"http://elsewhere/api/version", 200),
    "semicolons": (b"/api/v1/applications?a=1;b=2", 400),
    "broken query": (b"/api/v1/applications?a=%zz", 400),
    "query without text": (b"/api/v1/applications?a=%ff", 400),
    "only signs": (b"/api/v1/applications?&&&=&=", 200),
    "a path in the query": (b"/api/v1/applications?projects[=x&].]=y", 200),
    "names without end": (b"/api/v1/applications?" + b"a." * 3000 + b"=1", 200),
}


@pytest.mark.parametrize(("path", "status"), PATHS.values(), ids=PATHS.keys())
async def test_strange_paths(path: bytes, status: int) -> None:
    async with running() as port:
        answer = await port.say(
            b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n"
        )
    assert status_of(answer) == status, answer
    assert b"root:" not in answer
    assert b"404:" not in answer  # nobody else's page
    assert tells_nothing(answer)


BODIES = {
    "no JSON": (b"{", 400),
    "another type": (b"[]", 400),
    "a number": (b"1", 400),
    "text in a number": (b'{"metadata":{"generation":"1"}}', 400),
    "deep lists": (b'{"spec":' + b"[" * 100_000, 400),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "a number without end": (b'{"metadata":{"generation":' + b"9" * 100_000 + b"}}", 400),
    "no text": (b'{"metadata":{"name":"\xff"}}', 400),
    "half a surrogate": (b'{"metadata":{"name":"\\ud800"}}', 400),
    "many keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(50_000)) + b"}", 200),
    "the same key": (b"{" + b",".join([b'"metadata":{}'] * 1000) + b"}", 200),
    "compressed": (zlib.compress(b"{}" * 10), 400),
    "nothing": (b"", 500),  # api.md 3: the Application is required, and the gateway's own client says so
    "white space": (b" \n ", 500),
    "two values": (b"{} {}", 200),  # api.md 3: only the first value is read
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_strange_bodies(body: bytes, status: int) -> None:
    async with running() as port:
        answer = await port.say(POST + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    assert status_of(answer) == status, answer[:500]
    assert tells_nothing(answer)
    assert len(answer) < 2000


ODD = {
    "a star": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n", 404),
    "a tunnel": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n", 404),
    "a path without a slash": (b"GET api HTTP/1.1\r\nHost: a\r\n", 400),
    "no host": (b"GET /api/version HTTP/1.1\r\n", 400),
    "two hosts": (b"GET /api/version HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
    "an old version": (b"GET /api/version HTTP/1.0\r\n", 200),
    "an expectation nobody knows": (b"GET /api/version HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n", 417),
    "an upgrade to HTTP/2": (
        b"GET /api/version HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        200,
    ),
    "an authority without a name": (b"GET http:///x HTTP/1.1\r\nHost: a\r\n", 400),
    "half an address": (b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n", 400),
    "a fragment": (b"GET /x?#y HTTP/1.1\r\nHost: a\r\n", 404),
    "only slashes": (b"GET " + b"/" * 5000 + b" HTTP/1.1\r\nHost: a\r\n", 404),
    "TRACE": (b"TRACE /api/version HTTP/1.1\r\nHost: a\r\n", 415),
    "health with a broken query": (b"GET /healthz?full=%zz HTTP/1.1\r\nHost: a\r\n", 200),
    "conditions that are none": (
        b'GET /x HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: x\r\nIf-None-Match: "\r\nRange: y\r\n',
        404,
    ),
    "cookies that are none": (b'GET /api/version HTTP/1.1\r\nHost: a\r\nCookie: =;;==;"\r\n', 200),
}


@pytest.mark.parametrize(("head", "status"), ODD.values(), ids=ODD.keys())
async def test_odd_requests(head: bytes, status: int) -> None:
    async with running() as port:
        answer = await port.say(head + b"Connection: close\r\n\r\n")
    assert status_of(answer) == status, answer
    assert tells_nothing(answer)


async def test_a_declined_upgrade_keeps_the_connection() -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    async with running() as port:
        wire = await port.open()
        wire.writer.write(GOOD.removesuffix(b"\r\n") + upgrade + GOOD)
        for _ in range(2):
            assert (await wire.request(b""))[0] == 200
        wire.close()


async def test_a_body_beyond_the_limit_is_refused_before_it_is_sent() -> None:
    async with running() as port:
        answer = await port.say(POST + b"Content-Length: 999999999\r\n\r\n")
    assert status_of(answer) == 429
    assert b"grpc: received message larger than max (999999999 vs. 16777216)" in answer


async def test_a_chunked_body_is_counted_as_it_comes() -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with running(http=HttpOptions(max_body_bytes=1_000_000)) as port:
        answer = await port.say(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40)
    assert status_of(answer) == 429


LARGE = b'{"metadata":{"name":"' + b"x" * 400_000 + b'"}}'


@pytest.mark.parametrize("chunked", [True, False])
async def test_large_bodies_are_taken_from_those_who_are_let_in(chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(LARGE)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE) if chunked else LARGE
    async with running() as port:
        rest = framing + b"\r\nConnection: close\r\n\r\n" + body
        known = await port.say(POST + rest)
        stranger = await port.say(POST.replace(b"Bearer x", b"") + rest)
    assert (status_of(known), status_of(stranger)) == (200, 401)


async def test_halves_of_many_bodies_find_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyRoom.__init__, "__defaults__", (1_000_000, 2_000_000))
    async with running() as port:
        halves = [await port.open() for _ in range(10)]
        for wire in halves:
            wire.writer.write(POST + b"Content-Length: 200000\r\n\r\n" + b" " * 190_000)
        answers = [asyncio.ensure_future(each.reader.readuntil(b"\r\n\r\n")) for each in halves]
        await met(lambda: sum(each.done() for each in answers) == 5)  # five times 190,000 fit
        assert all(status_of(each.result()) == 429 for each in answers if each.done())
        for each in answers:
            each.cancel()
        for wire in halves:
            wire.close()
        whole = POST + b"Content-Length: 200000\r\nConnection: close\r\n\r\n{}" + b" " * 199_998
        async with asyncio.timeout(10):  # what is given up is given back
            while status_of(await port.say(whole)) != 200:
                pass


async def test_a_body_that_says_it_is_compressed_is_not_unpacked() -> None:
    body = zlib.compress(b" " * 1_000_000, wbits=31)
    async with running() as port:
        head = b"Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = await port.say(POST + head + body)
    assert status_of(answer) == 400


HEADS = {
    "one long header": b"X-A: " + b"a" * 1_100_000 + b"\r\n",
    "many headers": b"".join(b"X-%d: a\r\n" % n for n in range(2000)),
    "a header without end": b"X-A: " + b"a" * 2_000_000,
    "a name without end": b"X" * 2_000_000,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
async def test_header_floods(head: bytes) -> None:
    async with running(http1=Http1Options(head_seconds=0.5)) as port:
        answer = await port.say(b"GET /api/version HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
        assert status_of(answer) in (400, 431, 0)
        assert port.observer.codes == []
    assert tells_nothing(answer)


async def test_a_request_line_without_end() -> None:
    async with running() as port:
        answer = await port.say(b"GET /" + b"a" * 1_200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status_of(answer) in (400, 431, 0)


async def test_a_cookie_of_twenty_chunks_fits() -> None:
    """api.md 11: a token of up to 20 cookies of 4 KB each."""
    cookies = "; ".join(f"argocd.token-{n}={'a' * 4000}" for n in range(20)).encode()
    async with running() as port:
        answer = await port.say(
            b"GET /api/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: " + cookies + b"\r\n\r\n"
        )
    assert status_of(answer) == 200


async def test_a_query_flood_is_counted() -> None:
    async with running() as port:
        answer = await port.say(
            b"GET /api/v1/applications?" + b"a=1&" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n"
            b"Authorization: Bearer x\r\nConnection: close\r\n\r\n"
        )
    assert status_of(answer) == 400
    assert b"more than 10000 query parameters" in answer


async def test_repeated_parameters_are_cheap() -> None:
    async with running() as port:
        answer = await port.say(
            b"GET /api/v1/applications?" + b"projects=a&" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n"
            b"Authorization: Bearer x\r\nConnection: close\r\n\r\n"
        )
        assert len(port.stage.request.projects) == 9_000
    assert status_of(answer) == 200
