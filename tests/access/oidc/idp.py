"""An OpenID provider of the tests: real HTTP, real signatures, made with another library than ours.

``python -m tests.access.oidc.idp`` serves on a free port and prints its address: a process of its own.
People log in by visiting the authorization endpoint with ``login_hint=<name>``. What it shall do
wrong is told through ``/behave``; what it was asked stands in ``/asked``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"email": "ann@example.com", "groups": ["dev", "ops"]},
    "many": {"email": "many@example.com", "_claim_names": {"groups": "src1"}},
}
CLIENT, SECRET = "tiphys", "the-client-secret"


class Idp:
    """The provider; ``issuer`` is its base URL once it is served."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys = [
            RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
            ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
            OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"}),
        ]
        self.behaviour: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: dict[str, str] = {}
        self._access: dict[str, str] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/keys", self.jwks)
        app.router.add_get("/authorize", self.authorize)
        app.router.add_post("/token", self.token)
        app.router.add_get("/userinfo", self.userinfo)
        app.router.add_post("/v1.0/me/getMemberObjects", self.members)
        app.router.add_post("/behave", self.behave)
        app.router.add_post("/sign", self.sign)
        app.router.add_get("/asked", self.tell)
        return app

    async def behave(self, request: web.Request) -> web.Response:
        self.behaviour = await request.json()
        self.asked.clear()
        return web.Response()

    async def tell(self, request: web.Request) -> web.Response:
        return web.json_response(self.asked)

    async def sign(self, request: web.Request) -> web.Response:
        """A token with these claims, signed by one of the keys (``kid`` in the header unless told)."""
        wanted = await request.json()
        return web.Response(
            text=self.signed(wanted["claims"], wanted.get("header", {}), wanted.get("key", "rsa"))
        )

    def signed(self, claims: dict[str, Any], header: dict[str, Any] | None = None, key: str = "rsa") -> str:
        algorithm = {"ec": "ES256", "ed": "EdDSA"}.get(key, "RS256")
        found = next(each for each in self.keys if each.kid == key)
        full = {"alg": algorithm, "kid": key, **(header or {})}
        full = {name: value for name, value in full.items() if value is not None}
        return jwt.encode(full, claims, found, algorithms=["RS256", "ES256", "EdDSA", "RS512"])

    def claims(self, name: str, nonce: str = "", lifetime: int = 3600) -> dict[str, Any]:
        now = int(time.time())
        made = {
            "iss": self.issuer,
            "sub": f"id-{name}",
            "aud": CLIENT,
            "iat": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(8),
            "nonce": nonce or None,
            **PEOPLE[name],
            **self.behaviour.get("claims", {}),
        }
        return {key: value for key, value in made.items() if value is not None}

    async def discovery(self, request: web.Request) -> web.Response:
        self.asked.append({"path": "discovery"})
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "response_types_supported": ["code", "id_token"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
                **self.behaviour.get("discovery", {}),
            }
        )

    async def jwks(self, request: web.Request) -> web.Response:
        self.asked.append({"path": "keys"})
        return web.json_response(KeySet(self.keys).as_dict(private=False))

    async def authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append({"path": "authorize", **query})
        back = query["redirect_uri"]
        name = query.get("login_hint", "ann")
        if query["response_type"] == "id_token":
            token = self.signed(self.claims(name, query.get("nonce", "")))
            raise web.HTTPSeeOther(f"{back}#id_token={token}&state={query['state']}")
        code = secrets.token_hex(8)
        self._codes[code] = {**query, "name": name}
        raise web.HTTPSeeOther(f"{back}?code={code}&state={query['state']}")

    async def token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        self.asked.append({"path": "token", "basic": bool(basic), **{k: str(v) for k, v in form.items()}})
        if form.get("client_assertion"):
            is_client = form.get("client_id") == CLIENT
        elif basic:
            is_client = base64.b64decode(basic).decode() == f"{CLIENT}:{SECRET}"
        else:
            is_client = (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        if not is_client:
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "refresh_token":
            name = self._refresh.pop(str(form["refresh_token"]), "")  # each is good once
            if not name:
                return web.json_response({"error": "invalid_grant"}, status=400)
            return self._tokens(name, "")
        login = self._codes.pop(str(form["code"]), None)
        if login is None or login["redirect_uri"] != form["redirect_uri"] or not _proves(form, login):
            return web.json_response({"error": "invalid_grant", "error_description": "x"}, status=400)
        return self._tokens(login["name"], login.get("nonce", ""))

    def _tokens(self, name: str, nonce: str) -> web.Response:
        access, refresh = secrets.token_hex(8), secrets.token_hex(8)
        self._access[access], self._refresh[refresh] = name, name
        lifetime = self.behaviour.get("lifetime", 3600)
        found = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh,
            "id_token": self.signed(self.claims(name, nonce, lifetime)),
        }
        for absent in self.behaviour.get("without", []):
            found.pop(absent)
        return web.json_response(found)

    def _person(self, request: web.Request) -> str:
        return self._access.get(request.headers.get("Authorization", "").removeprefix("Bearer "), "")

    async def userinfo(self, request: web.Request) -> web.Response:
        name = self._person(request)
        self.asked.append({"path": "userinfo", "name": name})
        if not name:
            return web.json_response({"error": "invalid_token"}, status=401)
        info = {"sub": f"id-{name}", "groups": ["from-userinfo"], **self.behaviour.get("userinfo", {})}
        if self.behaviour.get("userinfo_jwt"):
            return web.Response(text=self.signed(info), content_type="application/jwt")
        return web.json_response(info)

    async def members(self, request: web.Request) -> web.Response:
        name = self._person(request)
        self.asked.append({"path": "members", "name": name, "body": await request.json()})
        if not name:
            return web.json_response({}, status=401)
        return web.json_response({"value": ["from-graph"]})


def _proves(form: dict[str, Any], login: dict[str, str]) -> bool:
    challenge = login.get("code_challenge")
    if not challenge:
        return "code_verifier" not in form
    digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge


async def _serve() -> None:
    idp = Idp()
    runner = web.AppRunner(idp.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    idp.issuer = f"http://127.0.0.1:{port}"
    print(json.dumps({"issuer": idp.issuer}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import asyncio

    asyncio.run(_serve())
