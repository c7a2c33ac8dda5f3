"""Talking to the identity provider: discovery, keys, codes for tokens, userinfo (api.md 12).

What it publishes is kept for an hour, its failures for some seconds, and one question is asked once
however many callers want to know: made-up tokens cannot turn us against it. Answers are bounded, and
texts of failures hold its error codes, never what was sent. Dex is asked at its address inside of the
cluster, whatever host its issuer names.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus, urlsplit

import aiohttp
import jwt
import msgspec

from tiphys.access.errors import AccessError
from tiphys.access.oidc.config import Sso
from tiphys.settings.secrecy import redacted
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

KEPT_SECONDS = 3600.0
FAILURE_SECONDS = 5.0
REFETCH_SECONDS = 3.0
"""Between two fetches of keys because a token names an unknown one."""

_TIMEOUT = aiohttp.ClientTimeout(total=20.0, connect=10.0)
_LARGEST = 1024 * 1024

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ProviderError(AccessError):
    """The identity provider refuses, or cannot be asked. ``status``: its HTTP status, 0: none."""

    def __init__(self, what: str, why: str, status: int = 0):
        super().__init__(f"{what}: {why}")
        self.status = status


class Discovery(msgspec.Struct, frozen=True):
    """``/.well-known/openid-configuration``."""

    issuer: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    jwks_uri: str = ""
    response_types_supported: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    id_token_signing_alg_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)

    @property
    def takes_basic(self) -> bool:
        """Whether clients show their secret with HTTP Basic (else in the form)."""
        methods = self.token_endpoint_auth_methods_supported
        return "client_secret_basic" in methods or "client_secret_post" not in methods


class Tokens(msgspec.Struct, frozen=True):
    """What the token endpoint gives; ``expires_in`` (seconds, 0 unknown) is the access token's."""

    id_token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: float = 0.0

    def __repr__(self) -> str:
        return redacted(self, frozenset({"id_token", "access_token", "refresh_token"}))


class Reach(msgspec.Struct, frozen=True):
    """How the provider is reached.

    Attributes:
        dex: base URL of Dex inside of the cluster (scheme and host).
        dex_strict: verify Dex's certificate with the CAs in ``dex_ca``.
        azure_token_file: the federated token of Azure's workload identity.
        explains: write what is asked to the log (``ARGOCD_SSO_DEBUG=1``), without anything secret.
    """

    dex: str = ""
    dex_strict: bool = False
    dex_ca: Path = Path("/app/config/dex/tls/ca.crt")
    azure_token_file: str = ""
    explains: bool = False


class Provider:
    """One identity provider as configured; a change of the settings makes a new one.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, sso: Sso, reach: Reach, monotonic: Callable[[], float]):
        self.sso = sso
        self._reach = reach
        self._monotonic = monotonic
        self._session: aiohttp.ClientSession | None = None
        self._discovery = _Kept(self._fetch_discovery, monotonic)
        self._keys = _Kept(self._fetch_keys, monotonic)

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def discovery(self) -> Discovery:
        """What the provider says of itself.

        Raises:
            ProviderError: it cannot be had, or is another's.
        """
        return await self._discovery.get()

    async def keys(self, key_id: str) -> list[jwt.PyJWK]:
        """The keys that may have signed a token: those of an id, all when the token names none. An
        unknown id makes the keys be fetched again, once in a while.

        Raises:
            ProviderError: keys cannot be had.
        """
        keys = _with_id(await self._keys.get(), key_id)
        if not keys and self._keys.age() > REFETCH_SECONDS:
            keys = _with_id(await self._keys.get(older_than=REFETCH_SECONDS), key_id)
        return keys

    async def exchange(self, code: str, redirect_uri: str, verifier: str) -> Tokens:
        """Tokens for the code of a login.

        Raises:
            ProviderError: with the provider's error code.
        """
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if verifier:
            fields["code_verifier"] = verifier
        return await self._tokens(fields)

    async def refresh(self, refresh_token: str) -> Tokens:
        """Fresh tokens.

        Raises:
            ProviderError: with the provider's error code.
        """
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "scope": " ".join(self.sso.scopes),
        }
        return await self._tokens(fields)

    async def userinfo(self, access_token: str) -> Mapping[str, Any] | str:
        """Claims of the userinfo endpoint, or a JWT with them.

        Raises:
            ProviderError: status 401 when the access token is not taken (any more).
        """
        config = self.sso.oidc
        base = config.userinfo_base_url or config.issuer
        url = f"{base.rstrip('/')}/{config.userinfo_path.lstrip('/')}"
        headers = {"Authorization": f"Bearer {access_token}"}
        kind, body = await self._request("GET", url, "userinfo", headers=headers)
        if kind == "application/jwt":
            return body.decode("ascii", "replace").strip()
        return _object(body, "userinfo")

    async def member_objects(self, access_token: str) -> tuple[str, ...]:
        """Groups of an Azure user who is in too many for a token (Microsoft Graph).

        Raises:
            ProviderError: as for :meth:`userinfo`.
        """
        url = f"{self.sso.oidc.azure.graph_endpoint}/v1.0/me/getMemberObjects"
        headers = {"Authorization": f"Bearer {access_token}"}
        _, body = await self._request(
            "POST", url, "Microsoft Graph", headers=headers, json={"securityEnabledOnly": False}
        )
        value = _object(body, "Microsoft Graph").get("value")
        if not isinstance(value, list):
            raise ProviderError("Microsoft Graph", "the answer holds no list")
        return tuple(each for each in value if isinstance(each, str))

    async def _tokens(self, fields: dict[str, str]) -> Tokens:
        config = self.sso.oidc
        discovery = await self.discovery()
        headers = {}
        if config.azure.workload_identity:
            assertion = await asyncio.to_thread(_read, self._reach.azure_token_file)
            fields |= {
                "client_id": config.client_id,
                "client_assertion_type": ASSERTION,
                "client_assertion": assertion,
            }
        elif config.client_secret and discovery.takes_basic:
            shown = aiohttp.encode_basic_auth(_form(config.client_id), _form(config.client_secret))
            headers["Authorization"] = shown
        else:
            fields["client_id"] = config.client_id
            if config.client_secret:
                fields["client_secret"] = config.client_secret
        _, body = await self._request(
            "POST", discovery.token_endpoint, "token endpoint", data=fields, headers=headers
        )
        found = _object(body, "token endpoint")
        expires = found.get("expires_in")
        return Tokens(
            id_token=_text(found, "id_token"),
            access_token=_text(found, "access_token"),
            refresh_token=_text(found, "refresh_token"),
            expires_in=float(expires) if isinstance(expires, int | float) else 0.0,
        )

    async def _fetch_discovery(self) -> Discovery:
        issuer = self.sso.oidc.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        _, body = await self._request("GET", url, "discovery")
        try:
            found = msgspec.json.decode(body, type=Discovery)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ProviderError("discovery", "not the answer of an OpenID provider") from None
        if found.issuer != issuer:
            raise ProviderError(
                "discovery", f"the provider calls itself {found.issuer!r}, the settings {issuer!r}"
            )
        return found

    async def _fetch_keys(self) -> list[jwt.PyJWK]:
        discovery = await self.discovery()
        _, body = await self._request("GET", discovery.jwks_uri, "keys")
        try:
            found = jwt.PyJWKSet.from_dict(dict(_object(body, "keys"))).keys
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
            raise ProviderError("keys", "not a set of keys") from None
        return [key for key in found if key.public_key_use in (None, "sig")]

    async def _request(self, verb: str, url: str, what: str, **arguments: Any) -> tuple[str, bytes]:
        try:
            async with self._http().request(
                verb, self._address(url), timeout=_TIMEOUT, allow_redirects=verb == "GET", **arguments
            ) as answer:
                body = await answer.content.read(_LARGEST + 1)
                while len(body) <= _LARGEST and (more := await answer.content.read(_LARGEST)):
                    body += more
                if self._reach.explains:
                    _explain(verb, url, what, arguments, answer, body)
                if len(body) > _LARGEST:
                    raise ProviderError(what, "the answer is too large", answer.status)
                if answer.status != 200:
                    raise ProviderError(what, _refusal(answer.status, body), answer.status)
                return answer.content_type, body
        except aiohttp.InvalidURL:
            raise ProviderError(what, "no usable URL") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(what, f"cannot be reached ({type(error).__name__})") from None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(ssl=self._tls(), limit=20)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=True)
        return self._session

    def _tls(self) -> ssl.SSLContext:
        sso = self.sso
        try:
            if sso.is_dex:
                # As in the reference: Dex has a certificate of its own making and is reached inside the
                # cluster; what is secret in the conversation is bound to its client secret.
                return strict_context(self._reach.dex_ca) if self._reach.dex_strict else insecure_context()
            if sso.insecure:
                return insecure_context()
            return ssl.create_default_context(cadata=sso.oidc.root_ca or None)
        except (OSError, ValueError):
            raise ProviderError("certificates", "the CA of the identity provider cannot be read") from None

    def _address(self, url: str) -> str:
        if not self.sso.is_dex or not self._reach.dex:
            return url
        asked, inside = urlsplit(url), urlsplit(self._reach.dex)
        return asked._replace(scheme=inside.scheme, netloc=inside.netloc).geturl()


@lru_cache(maxsize=1)
def insecure_context() -> ssl.SSLContext:
    """TLS that verifies nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def strict_context(ca: Path) -> ssl.SSLContext:
    """TLS that trusts the CAs of a file only; read again when the file changes.

    Raises:
        OSError: it cannot be read.
    """
    return _strict_context(str(ca), ca.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _strict_context(ca: str, _changed: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


class _Kept(Generic[T]):
    """A value that is fetched when it is wanted, and kept for a while; so is a failure."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], monotonic: Callable[[], float]):
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._since: float | None = None
        self._failure: tuple[float, ProviderError] | None = None

    def age(self) -> float:
        """Seconds since the value was fetched."""
        return float("inf") if self._since is None else self._monotonic() - self._since

    async def get(self, older_than: float = KEPT_SECONDS) -> T:
        """The value, fetched again when it is older (seconds)."""
        if self._value is not None and self.age() <= older_than:
            return self._value
        async with self._lock:
            if self._value is not None and self.age() <= older_than:
                return self._value
            now = self._monotonic()
            if self._failure is not None and now - self._failure[0] < FAILURE_SECONDS:
                raise self._failure[1]
            try:
                self._value = await self._fetch()
            except ProviderError as error:
                self._failure = (self._monotonic(), error)
                if self._value is not None and older_than >= KEPT_SECONDS:
                    return self._value  # what was true an hour ago is better than no login at all
                raise
            self._since, self._failure = self._monotonic(), None
            return self._value


def _with_id(keys: list[jwt.PyJWK], key_id: str) -> list[jwt.PyJWK]:
    return [key for key in keys if key.key_id == key_id] if key_id else keys


def _explain(
    verb: str, url: str, what: str, sent: Mapping[str, Any], answer: aiohttp.ClientResponse, body: bytes
) -> None:
    """Tell what was said: names of fields, the provider's error code, no values."""
    try:
        fields = sorted(map(str, json.loads(body)))[:50]
    except (ValueError, RecursionError, TypeError):
        fields = []
    log.info(
        "SSO: asked the %s",
        what,
        extra={
            "method": verb,
            "url": _shown(url),
            "sent": sorted(sent.get("data") or sent.get("json") or ()),
            "status": answer.status,
            "type": answer.content_type,
            "bytes": len(body),
            "answered": fields,
        },
    )
    if answer.status != 200:
        log.info("SSO: the %s refuses: %s", what, _refusal(answer.status, body))


def _shown(url: str) -> str:
    """An address without a query and without credentials."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _object(body: bytes, what: str) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderError(what, "the answer is no JSON object")
    return found


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _refusal(status: int, body: bytes) -> str:
    """The OAuth error code of a refusal; descriptions may quote what was sent."""
    try:
        code = json.loads(body).get("error")
    except (ValueError, RecursionError, AttributeError):
        code = None
    return f"HTTP {status}" + (f", {code[:64]}" if isinstance(code, str) else "")


def _form(text: str) -> str:
    """Credentials in HTTP Basic are form-encoded first (RFC 6749, 2.3.1)."""
    return quote_plus(text)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ProviderError("workload identity", f"token file: {error.strerror}") from None
