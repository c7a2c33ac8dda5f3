"""The configuration that Dex runs with, made of ``dex.config`` (api.md 12 "Dex config generation"). Pure.

What an administrator writes are connectors and whatever else Dex knows; issuer, storage, ports and our
own clients are added here. ``$`` references are resolved, and a ``$`` inside of what they resolve to is
doubled, since Dex expands variables in its configuration.
"""

from collections.abc import Mapping
from typing import Any

from tiphys.access.oidc.config import (
    DEX_CLI_CLIENT,
    DEX_CLIENT,
    DEX_PKCE_CLIENT,
    base_urls,
    dex_client_secret,
)
from tiphys.access.oidc.flow import CALLBACK
from tiphys.settings.model import Settings
from tiphys.settings.problems import load_yaml, mapping
from tiphys.settings.references import References

DEX_CALLBACK = "/api/dex/callback"

WITH_REDIRECT = frozenset(
    {
        "oidc",
        "saml",
        "microsoft",
        "linkedin",
        "gitlab",
        "github",
        "bitbucket-cloud",
        "openshift",
        "gitea",
        "google",
        "oauth",
    }
)
"""Connectors that have to be told where their provider sends people back to."""

CLI_REDIRECTS = ("http://localhost", "http://localhost:8085/auth/callback")
PKCE_REDIRECTS = ("http://localhost:4000/auth/callback",)


def dex_config(settings: Settings, *, log_level: str = "", log_format: str = "") -> dict[str, Any] | None:
    """Dex's configuration, with secrets in clear; None when there is no Dex to run.

    Raises:
        ValueError: ``dex.config`` is no YAML map; the text has no values.
    """
    text = settings.raw.get("dex.config", "").strip()
    url, more = base_urls(settings.raw)
    if not text or not url:
        return None
    config = mapping(load_yaml(text))
    config = {key: _resolved(value, settings.references) for key, value in config.items()}
    config["issuer"] = f"{url}/api/dex"
    config["storage"] = {"type": "memory"}
    config["web"] = {"http": "0.0.0.0:5556"}
    config["grpc"] = {"addr": "0.0.0.0:5557"}
    config["telemetry"] = {"http": "0.0.0.0:5558"}
    if log_level or log_format:
        logger = {**_as_mapping(config.get("logger"))}
        if log_level:
            logger.setdefault("level", log_level)
        if log_format:
            logger.setdefault("format", log_format)
        config["logger"] = logger
    config["oauth2"] = {"skipApprovalScreen": True, **_as_mapping(config.get("oauth2"))}
    secret_key = settings.references.main.get("server.secretkey", "")
    own = config.get("staticClients")
    config["staticClients"] = [
        *_clients((url, *more), dex_client_secret(secret_key)),
        *(own if isinstance(own, list) else []),
    ]
    connectors = config.get("connectors")
    if isinstance(connectors, list):
        config["connectors"] = [_connector(each, url) for each in connectors]
    return config


def _clients(urls: tuple[str, ...], secret: str) -> list[dict[str, Any]]:
    return [
        {
            "id": DEX_CLIENT,
            "name": "Argo CD",
            "secret": secret,
            "redirectURIs": [f"{url}{CALLBACK}" for url in urls if url],
        },
        {
            "id": DEX_CLI_CLIENT,
            "name": "Argo CD CLI",
            "public": True,
            "redirectURIs": list(CLI_REDIRECTS),
        },
        {
            "id": DEX_PKCE_CLIENT,
            "name": "Argo CD PKCE",
            "public": True,
            "redirectURIs": list(PKCE_REDIRECTS),
        },
    ]


def _connector(connector: Any, url: str) -> Any:
    if not isinstance(connector, Mapping) or connector.get("type") not in WITH_REDIRECT:
        return connector
    config = _as_mapping(connector.get("config"))
    return {**connector, "config": {**config, "redirectURI": f"{url}{DEX_CALLBACK}"}}


def _as_mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _resolved(tree: Any, references: References) -> Any:
    if isinstance(tree, str):
        found = references.lookup(tree)
        return tree if found is None else found.replace("$", "$$")
    if isinstance(tree, Mapping):
        return {key: _resolved(value, references) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_resolved(value, references) for value in tree]
    return tree
