"""How the provider is reached: certificates, limits of its answers, and what it may do wrong (api.md 12)."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from tests.access.oidc.conftest import Configured
from tests.access.oidc.idp import Idp


def self_signed(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A certificate for 127.0.0.1 that is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the provider")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(Encoding.PEM).decode()
    file = folder / "provider.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file.write_text(pem + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context, pem


async def serve(tls: ssl.SSLContext | None, *extra: web.RouteDef) -> tuple[Idp, web.AppRunner]:
    idp = Idp()
    app = web.Application()
    app.add_routes(extra)
    for route in idp.app().router.routes():
        if route.resource is not None and route.method != "HEAD":
            path = route.resource.canonical
            if all(path != each.path for each in extra):
                app.router.add_route(route.method, path, route.handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    idp.issuer = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    return idp, runner


@pytest.fixture
async def over_tls(tmp_path: Path) -> AsyncIterator[tuple[Idp, str]]:
    context, pem = self_signed(tmp_path)
    idp, runner = await serve(context)
    yield idp, pem
    await runner.cleanup()


async def problem(sso: Configured, idp: Idp) -> str:
    token = idp.signed(idp.claims("ann"))
    return (await sso.access.authenticator.authenticate({"token": (token,)})).problem


FAILED = "invalid session: failed to verify the token"


async def test_certificates_of_the_provider(sso: Configured, over_tls: tuple[Idp, str]) -> None:
    idp, pem = over_tls
    sso.issuer = idp.issuer
    sso.use()
    assert await problem(sso, idp) == FAILED
    sso.use(rootCA=pem)
    assert await problem(sso, idp) == ""
    sso.use(rootCA="no certificate")
    assert await problem(sso, idp) == FAILED
    sso.use(main={"oidc.tls.insecure.skip.verify": "true"})
    assert await problem(sso, idp) == ""


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"[" * 65536)
    except (ConnectionError, asyncio.CancelledError):
        return response


def answering(text: str, kind: str = "application/json", status: int = 200) -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind, status=status)

    return answer


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(web.get(DISCOVERY, endless), id="an endless discovery"),
        pytest.param(web.get(DISCOVERY, answering("<html>", "text/html")), id="a page"),
        pytest.param(web.get(DISCOVERY, answering('{"issuer": 5}')), id="a number as issuer"),
        pytest.param(web.get(DISCOVERY, answering("[" * 100_000)), id="deep JSON"),
        pytest.param(web.get(DISCOVERY, answering("", status=500)), id="a failure"),
        pytest.param(web.get("/keys", endless), id="endless keys"),
        pytest.param(web.get("/keys", answering("{}")), id="no keys"),
        pytest.param(web.get("/keys", answering('{"keys": [{"kty": "RSA"}, 7]}')), id="broken keys"),
        pytest.param(
            web.get("/keys", answering('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]}')),
            id="a secret as key",
        ),
        pytest.param(web.get("/keys", answering("[" * 100_000)), id="deep keys"),
    ],
)
async def test_answers_that_are_none(sso: Configured, extra: web.RouteDef) -> None:
    idp, runner = await serve(None, extra)
    try:
        sso.issuer = idp.issuer
        sso.use()
        async with asyncio.timeout(15):
            assert await problem(sso, idp) == FAILED
    finally:
        await runner.cleanup()


async def test_new_keys_of_the_provider_are_found(sso: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.access.oidc.provider.REFETCH_SECONDS", -1.0)
    idp, runner = await serve(None)
    try:
        sso.issuer = idp.issuer
        sso.use()
        assert await problem(sso, idp) == ""
        old = idp.signed(idp.claims("ann"))
        idp.keys[0] = RSAKey.generate_key(2048, {"kid": "new", "use": "sig"})
        fresh = idp.signed(idp.claims("ann"), key="new")
        authenticate = sso.access.authenticator.authenticate
        assert (await authenticate({"token": (fresh,)})).problem == ""
        assert (await authenticate({"token": (old,)})).problem == FAILED  # its key is gone
    finally:
        await runner.cleanup()
