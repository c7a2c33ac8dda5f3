"""One port, several protocols (api.md 1, 15)."""

import ssl

import pytest

from tests.server.port.running import Fixed, pair, running, trusting
from tiphys.server.port.choosing import PREFACE, speaks_http2
from tiphys.server.port.tls import KeyPair, TlsError, TlsOptions, server_context

GET = b"GET /api/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "outcome"),
    [
        (b"", None),
        (b"P", None),
        (b"PR", None),
        (PREFACE[:-1], None),
        (PREFACE, True),
        (PREFACE + b"\0\0\0", True),
        (b"PO", False),
        (b"PROPFIND / HTTP/1.1", False),
        (b"PRI * HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1", False),
    ],
)
def test_the_preface_of_http2_is_told_from_methods(begin: bytes, outcome: bool | None) -> None:
    assert speaks_http2(begin) is outcome


async def test_plain_http_1() -> None:
    async with running() as port:
        answer = await port.say(GET)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'{"Version":"v3.6.0"}')


async def test_plain_http_2_goes_to_grpc_with_all_its_bytes() -> None:
    async with running() as port:
        wire = await port.open()
        for byte in PREFACE:
            wire.writer.write(bytes([byte]))
            await wire.writer.drain()
        wire.writer.write(b"more")
        answer = await wire.reader.readexactly(3 + len(PREFACE))
        wire.close()
        assert b"".join(port.http2.got).startswith(PREFACE)
    assert answer == b"h2:" + PREFACE
    assert port.http2.drained


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),  # browsers; the server's order counts
        (["spdy/1"], None),
        (None, None),
    ],
)
async def test_alpn(offered: list[str] | None, chosen: str | None) -> None:
    async with running(Fixed()) as port:
        wire = await port.open(trusting(offered))
        found = wire.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert found == chosen
        if chosen == "h2":
            wire.writer.write(PREFACE)
            assert await wire.reader.readexactly(3 + len(PREFACE)) == b"h2:" + PREFACE
            wire.close()
        else:
            assert (await wire.say(GET)).endswith(b'{"Version":"v3.6.0"}')


async def test_http_2_over_tls_without_alpn() -> None:
    async with running(Fixed()) as port:
        wire = await port.open(trusting())
        wire.writer.write(PREFACE)
        assert await wire.reader.readexactly(3 + len(PREFACE)) == b"h2:" + PREFACE
        wire.close()


@pytest.mark.parametrize(
    ("root", "target", "location"),
    [
        ("", b"/a%2Fb?x=1&y=%20", b"https://host:8080/a%2Fb?x=1&y=%20"),
        ("argo/cd", b"/healthz", b"https://host:8080/argo/cd/healthz"),
        ("", b"/", b"https://host:8080/"),
    ],
)
async def test_plain_requests_are_sent_to_tls(root: str, target: bytes, location: bytes) -> None:
    async with running(Fixed(), root_path=root) as port:
        answer = await port.say(
            b"GET " + target + b" HTTP/1.1\r\nHost: host:8080\r\nConnection: close\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 307 Temporary Redirect\r\n")
    assert b"Location: " + location + b"\r\n" in answer


@pytest.mark.parametrize("host", [b"", b"a/b", b"a@b", b'"x"', b"a\\b"])
async def test_a_redirect_needs_a_host(host: bytes) -> None:
    async with running(Fixed()) as port:
        answer = await port.say(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


async def test_plain_http_2_on_a_port_with_tls_is_closed() -> None:
    async with running(Fixed()) as port:
        assert await port.say(PREFACE) == b""
        assert port.http2.got == []


async def test_tls_on_a_port_without_is_closed() -> None:
    async with running() as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await port.open(trusting())


async def test_default_versions_and_cipher() -> None:
    async with running(Fixed()) as port:
        old = trusting(maximum_version=ssl.TLSVersion.TLSv1_2)
        wire = await port.open(old)
        assert wire.writer.get_extra_info("cipher")[0] == "ECDHE-RSA-AES256-GCM-SHA384"
        wire.close()
        wire = await port.open(trusting())
        assert wire.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        wire.close()
        other = trusting(maximum_version=ssl.TLSVersion.TLSv1_2)
        other.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await port.open(other)


async def test_a_minimum_of_1_3_refuses_1_2() -> None:
    async with running(Fixed(TlsOptions(minimum="1.3"))) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await port.open(trusting(maximum_version=ssl.TLSVersion.TLSv1_2))
        (await port.open(trusting())).close()


@pytest.mark.parametrize(
    ("given", "options", "text"),
    [
        (KeyPair("nonsense", "nonsense"), TlsOptions(), "unusable certificate or key"),
        (None, TlsOptions(minimum="1.4"), "unknown TLS version '1.4'"),
        (None, TlsOptions(minimum="1.3", maximum="1.2"), "is above the maximum"),
        (None, TlsOptions(ciphers=("TLS_NULL",)), "unknown cipher 'TLS_NULL'"),
    ],
)
def test_what_cannot_be_used_says_so(given: KeyPair | None, options: TlsOptions, text: str) -> None:
    with pytest.raises(TlsError, match=text):
        server_context(given or pair(), options)


async def test_a_new_certificate_counts_for_new_connections_only() -> None:
    certificates = Fixed()
    async with running(certificates) as port:
        held = await port.open(trusting())
        first = held.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        pair.cache_clear()
        certificates.context = server_context(pair(), TlsOptions())
        fresh = await port.open(trusting())
        second = fresh.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert first != second
        status, _ = await held.request(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status == 200
        held.close()
        fresh.close()
