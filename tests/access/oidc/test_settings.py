"""What the settings say of SSO, and the configuration made for Dex (api.md 12, operations.md 1.2, 1.4)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from tests.access.building import KEY, secret, store
from tiphys.access.oidc.config import read_sso
from tiphys.access.oidc.dex import dex_config
from tiphys.access.oidc.sealing import SESSION, STATE, SealBroken, seal, unseal
from tiphys.settings.model import Settings

OIDC = "issuer: https://idp\nclientID: cd\nclientSecret: $oidc:secret\n"
DEX = """
connectors:
- type: github
  id: gh
  name: GitHub
  config: {clientID: x, clientSecret: $dex.github, orgs: [{name: acme}]}
- type: ldap
  id: ad
  name: LDAP
  config: {host: "ldap:636", bindPW: $missing}
staticClients:
- {id: mine, secret: $mine, redirectURIs: [https://mine]}
"""


def settings(**main: str) -> Settings:
    made = store({key.replace("_", "."): value for key, value in main.items()}, {"dex.github": " p$ss \n"})
    made.put(secret("oidc", {"secret": "hush-hush"}))
    return made.snapshot


def test_oidc_wins_over_dex() -> None:
    sso, problems = read_sso(
        settings(oidc_config=OIDC, dex_config=DEX, url="https://cd/", dex_auth_connectorId="gh")
    )
    assert sso is not None
    assert (sso.is_dex, sso.url, sso.oidc.client_secret) == (False, "https://cd", "hush-hush")
    assert sso.audiences == ("cd",)
    assert problems == ["argocd-cm dex.auth.connectorId: ignored, since oidc.config is set"]
    assert "hush-hush" not in repr(sso)


def test_dex_needs_a_url() -> None:
    assert read_sso(settings(dex_config=DEX))[0] is None
    sso, problems = read_sso(settings(dex_config=DEX, url="https://cd", dex_auth_connectorId="ad"))
    assert sso is not None
    assert (sso.oidc.issuer, sso.oidc.client_id, sso.connector_id) == ("https://cd/api/dex", "argo-cd", "ad")
    assert sso.audiences == ("argo-cd", "argo-cd-cli")
    assert [problem for problem in problems if "$missing" in problem]


def test_a_connector_that_is_not_there_is_told() -> None:
    sso, problems = read_sso(settings(dex_config=DEX, url="https://cd", dex_auth_connectorId="nope"))
    assert sso is not None
    assert sso.connector_id == ""
    assert "argocd-cm dex.auth.connectorId: names no connector of dex.config, ignored" in problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("[", "not valid YAML", id="no YAML"),
        pytest.param("- a", "expected a map", id="no map"),
        pytest.param("issuer: https://idp", "issuer and clientID are needed", id="no client"),
        pytest.param(
            OIDC + "userInfoCacheExpiration: soon",
            "userInfoCacheExpiration: expected a duration",
            id="duration",
        ),
        pytest.param(OIDC + "enablePKCEAuthentication: 'yes'", "expected true or false", id="flag"),
        pytest.param(
            OIDC + "azure: {graphApiEndpoint: 'http://graph.microsoft.com'}", "https", id="plain graph"
        ),
        pytest.param(
            OIDC + "azure: {graphApiEndpoint: 'https://graph.microsoft.com.evil'}", "host", id="evil graph"
        ),
    ],
)
def test_oidc_config_that_cannot_be_read(text: str, problem: str) -> None:
    sso, problems = read_sso(settings(oidc_config=text))
    assert sso is None
    assert problem in problems[0]
    assert "hush" not in problems[0]


def test_the_configuration_of_dex() -> None:
    found = dex_config(
        settings(dex_config=DEX, url="https://cd", additionalUrls="[https://more]"), log_level="info"
    )
    assert found is not None
    own, cli, pkce, mine = found.pop("staticClients")
    expected = base64.urlsafe_b64encode(hashlib.sha256(KEY.encode()).digest())[:40].decode()
    assert own["secret"] == expected
    assert own["redirectURIs"] == ["https://cd/auth/callback", "https://more/auth/callback"]
    assert cli == {
        "id": "argo-cd-cli",
        "name": "Argo CD CLI",
        "public": True,
        "redirectURIs": ["http://localhost", "http://localhost:8085/auth/callback"],
    }
    assert pkce["redirectURIs"] == ["http://localhost:4000/auth/callback"]
    assert mine["id"] == "mine"
    assert mine["secret"] == "$mine"  # names nothing: stays as it is
    github, ldap = found.pop("connectors")
    assert github["config"]["clientSecret"] == "p$$ss"  # trimmed, and safe from Dex's expansion
    assert github["config"]["redirectURI"] == "https://cd/api/dex/callback"
    assert "redirectURI" not in ldap["config"]
    assert found == {
        "issuer": "https://cd/api/dex",
        "storage": {"type": "memory"},
        "web": {"http": "0.0.0.0:5556"},
        "grpc": {"addr": "0.0.0.0:5557"},
        "telemetry": {"http": "0.0.0.0:5558"},
        "logger": {"level": "info"},
        "oauth2": {"skipApprovalScreen": True},
    }


def test_what_people_set_themselves_stays() -> None:
    text = DEX + "oauth2: {skipApprovalScreen: false, alwaysShowLoginScreen: true}\nlogger: {level: debug}\n"
    found = dex_config(settings(dex_config=text, url="https://cd"), log_level="info", log_format="json")
    assert found is not None
    assert found["oauth2"] == {"skipApprovalScreen": False, "alwaysShowLoginScreen": True}
    assert found["logger"] == {"level": "debug", "format": "json"}


def test_no_dex_no_configuration() -> None:
    assert dex_config(settings(url="https://cd")) is None
    assert dex_config(settings(dex_config=DEX)) is None


def test_what_is_sealed_is_for_one_purpose_and_one_key() -> None:
    sealed = seal("text\nü", KEY, STATE)
    assert unseal(sealed, KEY, STATE) == "text\nü"
    assert "text" not in sealed
    assert seal("text\nü", KEY, STATE) != sealed
    broken: list[Any] = [
        (sealed, KEY, SESSION),
        (sealed, KEY + "x", STATE),
        (("A" if sealed[0] != "A" else "B") + sealed[1:], KEY, STATE),
    ]
    broken += [("", KEY, STATE), ("zz", KEY, STATE), (sealed[:20], KEY, STATE), ("ü" * 40, KEY, STATE)]
    for text, key, purpose in broken:
        with pytest.raises(SealBroken):
            unseal(text, key, purpose)


def test_a_bomb_is_not_unpacked() -> None:
    sealed = seal("a" * 50_000_000, KEY, SESSION)
    assert len(sealed) < 200_000
    assert len(unseal(sealed, KEY, SESSION)) <= 256 * 1024
