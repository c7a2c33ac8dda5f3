"""Accounts over the API (api.md 9 "Account / Session / Settings / Version", 11)."""

from __future__ import annotations

import pytest

from tests.server.access.conftest import PASSWORD, People

CAN_I = "/api/v1/account/can-i"


async def test_lists_hold_what_one_may_see(people: People) -> None:
    everything = (await people.admin.get("/api/v1/account")).json["items"]
    assert [each["name"] for each in everything] == ["admin", "ann", "ben", "cat", "eve", "off"]
    assert everything[0] == {"name": "admin", "enabled": True, "capabilities": ["login"]}
    assert everything[-1] == {"name": "off", "capabilities": ["login"]}
    own = (await people.eve.get("/api/v1/account")).json["items"]
    assert [each["name"] for each in own] == ["eve"]


async def test_accounts_of_others_are_refused_in_detail(people: People) -> None:
    assert (await people.eve.get("/api/v1/account/eve")).status == 200
    refused = await people.eve.get("/api/v1/account/ann")
    assert refused.status == 403
    assert refused.json["message"].startswith("permission denied: accounts, get, ann, sub: eve, iat: ")
    unknown = await people.admin.get("/api/v1/account/dan")
    assert (unknown.status, unknown.json["message"]) == (404, "account 'dan' does not exist")


async def test_nobody_is_asked_to_log_in(people: People) -> None:
    for verb, path in (("GET", "/api/v1/account"), ("GET", f"{CAN_I}/projects/get/x")):
        answer = await people.nobody.call(verb, path)
        assert (answer.status, answer.json["message"]) == (401, "no session information")


async def test_a_token_lives_until_it_is_deleted(people: People) -> None:
    made = await people.ann.call("POST", "/api/v1/account/ann/token", body={"id": "ci", "expiresIn": 3600})
    assert made.status == 200, made.text
    script = people.admin.acting(made.json["token"])
    assert (await script.get("/api/v1/session/userinfo")).json["username"] == "ann"
    stored = (await people.ann.get("/api/v1/account/ann")).json["tokens"]
    assert [each["id"] for each in stored] == ["ci"]
    assert int(stored[0]["expiresAt"]) - int(stored[0]["issuedAt"]) == 3600
    twice = await people.ann.call("POST", "/api/v1/account/ann/token", body={"id": "ci"})
    assert (twice.status, twice.json["message"]) == (500, "account already has token with id 'ci'")
    assert (await people.ann.call("DELETE", "/api/v1/account/ann/token/ci")).json == {}
    assert (await script.get("/api/v1/account")).json["message"] == (
        "invalid session: account ann does not have token with id ci"
    )
    gone = await people.ann.call("DELETE", "/api/v1/account/ann/token/ci")
    assert (gone.status, gone.json["message"]) == (404, "token with id 'ci' does not exist")


async def test_tokens_without_an_id_or_an_end(people: People) -> None:
    made = [await people.ann.call("POST", "/api/v1/account/ann/token", body={}) for _ in range(2)]
    assert [each.status for each in made] == [200, 200]
    stored = (await people.ann.get("/api/v1/account/ann")).json["tokens"]
    assert len({each["id"] for each in stored}) == 2
    assert all("expiresAt" not in each for each in stored)


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("eve", 500, "account 'eve' does not have apiKey capability"),
        ("ann", 403, "permission denied: accounts, update, ann, sub: eve"),
    ],
)
async def test_who_may_make_tokens(people: People, name: str, status: int, message: str) -> None:
    refused = await people.eve.call("POST", f"/api/v1/account/{name}/token", body={})
    assert refused.status == status
    assert refused.json["message"].startswith(message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(
            {"currentPassword": "wrong", "newPassword": "long-enough"},
            400,
            "current password does not match",
            id="wrong current password",
        ),
        pytest.param(
            {"currentPassword": PASSWORD, "newPassword": "short"},
            500,
            "new password does not match the following expression: ^.{8,32}$",
            id="pattern",
        ),
        pytest.param(
            {"name": "ann", "currentPassword": PASSWORD, "newPassword": "long-enough"},
            403,
            "permission denied: accounts, update, ann, sub: ben",
            id="no right to another's",
        ),
    ],
)
async def test_refused_passwords(people: People, body: dict[str, str], status: int, message: str) -> None:
    refused = await people.ben.call("PUT", "/api/v1/account/password", body=body)
    assert refused.status == status
    assert refused.json["message"].startswith(message)
    assert body["newPassword"] not in refused.text


async def test_a_role_of_a_project_has_no_password(people: People) -> None:
    project = {"metadata": {"name": "roles"}, "spec": {"roles": [{"name": "ci"}]}}
    made = await people.admin.call("POST", "/api/v1/projects", body={"project": project})
    assert made.status == 200, made.text
    token = await people.admin.call("POST", "/api/v1/projects/roles/roles/ci/token", body={})
    body = {"currentPassword": PASSWORD, "newPassword": "long-enough"}
    refused = await people.admin.acting(token.json["token"]).call(
        "PUT", "/api/v1/account/password", body=body
    )
    assert refused.status == 400
    assert refused.json["message"] == (
        'password can only be changed for local users, not user "proj:roles:ci"'
    )


async def test_a_new_password_ends_old_sessions(people: People) -> None:
    # ben may change cat's password with his own
    cat = people.admin.acting(await people.admin.login("cat", PASSWORD))
    body = {"name": "cat", "currentPassword": PASSWORD, "newPassword": "brand-new-pass"}
    assert (await people.ben.call("PUT", "/api/v1/account/password", body=body)).json == {}
    # whole seconds count: a token of the same second stays good (api.md 9)
    fresh = people.admin.acting(await people.admin.login("cat", "brand-new-pass"))
    assert (await fresh.get("/api/v1/account")).status == 200
    wrong = await people.nobody.call(
        "POST", "/api/v1/session", body={"username": "cat", "password": PASSWORD}
    )
    assert wrong.status == 401
    assert cat.token != fresh.token
    absent = {"name": "dan", "currentPassword": "", "newPassword": "long-enough"}
    absent["currentPassword"] = people.admin.admin_password()
    answer = await people.admin.call("PUT", "/api/v1/account/password", body=absent)
    assert (answer.status, answer.json["message"]) == (404, "account 'dan' does not exist")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("applications/sync/web/shop", "yes", id="allowed"),
        pytest.param("applications/sync/api/shop", "no", id="other project"),
        pytest.param("applications/delete/web/shop", "no", id="other action"),
        pytest.param("exec/create/web/shop", "no", id="denied"),
        pytest.param("applications/rollback/web/shop", "yes", id="rollback is sync"),
        pytest.param("accounts/get/anything", "yes", id="not of a project"),
    ],
)
async def test_can_i(people: People, path: str, value: str) -> None:
    assert (await people.ben.get(f"{CAN_I}/{path}")).json == {"value": value}


async def test_can_i_takes_the_namespace_of_the_control_plane_out(people: People) -> None:
    path = f"{CAN_I}/applications/sync/web/{people.admin.namespace}/shop"
    assert (await people.ben.get(path)).json == {"value": "yes"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "applications/jump/x",
            "[get create update delete sync rollback override action invoke] does not contain jump",
        ),
        (
            "apples/get/x",
            "[clusters projects applications applicationsets repositories write-repositories certificates "
            "accounts gpgkeys logs exec extensions] does not contain apples",
        ),
    ],
)
async def test_can_i_knows_its_words(people: People, path: str, message: str) -> None:
    answer = await people.ben.get(f"{CAN_I}/{path}")
    assert (answer.status, answer.json["message"]) == (400, message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(
            {"token": "x"},
            401,
            "token-based session creation no longer supported. please upgrade argocd cli to v0.7+",
            id="token",
        ),
        pytest.param({"username": "ann"}, 401, "no credentials supplied", id="no password"),
        pytest.param(
            {"username": "a" * 33, "password": "x"}, 400, "Username is too long (32 bytes max)", id="long"
        ),
        pytest.param({"username": "off", "password": PASSWORD}, 401, "Account off is disabled", id="off"),
    ],
)
async def test_login_table(people: People, body: dict[str, str], status: int, message: str) -> None:
    answer = await people.nobody.call("POST", "/api/v1/session", body=body)
    assert (answer.status, answer.json["message"]) == (status, message)


async def test_login_sets_the_cookie_and_deleting_clears_nothing(people: People) -> None:
    answer = await people.nobody.call(
        "POST", "/api/v1/session", body={"username": "eve", "password": PASSWORD}
    )
    assert (
        f"argocd.token={answer.json['token']}; path=/; SameSite=lax; httpOnly" in answer.headers["Set-Cookie"]
    )
    deleted = await people.eve.call("DELETE", "/api/v1/session")
    assert deleted.json == {}
    assert "Set-Cookie" not in deleted.headers
    assert (await people.eve.get("/api/v1/account")).status == 200


async def test_settings_for_everybody_and_for_those_logged_in(people: People) -> None:
    anonymous = (await people.nobody.get("/api/v1/settings")).json
    known = (await people.eve.get("/api/v1/settings")).json
    assert anonymous["appLabelKey"] == "app.kubernetes.io/instance"
    assert anonymous["statusBadgeEnabled"] is True
    assert anonymous["trackingMethod"] == "annotation"
    assert anonymous["help"] == {"chatUrl": "https://chat.example.com", "chatText": "Chat now!"}
    assert anonymous["googleAnalytics"] == {"anonymizeUsers": True}
    for hidden in ("uiBannerContent", "controllerNamespace", "passwordPattern", "resourceOverrides"):
        assert hidden not in anonymous
    assert known["uiBannerContent"] == "maintenance at noon"
    assert known["controllerNamespace"] == people.admin.namespace
    assert known["passwordPattern"] == "^.{8,32}$"
    assert {**anonymous, **known} == known


async def test_plugins_need_a_login(people: People) -> None:
    assert (await people.nobody.get("/api/v1/settings/plugins")).status == 401
    assert (await people.eve.get("/api/v1/settings/plugins")).status == 200


async def test_version_names_the_tools(people: People) -> None:
    known = (await people.eve.get("/api/version")).json
    assert known["HelmVersion"].startswith("v4.")
    assert known["KustomizeVersion"].startswith("v5.")
    assert known["KubectlVersion"].startswith("v1.")
    assert known["JsonnetVersion"].startswith("v0.")
