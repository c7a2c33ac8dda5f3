"""Repositories over the API (api.md 9, sources.md 18): stored, listed, changed, forgotten."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.gitservers import Authority, GitRepo, HttpGitServer, SshGitServer
from tests.server.repositories.conftest import PASSWORD, Place, escaped, refused, says
from tests.server.running import Running

LIST = "/api/v1/repositories"
UNREACHABLE = (
    "error testing repository connectivity: unable to ls-remote HEAD on repository: failed to list refs: "
)


def at(url: str) -> str:
    return f"{LIST}/{escaped(url)}"


async def create(api: Running, body: dict[str, Any], **params: str) -> Any:
    return await api.call("POST", LIST, body=body, params=params)


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def test_one_is_created_listed_shown_and_deleted(place: Place, own: str) -> None:
    api = place.admin
    made = await create(api, {"repo": own, "name": "mine", "username": "ada", "password": PASSWORD})
    assert made.status == 200, made.text
    assert made.json == {"repo": own, "name": "mine", "connectionState": empty()}
    [secret] = [each for each in place.secrets("repository") if decoded(each)["url"] == own]
    assert decoded(secret) == {"url": own, "name": "mine", "username": "ada", "password": PASSWORD}
    assert secret["metadata"]["annotations"] == {"managed-by": "argocd.argoproj.io"}
    assert secret["metadata"]["name"].startswith("repo-")

    shown = (await api.get(at(own))).json
    state = shown.pop("connectionState")
    assert shown == {"repo": own, "type": "git", "name": "mine", "username": "ada"}
    assert (state["status"], state["message"]) == ("Successful", "")
    assert state["attemptedAt"].endswith("Z")
    listed = (await api.get(LIST)).json
    assert own in [each["repo"] for each in listed["items"]]
    assert PASSWORD not in str(listed)

    assert (await api.call("DELETE", at(own))).json == {}
    assert not [each for each in place.secrets("repository") if decoded(each)["url"] == own]
    assert refused(await api.get(at(own))) == (403, 7, "permission denied")


def empty() -> dict[str, Any]:
    return {"status": "", "message": "", "attemptedAt": None}


async def test_what_does_not_answer_is_not_stored(place: Place, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/absent"
    answer = await create(place.admin, {"repo": url})
    assert (answer.status, answer.json["code"]) == (500, 2)
    assert answer.json["message"].startswith(UNREACHABLE + "repository not found")
    assert not [each for each in place.secrets("repository") if decoded(each)["url"] == url]


async def test_a_project_s_own_is_stored_unseen(place: Place, tmp_path: Path) -> None:  # api.md 9
    url = f"file://{tmp_path}/absent"
    assert (await create(place.dev, {"repo": url, "project": "team"})).status == 200
    shown = await place.dev.get(at(url), params={"appProject": "team"})
    state = shown.json["connectionState"]
    assert state["status"] == "Failed"
    assert state["message"].startswith(
        f"Unable to connect to repository: rpc error: code = Unknown desc = {UNREACHABLE}"
    )
    assert shown.json["project"] == "team"
    assert (await place.dev.call("DELETE", at(url), params={"appProject": "team"})).status == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        pytest.param(None, 400, 3, "missing payload in request", id="no body"),
        pytest.param({"repo": ""}, 400, 3, "must specify the URL of the repository", id="no URL"),
        pytest.param({"repo": "x", "type": "svn"}, 500, 2, 'unsupported repository type "svn"', id="type"),
        pytest.param(
            {"repo": "oci://localhost:1/x"},
            501,
            12,
            "OCI repositories are not supported yet: use Git or a chart repository",
            id="oci",
        ),
    ],
)
async def test_what_is_refused(
    place: Place, body: dict[str, Any] | None, status: int, code: int, message: str
) -> None:
    assert refused(await place.admin.call("POST", LIST, body=body)) == (status, code, message)


class TestTwice:
    """Creating what exists (api.md 9)."""

    async def test_equal_is_fine_and_other_is_refused_without_values(self, place: Place, own: str) -> None:
        api = place.admin
        body = {"repo": own, "username": "ada", "password": PASSWORD}
        assert (await create(api, body)).status == 200
        assert (await create(api, body)).status == 200
        other = {**body, "password": "another-" + PASSWORD, "enableLfs": True, "project": ""}
        answer = await create(api, other)
        assert refused(answer) == (
            400,
            3,
            "existing repository spec is different; use upsert flag to force update; "
            'difference in keys "Password,EnableLFS"',
        )
        answer = await create(api, other, upsert="true")
        assert answer.status == 200
        assert answer.json["enableLfs"] is True
        assert PASSWORD not in answer.text
        [secret] = [each for each in place.secrets("repository") if decoded(each)["url"] == own]
        assert decoded(secret)["password"] == "another-" + PASSWORD

    async def test_equal_counts_without_what_is_inherited(self, place: Place, own: str) -> None:
        api = place.admin
        template = {"url": own.removesuffix("/app"), "username": "ada", "password": PASSWORD}
        assert (await api.call("POST", "/api/v1/repocreds", body=template)).status == 200
        for _ in range(2):
            assert (await create(api, {"repo": own})).status == 200
        shown = (await api.get(at(own))).json
        assert (shown["inheritedCreds"], shown["username"]) == (True, "ada")
        await api.call("DELETE", f"/api/v1/repocreds/{escaped(template['url'])}")

    async def test_the_same_url_in_other_words(self, place: Place, own: str) -> None:
        assert (await create(place.admin, {"repo": own})).status == 200
        answer = await create(place.admin, {"repo": own + ".git", "project": ""})
        assert answer.status == 500  # no such folder: it is asked first

    async def test_a_secret_without_the_label(self, place: Place, own: str) -> None:
        assert (await create(place.admin, {"repo": own})).status == 200
        [secret] = [each for each in place.secrets("repository") if decoded(each)["url"] == own]
        name = secret["metadata"]["name"]
        place.admin.kubectl("label", "secret", name, "argocd.argoproj.io/secret-type-")
        await place.admin.until(at(own), lambda answer: answer.status == 403)
        assert refused(await create(place.admin, {"repo": own})) == (
            400,
            3,
            f'secret "{name}" doesn\'t have the proper "argocd.argoproj.io/secret-type" label: '
            "please fix the secret or delete it",
        )


class TestUpdate:
    async def test_values_change_and_other_keys_stay(self, place: Place, own: str) -> None:
        api = place.admin
        await create(api, {"repo": own, "username": "ada", "password": PASSWORD, "enableLfs": True})
        [secret] = [each for each in place.secrets("repository") if decoded(each)["url"] == own]
        name = secret["metadata"]["name"]
        extra = base64.b64encode(b"kept").decode()
        api.kubectl("patch", "secret", name, "-p", f'{{"data": {{"mine": "{extra}"}}}}')
        answer = await api.call("PUT", at(own), body={"repo": own, "username": "bob", "password": PASSWORD})
        assert answer.json == {"repo": own, "connectionState": empty()}
        [secret] = [each for each in place.secrets("repository") if decoded(each)["url"] == own]
        assert decoded(secret) == {
            "url": own,
            "username": "bob",
            "password": PASSWORD,
            "enableLfs": "false",
            "mine": "kept",
        }

    async def test_absent(self, place: Place, own: str) -> None:
        answer = await place.admin.call("PUT", at(own), body={"repo": own})
        assert refused(answer) == (404, 5, f"repo '{own}' not found")

    async def test_into_a_project_makes_a_namesake(self, place: Place, own: str) -> None:
        api = place.admin
        await create(api, {"repo": own})
        answer = await api.call("PUT", at(own), body={"repo": own, "project": "team"})
        assert answer.status == 200, answer.text
        found = [decoded(each) for each in place.secrets("repository") if decoded(each)["url"] == own]
        assert sorted(each.get("project", "") for each in found) == ["", "team"]
        # which one is meant must be said now
        assert (await api.get(at(own), params={"appProject": "team"})).json["project"] == "team"
        assert "project" not in (await api.get(at(own))).json
        missing = await api.get(at(own), params={"appProject": "narrow"})
        assert refused(missing) == (
            500,
            2,
            f'repository not found for url "{own}" and project "narrow"',
        )

    async def test_old_and_new_object_count(self, place: Place, own: str) -> None:
        await create(place.admin, {"repo": own})
        answer = await place.dev.call("PUT", at(own), body={"repo": own, "project": "team"})
        assert answer.json["message"].startswith(says("dev", "repositories", "update", own))
        answer = await place.dev.call("PUT", at(own), body={"repo": own + "/none", "project": "team"})
        assert answer.status == 403


class TestRights:
    async def test_lists_hold_what_one_may_get(self, place: Place, own: str, tmp_path: Path) -> None:
        (tmp_path / "x").symlink_to(own.removeprefix("file://"))
        hidden = f"file://{tmp_path}/x"
        for body in ({"repo": own}, {"repo": hidden}, {"repo": hidden, "project": "team"}):
            assert (await create(place.admin, body)).status == 200
        items = (await place.dev.get(LIST)).json["items"]
        mine = [(each.get("project", ""), each["repo"]) for each in items if str(tmp_path) in each["repo"]]
        assert mine == [("", own), ("team", hidden)]
        assert (await place.guest.get(LIST)).json == {"metadata": {}, "items": None}

    @pytest.mark.parametrize("verb", ["GET", "DELETE"])
    async def test_what_one_may_not_get_does_not_exist(self, place: Place, own: str, verb: str) -> None:
        await create(place.admin, {"repo": own})
        for url in (own, own + "-absent"):
            assert refused(await place.guest.call(verb, at(url))) == (403, 7, "permission denied")

    @pytest.mark.parametrize(
        ("verb", "path", "body", "action"),
        [
            ("POST", "", {"repo": "{url}"}, "create"),
            ("PUT", "/{repo}", {"repo": "{url}"}, "update"),
            ("DELETE", "/{repo}", None, "delete"),
            ("POST", "/{repo}/validate", "{url}", "create"),
        ],
    )
    async def test_refusals_in_detail(
        self, place: Place, own: str, verb: str, path: str, body: Any, action: str
    ) -> None:
        await create(place.admin, {"repo": own})
        sent = {"repo": own} if isinstance(body, dict) else own if body else None
        answer = await place.dev.call(verb, LIST + path.replace("{repo}", escaped(own)), body=sent)
        assert answer.status == 403
        assert answer.json["message"].startswith(says("dev", "repositories", action, own))

    async def test_policies_are_about_the_stored_spelling(self, place: Place, own: str) -> None:
        await create(place.admin, {"repo": own})
        path = f"{at(own.upper())}/refs"
        assert (await place.dev.get(path)).status == 200
        answer = await place.guest.get(path)  # which tells nothing of what is stored
        assert answer.json["message"].startswith(says("guest", "repositories", "get", own.upper()))


class TestServers:
    """Real HTTPS and SSH servers."""

    async def test_https(
        self, place: Place, https: HttpGitServer, authority: Authority, caplog: pytest.LogCaptureFixture
    ) -> None:
        api, url = place.admin, f"{https.url}/app"
        body = {"repo": url, "username": "ada", "password": PASSWORD}
        with caplog.at_level(logging.DEBUG):
            untrusted = await create(api, body)
            assert (untrusted.status, "certificate" in untrusted.text) == (500, True)
            item = {"serverName": "localhost", "certType": "https", "certData": pem(authority)}
            trusted = await api.call("POST", "/api/v1/certificates", body={"items": [item]})
            assert trusted.status == 200, trusted.text
            wrong = await create(api, {**body, "password": "wrong-" + PASSWORD})
            assert (wrong.status, "authentication required" in wrong.text) == (500, True)
            assert PASSWORD not in wrong.text
            assert (await create(api, body)).status == 200
            assert (await api.get(at(url))).json["connectionState"]["status"] == "Successful"
        assert PASSWORD not in caplog.text
        await api.call("DELETE", at(url))
        await api.call("DELETE", "/api/v1/certificates", params={"hostNamePattern": "localhost"})

    async def test_ssh(self, place: Place, ssh: SshGitServer, remote: GitRepo) -> None:
        api, url = place.admin, ssh.url(remote.path)
        body = {"repo": url, "sshPrivateKey": ssh.private_key}
        assert "Host key verification failed" in (await create(api, body)).text
        host, kind, key = ssh.known_hosts.split()
        item = {"serverName": host, "certType": "ssh", "certSubType": kind, "certData": b64(key)}
        assert (await api.call("POST", "/api/v1/certificates", body={"items": [item]})).status == 200
        assert (await create(api, body)).status == 200
        shown = await api.get(at(url))
        assert shown.json["connectionState"]["status"] == "Successful"
        assert "PRIVATE KEY" not in shown.text
        await api.call("DELETE", at(url))


def pem(authority: Authority) -> str:
    return b64(authority.pem)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class TestStates:
    """Connection states (api.md 9)."""

    async def test_a_state_is_remembered_until_it_is_asked_for_anew(
        self, place: Place, tmp_path: Path
    ) -> None:
        repo = GitRepo(tmp_path / "app")
        repo.commit({"a": "1"})
        assert (await create(place.admin, {"repo": repo.url})).status == 200
        before = (await place.admin.get(at(repo.url))).json["connectionState"]
        repo.path.rename(tmp_path / "elsewhere")
        assert (await place.admin.get(at(repo.url))).json["connectionState"] == before
        fresh = await place.admin.get(at(repo.url), params={"forceRefresh": "true"})
        assert fresh.json["connectionState"]["status"] == "Failed"
        items = (await place.admin.get(LIST)).json["items"]
        assert [each["connectionState"]["status"] for each in items if each["repo"] == repo.url] == ["Failed"]

    async def test_other_credentials_are_tried_at_once(self, place: Place, tmp_path: Path) -> None:
        repo = GitRepo(tmp_path / "app")
        repo.commit({"a": "1"})
        await create(place.admin, {"repo": repo.url})
        assert (await place.admin.get(at(repo.url))).json["connectionState"]["status"] == "Successful"
        repo.path.rename(tmp_path / "elsewhere")
        body = {"repo": repo.url, "username": "other", "password": "x"}
        await place.admin.call("PUT", at(repo.url), body=body)
        assert (await place.admin.get(at(repo.url))).json["connectionState"]["status"] == "Failed"

    async def test_a_secret_that_cannot_be_read(self, place: Place, tmp_path: Path) -> None:
        url = f"file://{tmp_path}/broken"
        place.admin.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "broken-flag",
                    "labels": {"argocd.argoproj.io/secret-type": "repository"},
                },
                "stringData": {"url": url, "insecure": "perhaps"},
            }
        )
        shown = await place.admin.until(at(url), lambda answer: answer.status == 200)
        state = shown.json["connectionState"]
        assert (state["status"], state["message"]) == (
            "Failed",
            "Configuration error - please check the server logs",
        )


async def test_a_declared_secret_loses_only_its_label(place: Place, own: str) -> None:  # sources.md 18.1
    place.admin.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "declared", "labels": {"argocd.argoproj.io/secret-type": "repository"}},
            "stringData": {"url": own},
        }
    )
    await place.admin.until(at(own), lambda answer: answer.status == 200)
    assert (await place.admin.call("DELETE", at(own))).status == 200
    assert (await place.admin.get(at(own))).status == 403
    assert place.admin.kubectl("get", "secret", "declared", "-o", "jsonpath={.metadata.labels}") in ("", "{}")


async def test_a_url_with_a_password_is_shown_without(place: Place, tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "app")
    repo.commit({"a": "1"})
    api = place.admin
    with HttpGitServer(tmp_path, basic=("ada", PASSWORD)) as server:
        url = f"{server.url}/app".replace("://", "://ada@")
        stored = url.replace("ada@", f"ada:{PASSWORD}@")
        assert (await create(api, {"repo": stored, "project": "team"})).status == 200
        listed = await api.get(LIST)
        assert url in [each["repo"] for each in listed.json["items"]]
        shown = await api.get(at(url), params={"appProject": "team"})
        assert shown.json["connectionState"]["status"] == "Successful"
        refs = await api.get(f"{at(url)}/refs", params={"appProject": "team"})
        assert refs.json == {"branches": ["main"]}
        assert PASSWORD not in listed.text + shown.text
        assert (await api.call("DELETE", at(url), params={"appProject": "team"})).json == {}


@pytest.mark.parametrize(
    ("query", "status"), [({}, 200), ({"username": "ada", "password": PASSWORD}, 200)], ids=["bare", "given"]
)
async def test_validate_asks_and_stores_nothing(
    place: Place, own: str, query: dict[str, str], status: int
) -> None:
    answer = await place.admin.call("POST", f"{at(own)}/validate", body=own, params=query)
    assert (answer.status, answer.json) == (status, {})
    assert (await place.admin.get(at(own))).status == 403


async def test_validate_of_what_does_not_answer(place: Place, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/absent"
    params = {"password": PASSWORD}
    answer = await place.admin.call("POST", f"{at(url)}/validate", body=url, params=params)
    assert answer.json["message"].startswith(UNREACHABLE)
    assert PASSWORD not in answer.text
