"""What bad input gets: a short answer or a closed connection, never a 5xx, never a word about us."""

import asyncio
import resource
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.server.http.sample import Stage
from tests.server.port.running import Port, Wire, running
from tiphys.server.http.bodies import BodyRoom
from tiphys.server.http.options import HttpOptions
from tiphys.server.port.http1 import Http1Options

GOOD = b"GET /api/version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
IDLE = 10_000
POST = (
    b"POST /api/v1/applications HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n"
    b"Content-Type: application/json\r\n"
)


def status_of(answer: bytes) -> int:
    """0: closed without an answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


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
        await _until(lambda: sum(each.done() for each in answers) == 5)  # five times 190,000 fit
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


@pytest.mark.parametrize(
    "begin",
    [b"", b"G", b"GET /api/version HTTP/1.1\r\nHost: a\r\nX-A:", b"PRI * HT"],
    ids=["silent", "one byte", "half a head", "half a preface"],
)
async def test_silent_connections_are_closed(begin: bytes) -> None:
    async with running(silence=0.3, http1=Http1Options(head_seconds=0.3)) as port:
        answer = await port.say(begin)
        assert port.api.silent_connections == 0
    assert status_of(answer) in (0, 408)


async def test_a_dribbling_head_is_closed_in_the_same_time() -> None:
    async with running(http1=Http1Options(head_seconds=0.4)) as port:
        wire = await port.open()
        wire.writer.write(b"GET /api/version HTTP/1.1\r\nHost: a\r\n")
        reading = asyncio.ensure_future(wire.rest())
        while not reading.done():
            wire.writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.02)
        assert status_of(reading.result()) == 408
        wire.close()


async def test_a_dribbling_body_is_closed() -> None:
    async with running(http=HttpOptions(body_seconds=0.4)) as port:
        wire = await port.open()
        wire.writer.write(POST + b"Content-Length: 1000000\r\n\r\n{")
        reading = asyncio.ensure_future(wire.rest())
        while not reading.done():
            wire.writer.write(b" ")
            await asyncio.sleep(0.02)
        assert status_of(reading.result()) == 408
        wire.close()


async def test_an_idle_connection_between_requests_is_closed() -> None:
    async with running(http1=Http1Options(idle_seconds=0.3)) as port:
        wire = await port.open()
        assert (await wire.request(GOOD))[0] == 200
        assert await wire.rest() == b""
        wire.close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running() as port:
        wire = await port.open()
        wire.writer.write(GOOD * 500)
        for _ in range(500):
            assert (await wire.request(b""))[0] == 200
        wire.close()


async def test_a_client_that_leaves_ends_its_call() -> None:
    async with running() as port:
        port.stage.events = [None]
        wire = await port.open()
        wire.writer.write(
            b"GET /api/v1/stream/applications HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
        )
        await _until(lambda: port.stage.call is not None)
        wire.close()
        async with asyncio.timeout(5):
            await port.stage.ended.wait()


async def test_a_client_that_never_reads_is_dropped() -> None:
    async with running(http=HttpOptions(write_seconds=0.4)) as port:
        await _flood(port, port.stage)


async def test_the_kernel_drops_a_client_that_never_reads() -> None:
    """Also where nothing of ours watches: TCP_USER_TIMEOUT."""
    async with running(unread=1.0, http=HttpOptions(write_seconds=1000)) as port:
        await _flood(port, port.stage)


async def _flood(port: Port, stage: Stage) -> None:
    from tiphys.resources.messages.application import LogEntry

    stage.events = [LogEntry(content="x" * 100_000)] * 2000
    wire = await port.open()
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    wire.writer.write(
        b"GET /api/v1/applications/a/logs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
    )
    async with asyncio.timeout(20):
        await stage.ended.wait()
    wire.close()


async def _until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)


async def test_many_idle_connections_leave_room_for_others() -> None:
    """Ten thousand, half of which said half a request; the server is a process of its own, as each
    process may have only so many."""
    async with apart() as number:
        wires = []
        for start in range(0, IDLE, 200):
            opening = (asyncio.open_connection("127.0.0.1", number) for _ in range(start, start + 200))
            wires += await asyncio.gather(*opening)
        for _, writer in wires[IDLE // 2 :]:
            writer.write(b"GET /api/version HTTP/1.1\r\n")
        fresh = Wire(*await asyncio.open_connection("127.0.0.1", number))
        for _ in range(2):
            assert (await fresh.request(GOOD))[0] == 200
        # all are still there, those in the middle of a request too
        first, last = Wire(*wires[0]), Wire(*wires[-1])
        assert (await first.request(GOOD))[0] == 200
        assert (await last.request(GOOD.partition(b"\r\n")[2]))[0] == 200
        for _, writer in wires:
            writer.transport.abort()
        fresh.close()


@asynccontextmanager
async def apart() -> AsyncIterator[int]:
    """A server process, which like this one may have as many connections as it can get; its port."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SMALL_SERVER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        yield int(await server.stdout.readline())
    finally:
        await server.communicate(b"")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


SMALL_SERVER = """
import asyncio, sys
from tests.server.port.running import running

async def main():
    async with running(silence=600.0) as port:
        print(port.number, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


async def test_a_server_without_file_descriptors_recovers() -> None:
    """More connections than the process may have: those who wait are served when others leave."""
    command = f"ulimit -n 64; exec {sys.executable} -c '{SMALL_SERVER}'"
    server = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    number = int(await server.stdout.readline())
    try:
        held = [await asyncio.open_connection("127.0.0.1", number) for _ in range(100)]
        waiting = Wire(*await asyncio.open_connection("127.0.0.1", number))
        waiting.writer.write(GOOD)
        for _, writer in held:
            writer.transport.abort()
        assert (await waiting.request(b""))[0] == 200
        waiting.close()
    finally:
        _, errors = await server.communicate(b"")
    assert b"no connection can be accepted" in errors
    assert errors.count(b"no connection can be accepted") < 10
