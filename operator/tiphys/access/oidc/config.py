"""What the settings say of single sign-on (api.md 12, operations.md 1.2 "SSO"). Pure.

SSO is on when ``oidc.config`` can be read, or when ``dex.config`` and ``url`` are there; the first one
wins. Dex is an OIDC provider of ours: its issuer is ``<url>/api/dex``, its clients have fixed names,
and it is reached at an address inside of the cluster.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiphys.settings.model import Settings
from tiphys.settings.problems import load_yaml, mapping, texts
from tiphys.settings.references import References
from tiphys.settings.secrecy import redacted
from tiphys.settings.values import duration

DEFAULT_SCOPES = ("openid", "profile", "email", "groups")
DEX_CLIENT, DEX_CLI_CLIENT, DEX_PKCE_CLIENT = "argo-cd", "argo-cd-cli", "argo-cd-pkce"

GRAPH_HOSTS = frozenset(
    {
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
        "graph.microsoft.de",
    }
)
"""Hosts of Microsoft Graph; an access token is sent to no other (operations.md 1.2)."""


class Azure(msgspec.Struct, frozen=True):
    """What is particular to Azure."""

    workload_identity: bool = False
    groups_overage: bool = False
    graph_endpoint: str = "https://graph.microsoft.com"
    overage_cache: float = 180.0


class Claim(msgspec.Struct, frozen=True):
    """A claim to ask for in the ID token."""

    essential: bool = False
    value: str = ""
    values: tuple[str, ...] = ()


class OidcConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``oidc.config``; durations are seconds."""

    name: str = ""
    issuer: str = ""
    client_id: str = ""
    client_secret: str = ""
    cli_client_id: str = ""
    enable_userinfo_groups: bool = False
    userinfo_base_url: str = ""
    userinfo_path: str = ""
    userinfo_cache: float = 180.0
    requested_scopes: tuple[str, ...] = ()
    requested_claims: Mapping[str, Claim] = {}
    logout_url: str = ""
    root_ca: str = ""
    pkce: bool = False
    domain_hint: str = ""
    azure: Azure = Azure()
    refresh_threshold: float = 0.0
    allowed_audiences: tuple[str, ...] = ()
    skip_audience_without_one: bool = False

    def __repr__(self) -> str:
        return redacted(self, frozenset({"client_secret"}))


class Sso(msgspec.Struct, frozen=True, kw_only=True):
    """Single sign-on as it is configured.

    Attributes:
        oidc: its own configuration; for Dex the fixed one.
        is_dex: through Dex.
        url: base URL of the installation, without a slash at the end; ``""`` when there is none.
        additional_urls: further ones.
        connector_id: the Dex connector that is chosen for people, or ``""``.
        insecure: the provider's certificate is not verified.
    """

    oidc: OidcConfig
    is_dex: bool = False
    url: str = ""
    additional_urls: tuple[str, ...] = ()
    connector_id: str = ""
    insecure: bool = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes to ask for."""
        return self.oidc.requested_scopes or DEFAULT_SCOPES

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom a token may be for."""
        if self.is_dex:
            return (DEX_CLIENT, DEX_CLI_CLIENT)
        own = (self.oidc.client_id, self.oidc.cli_client_id)
        return self.oidc.allowed_audiences or tuple(client for client in own if client)

    @property
    def urls(self) -> tuple[str, ...]:
        """All base URLs of the installation."""
        return tuple(url for url in (self.url, *self.additional_urls) if url)


def base_urls(raw: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """``url`` and ``additionalUrls``; what cannot be read is left out."""
    try:
        more = texts(load_yaml(raw.get("additionalUrls", "")))
    except ValueError:
        more = ()
    return raw.get("url", "").strip().rstrip("/"), tuple(url.strip().rstrip("/") for url in more)


def read_sso(settings: Settings) -> tuple[Sso | None, list[str]]:
    """The SSO of the settings, or None; and what is wrong with them (never with a secret)."""
    raw, references = settings.raw, settings.references
    problems: list[str] = []
    url, more = base_urls(raw)
    if text := raw.get("oidc.config", "").strip():
        try:
            config = read_oidc(text, references)
        except ValueError as error:
            problems.append(f"argocd-cm oidc.config: {error}")
        else:
            problems += unresolved(text, "oidc.config", references)
            insecure = raw.get("oidc.tls.insecure.skip.verify") == "true"
            if raw.get("dex.auth.connectorId"):
                problems.append("argocd-cm dex.auth.connectorId: ignored, since oidc.config is set")
            return Sso(oidc=config, url=url, additional_urls=more, insecure=insecure), problems
    text = raw.get("dex.config", "").strip()
    if not text or not url:
        return None, problems
    try:
        connectors = connectors_of(text)
    except ValueError as error:
        return None, [*problems, f"argocd-cm dex.config: {error}"]
    problems += unresolved(text, "dex.config", references)
    chosen = raw.get("dex.auth.connectorId", "")
    if chosen and all(connector.get("id") != chosen for connector in connectors):
        problems.append("argocd-cm dex.auth.connectorId: names no connector of dex.config, ignored")
        chosen = ""
    dex = OidcConfig(
        name="Dex",
        issuer=f"{url}/api/dex",
        client_id=DEX_CLIENT,
        client_secret=dex_client_secret(references.main.get("server.secretkey", "")),
        cli_client_id=DEX_CLI_CLIENT,
    )
    return Sso(oidc=dex, is_dex=True, url=url, additional_urls=more, connector_id=chosen), problems


def dex_client_secret(secret_key: str) -> str:
    """The secret that Dex and we share: made of the signing key, so that nobody has to store it."""
    digest = hashlib.sha256(secret_key.encode("utf-8", "surrogateescape")).digest()
    return base64.urlsafe_b64encode(digest).decode()[:40]


def connectors_of(text: str) -> list[dict[str, Any]]:
    """The connectors of ``dex.config``.

    Raises:
        ValueError: no YAML map.
    """
    found = mapping(load_yaml(text)).get("connectors")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def unresolved(text: str, key: str, references: References) -> Iterator[str]:
    """What to say of references that name nothing (the names are no secrets)."""
    for reference in references.unresolved(load_yaml(text)):
        yield f"argocd-cm {key}: {reference} names nothing in argocd-secret or a Secret of the installation"


def read_oidc(text: str, references: References) -> OidcConfig:
    """``oidc.config``, its ``$`` references resolved.

    Raises:
        ValueError: no YAML map, or a value of the wrong type; the text names the field only.
    """
    fields = mapping(references.resolve_all(mapping(load_yaml(text))))
    reader = _Reader(fields)
    azure = _Reader(mapping(fields.get("azure")))
    endpoint = azure.text("graphApiEndpoint").rstrip("/") or Azure().graph_endpoint
    where = urlsplit(endpoint)
    if where.scheme != "https" or where.netloc not in GRAPH_HOSTS:
        raise ValueError("azure.graphApiEndpoint: expected https and a host of Microsoft Graph")
    config = OidcConfig(
        name=reader.text("name"),
        issuer=reader.text("issuer"),
        client_id=reader.text("clientID"),
        client_secret=reader.text("clientSecret"),
        cli_client_id=reader.text("cliClientID"),
        enable_userinfo_groups=reader.flag("enableUserInfoGroups"),
        userinfo_base_url=reader.text("userInfoBaseURL"),
        userinfo_path=reader.text("userInfoPath"),
        userinfo_cache=reader.seconds("userInfoCacheExpiration", 180.0),
        requested_scopes=texts(fields.get("requestedScopes")),
        requested_claims=_claims(fields.get("requestedIDTokenClaims")),
        logout_url=reader.text("logoutURL"),
        root_ca=reader.text("rootCA"),
        pkce=reader.flag("enablePKCEAuthentication"),
        domain_hint=reader.text("domainHint"),
        azure=Azure(
            azure.flag("useWorkloadIdentity"),
            azure.flag("enableUserGroupOverageClaim"),
            endpoint,
            azure.seconds("userGroupOverageClaimCacheExpiration", 180.0),
        ),
        refresh_threshold=reader.seconds("refreshTokenThreshold", 0.0),
        allowed_audiences=texts(fields.get("allowedAudiences")),
        skip_audience_without_one=reader.flag("skipAudienceCheckWhenTokenHasNoAudience"),
    )
    if not config.issuer or not config.client_id:
        raise ValueError("issuer and clientID are needed")
    return config


class _Reader:
    def __init__(self, fields: Mapping[str, Any]):
        self._fields = fields

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if value is None:
            return ""
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value).strip()
        raise ValueError(f"{name}: expected a text")

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise ValueError(f"{name}: expected true or false")

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name)
        try:
            return duration(text) if text else default
        except ValueError:
            raise ValueError(f"{name}: expected a duration such as 5m") from None


def _claims(value: Any) -> dict[str, Claim]:
    found = {}
    for name, fields in mapping(value).items():
        wanted = mapping(fields)
        found[name] = Claim(
            wanted.get("essential") is True, str(wanted.get("value") or ""), texts(wanted.get("values"))
        )
    return found
