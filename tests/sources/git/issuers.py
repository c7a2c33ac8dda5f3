"""Issuers of tokens on loopback, over HTTPS: GitHub's API, Google's and Entra ID's token endpoints.

They check what they are shown as the real ones do (signatures, audiences, times), give tokens that the
test's Git server takes, and note every request.
"""

import asyncio
import datetime
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from tests.gitservers import Authority

APP = 4711
CLIENT, TENANT = "the-client", "the-tenant"
CLIENT_SECRET = "s3cr3t-of-the-principal"
FEDERATED = "eyJ-the-federated-token"
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"

ANY_TIME: Options = {"verify_iat": False}
"""Tests have clocks of their own."""


class Issuers:
    """All three at one address. Attributes may be changed while it runs.

    Attributes:
        give: the next token.
        lasting: seconds that tokens last.
        installations: id → account of the GitHub App.
        status: answered instead of a token, with ``words``; 0: tokens are given.
    """

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = ""
        self.give = "ghs_first-token"
        self.lasting = 3600
        self.installations = {7: "Team", 8: "Other"}
        self.status = 0
        self.words: Any = {"message": "Bad credentials"}
        self.requests: list[str] = []

    def pem(self, kind: serialization.PrivateFormat = serialization.PrivateFormat.TraditionalOpenSSL) -> str:
        """GitHub gives keys in PKCS#1, Google in PKCS#8."""
        return self.key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()

    def public_pem(self) -> str:
        public, kind = self.key.public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
        return public.public_bytes(serialization.Encoding.PEM, kind).decode()

    def google_key(self, **changes: Any) -> str:
        return json.dumps(
            {
                "type": "service_account",
                "client_email": "deploy@project.iam.gserviceaccount.com",
                "private_key": self.pem(serialization.PrivateFormat.PKCS8),
                "private_key_id": "kid-1",
                "token_uri": f"{self.url}/google/token",
            }
            | changes
        )

    def _refusal(self) -> web.Response | None:
        return web.json_response(self.words, status=self.status) if self.status else None

    def _app(self, request: web.Request) -> None:
        shown = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(shown, self.key.public_key(), algorithms=["RS256"], options=ANY_TIME)
        assert claims["iss"] == str(APP)
        assert claims["exp"] - claims["iat"] <= 600

    async def installations_of_app(self, request: web.Request) -> web.Response:
        self.requests.append(f"GET {request.path_qs}")
        self._app(request)
        page, size = int(request.query["page"]), int(request.query["per_page"])
        listed = [{"id": id_, "account": {"login": name}} for id_, name in self.installations.items()]
        return self._refusal() or web.json_response(listed[(page - 1) * size : page * size])

    async def access_token(self, request: web.Request) -> web.Response:
        self.requests.append(f"POST {request.path}")
        self._app(request)
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.lasting)
        body = {"token": self.give, "expires_at": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return self._refusal() or web.json_response(body, status=201)

    async def google(self, request: web.Request) -> web.Response:
        self.requests.append(f"POST {request.path}")
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        shown = str(form["assertion"])
        assert jwt.get_unverified_header(shown)["kid"] == "kid-1"
        claims = jwt.decode(
            shown,
            self.key.public_key(),
            algorithms=["RS256"],
            audience=f"{self.url}/google/token",
            options=ANY_TIME,
        )
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        body = {"access_token": self.give, "expires_in": self.lasting, "token_type": "Bearer"}
        return self._refusal() or web.json_response(body)

    async def azure(self, request: web.Request) -> web.Response:
        self.requests.append(f"POST {request.path}")
        form = await request.post()
        assert request.match_info["tenant"] == TENANT
        assert (form["grant_type"], form["client_id"], form["scope"]) == ("client_credentials", CLIENT, SCOPE)
        if "client_assertion" in form:
            assert str(form["client_assertion_type"]).endswith("jwt-bearer")
            assert form["client_assertion"] == FEDERATED
        else:
            assert form["client_secret"] == CLIENT_SECRET
        body = {"access_token": self.give, "expires_in": str(self.lasting), "token_type": "Bearer"}
        return self._refusal() or web.json_response(body)


@asynccontextmanager
async def issuing(folder: Path, authority: Authority) -> AsyncIterator[Issuers]:
    """Run them on loopback, with a certificate of the authority."""
    certificate, key = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await asyncio.to_thread(_load, context, folder, certificate, key)
    made = Issuers()
    application = web.Application()
    application.router.add_get("/api/v3/app/installations", made.installations_of_app)
    application.router.add_post("/api/v3/app/installations/{id}/access_tokens", made.access_token)
    application.router.add_post("/google/token", made.google)
    application.router.add_post("/{tenant}/oauth2/v2.0/token", made.azure)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        made.url = f"https://localhost:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def _load(context: ssl.SSLContext, folder: Path, certificate: str, key: str) -> None:
    folder.mkdir()
    (folder / "crt").write_text(certificate)
    (folder / "key").write_text(key)
    context.load_cert_chain(folder / "crt", folder / "key")
