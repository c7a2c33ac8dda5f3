"""``ARGOCD_RBAC_DEBUG`` and ``ARGOCD_SSO_DEBUG`` (operations.md 1.8): decisions, and the talk with the
provider, in the log, with nothing secret."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from tests.access.building import config_map, store
from tests.access.oidc.conftest import URL, Clock, Provider, issuer, oidc_config, provider
from tests.access.oidc.idp import SECRET
from tiphys.access.access import Access
from tiphys.access.identity import Identity
from tiphys.settings.params import Params

__all__ = ["issuer", "provider"]  # fixtures

POLICY = {"policy.csv": "p, ann, applications, get, team/*, allow"}


def access(params: Params, main: dict[str, str] | None = None) -> Access:
    settings = store(main, {"oidc.secret": SECRET}, POLICY, params=params)
    return Access(
        settings,
        lambda name: None,
        lambda listener: lambda: None,
        None,  # type: ignore[arg-type]
        "argocd",
        Clock(),
    )


@pytest.mark.parametrize("text", ["1", "true"])
def test_both_are_switched_on_with_1(text: str) -> None:
    params, problems = Params.load({"ARGOCD_RBAC_DEBUG": text, "ARGOCD_SSO_DEBUG": text}, {})
    assert (params.server_rbac_debug, params.server_sso_debug, problems) == (True, True, [])


@pytest.mark.parametrize("on", [True, False])
async def test_decisions(on: bool, caplog: pytest.LogCaptureFixture) -> None:
    made = access(Params(server_rbac_debug=on))
    caplog.set_level(logging.INFO)
    ann = Identity(user_id="ann", groups=("dev",))
    permits = made.enforcer.permits(ann, "applications", "sync")
    assert made.enforcer.allows(ann, "applications", "get", "team/web")
    assert not permits("team/web")
    told = [
        (record.getMessage(), *(getattr(record, name) for name in ("subject", "groups", "action", "object")))
        for record in caplog.records
        if record.getMessage().startswith("RBAC: ")
    ]
    expected = [
        ("RBAC: allowed", "ann", ["dev"], "get", "team/web"),
        ("RBAC: denied", "ann", ["dev"], "sync", "team/web"),
    ]
    assert told == (expected if on else [])
    made.close()


@pytest.fixture(params=[True, False], ids=["on", "off"])
async def sso(request: pytest.FixtureRequest, issuer: str) -> AsyncIterator[tuple[Access, bool]]:
    main = {
        "url": URL,
        "oidc.config": oidc_config(issuer, enableUserInfoGroups=True, userInfoPath="/userinfo"),
    }
    made = access(Params(server_sso_debug=request.param), main)
    yield made, request.param
    await made.sso.close()
    made.close()


async def test_the_talk_with_the_provider(
    sso: tuple[Access, bool], provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    made, on = sso
    caplog.set_level(logging.DEBUG)
    begun = await made.sso.begin("/", f"{URL}/auth/callback")
    returned = await provider.authorize(begun.url)
    query = dict(part.split("=", 1) for part in returned.partition("?")[2].split("&"))
    known = made.sso.returned(query["state"], begun.sealed)
    login = await made.sso.finish(query["code"], known, f"{URL}/auth/callback")
    await made.sso.check(login.token, login.sealed)
    told = [
        (record.getMessage(), record.__dict__.get("url"), record.__dict__.get("status"))
        for record in caplog.records
        if record.getMessage().startswith("SSO: ")
    ]
    base = provider.issuer
    expected = [
        ("SSO: asked the discovery", f"{base}/.well-known/openid-configuration", 200),
        ("SSO: asked the token endpoint", f"{base}/token", 200),
        ("SSO: asked the keys", f"{base}/keys", 200),
        ("SSO: asked the userinfo", f"{base}/userinfo", 200),
    ]
    assert told == (expected if on else [])
    said = "\n".join(str(record.__dict__) for record in caplog.records if record.name.startswith("tiphys"))
    for hidden in (SECRET, login.token, login.sealed, query["code"], query["state"]):
        assert hidden not in said


async def test_it_follows_the_settings() -> None:
    made = access(Params())
    assert not made.enforcer.explains
    made._settings._reload_params = lambda data: (Params(server_rbac_debug=True), [])
    made._settings.put(config_map("argocd-cmd-params-cm", {"any": "change"}))
    assert made.enforcer.explains
    made.close()
