"""Policies and accounts that change while the API runs: nothing needs a restart (api.md 13)."""

from __future__ import annotations

from typing import Any

from tests.server.access.conftest import PASSWORD, RBAC, SETTINGS, People


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "argocd"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": data,
    }


async def test_a_right_given_and_taken(people: People) -> None:
    path = "/api/v1/account/can-i/projects/update/web"
    assert (await people.eve.get(path)).json == {"value": "no"}
    given = RBAC["policy.csv"] + "\np, role:p, projects, update, web, allow\ng, eve, role:p\n"
    people.admin.apply(config_map("argocd-rbac-cm", {"policy.csv": given}))
    await people.eve.until(path, lambda answer: answer.json == {"value": "yes"})
    # A broken policy takes nothing away; what comes after it counts again.
    people.admin.apply(config_map("argocd-rbac-cm", {"policy.csv": given + "p, rubbish\n"}))
    people.admin.apply(config_map("argocd-cm", {**SETTINGS, "accounts.new": "login"}))
    await people.admin.until("/api/v1/account/new", lambda answer: answer.status == 200)
    assert (await people.eve.get(path)).json == {"value": "yes"}
    people.admin.apply(config_map("argocd-rbac-cm", dict(RBAC)))
    await people.eve.until(path, lambda answer: answer.json == {"value": "no"})


async def test_an_account_that_is_switched_off_is_out(people: People) -> None:
    token = await people.admin.login("cat", PASSWORD)
    cat = people.admin.acting(token)
    assert (await cat.get("/api/v1/account")).status == 200
    people.admin.apply(config_map("argocd-cm", {**SETTINGS, "accounts.cat.enabled": "false"}))
    refused = await cat.until("/api/v1/account", lambda answer: answer.status == 401)
    assert refused.json["message"] == "invalid session: account cat is disabled"
    people.admin.apply(config_map("argocd-cm", SETTINGS))
    await cat.until("/api/v1/account", lambda answer: answer.status == 200)
