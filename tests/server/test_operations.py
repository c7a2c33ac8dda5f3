"""Every operation, over REST and gRPC: who is refused how, and what one team learns of another: nothing.

api.md 4, 7, 8.1, 13. The same question about things that exist and things that do not must have the
same answer (status, headers, body) for a caller who may not see them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.grpc.client import CallFailed, rpcs
from tests.server.operations import (
    CASES,
    LIST,
    LOGIN,
    MASKED,
    METHODS,
    OPEN,
    Case,
    message_of,
    proto,
    reachable,
    rest,
)
from tests.server.running import Running
from tests.server.tenants import GHOST, World, masks, world

pytestmark = pytest.mark.controlplane

ROUTES = [
    pytest.param(path, number, id=f"{route.verb} {route.path} ({method.name})")
    for path, method in METHODS.items()
    for number, route in enumerate(method.routes)
]
REFUSED = {path: case for path, case in CASES.items() if case.refusal not in (LIST, LOGIN, OPEN)}
WATCHES = {path for path, method in METHODS.items() if method.name == "Watch"}
# Headers of an answer that say nothing of what was asked.
OWN_HEADERS = ("Date",)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def teams(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("tenants")
    async with world(control_plane, folder, unique_namespace("tenants")) as made:
        yield made


Heard = tuple[int | str, str, Mapping[str, str]]
"""Status or code, text, headers."""


def asked(teams: World, path: str, word: str, number: int | None = None, **more: Any) -> dict[str, Any]:
    """The request about a team; ``number``: of the route."""
    return message_of(CASES[path], named(teams, path, word, number), **more)


def named(teams: World, path: str, word: str, number: int | None = None) -> dict[str, str]:
    names = teams.names(word)
    return names if number is None else reachable(METHODS[path].routes[number], names)


async def over_rest(caller: Running, path: str, number: int, message: Mapping[str, Any]) -> Heard:
    sent = rest(METHODS[path].routes[number], message)
    answer = await caller.call(sent.verb, sent.path, body=sent.body, params=list(sent.params))
    headers = {key: value for key, value in answer.headers.items() if key not in OWN_HEADERS}
    return answer.status, answer.text, headers


async def over_grpc(caller: Running, path: str, message: Mapping[str, Any]) -> Heard:
    method = METHODS[path]
    request = proto(method, message)
    async with caller.grpc() as client:
        try:
            sent = [request] if method.client_streaming else request
            answers = [each async for each in client.stream(path[1:], sent)]
        except CallFailed as failed:
            metadata = {**failed.headers, **failed.trailers}
            return failed.code, failed.message, metadata
    return "OK", json.dumps(answers, default=repr, sort_keys=True), {**client.headers, **client.trailers}


def alike(heard: Heard, word: str) -> Heard:
    """What was heard with the word of the question taken out of it."""
    status, text, headers = heard
    return status, text.replace(word, "?????"), {k: v.replace(word, "?????") for k, v in headers.items()}


def wanted_refusal(case: Case, names: Mapping[str, str], user: str) -> re.Pattern[str]:
    text = message_of(Case({"text": case.refusal}, ""), names)["text"]
    if not text.startswith("D "):
        return re.compile(re.escape(text))
    return re.compile(re.escape(f"permission denied: {text[2:]}, sub: {user}, iat: ") + r"\d{4}-\S+")


def test_the_table_has_every_method() -> None:
    assert set(CASES) == {f"/{path}" for path in rpcs()}
    assert set(METHODS) <= set(CASES)


@pytest.mark.parametrize(("path", "number"), ROUTES)
async def test_nobody(teams: World, path: str, number: int) -> None:
    # 7, 11: only tolerant methods know callers without credentials
    status, text, _ = await over_rest(teams.nobody, path, number, asked(teams, path, "bravo", number))
    if METHODS[path].tolerant:
        assert status in (200, 401), text
        assert status == 200 or "Invalid username or password" in text
    else:
        assert (status, json.loads(text)["code"]) == (401, 16)
        assert "bravo" not in text


@pytest.mark.parametrize("path", [path for path, method in METHODS.items() if not method.tolerant])
async def test_nobody_over_grpc(teams: World, path: str) -> None:
    code, text, _ = await over_grpc(teams.nobody, path, asked(teams, path, "bravo"))
    assert code == "Unauthenticated", text


@pytest.mark.parametrize(("path", "number"), [each for each in ROUTES if each.values[0] in REFUSED])
async def test_a_caller_without_rights(teams: World, path: str, number: int) -> None:
    # 4, 7, 8.1
    case = CASES[path]
    heard = {
        word: await over_rest(teams.stranger, path, number, asked(teams, path, word, number))
        for word in ("bravo", GHOST)
    }
    for word, (status, text, _) in heard.items():
        body = json.loads(text)
        wanted = wanted_refusal(case, named(teams, path, word, number), "stranger")
        assert wanted.fullmatch(body["message"]), text
        code = 2 if case.refusal.startswith("unauthorized") else 7
        assert (status, body["code"]) == (403 if code == 7 else 500, code)
    assert alike(heard["bravo"], "bravo") == alike(heard[GHOST], GHOST)


@pytest.mark.parametrize("path", [path for path in METHODS if path in REFUSED])
async def test_a_caller_without_rights_over_grpc(teams: World, path: str) -> None:
    case = CASES[path]
    heard = {
        word: await over_grpc(teams.stranger, path, asked(teams, path, word)) for word in ("bravo", GHOST)
    }
    for word, (code, text, _) in heard.items():
        assert wanted_refusal(case, teams.names(word), "stranger").fullmatch(text), text
        assert code == ("Unknown" if case.refusal.startswith("unauthorized") else "PermissionDenied")
    assert alike(heard["bravo"], "bravo") == alike(heard[GHOST], GHOST)


@pytest.mark.parametrize(
    ("path", "number"),
    [each for each in ROUTES if CASES[str(each.values[0])].refusal == LIST and each.values[0] not in WATCHES],
)
async def test_lists_of_a_caller_without_rights(teams: World, path: str, number: int) -> None:
    status, text, headers = await over_rest(teams.stranger, path, number, {})
    assert status == 200
    shown = json.loads(text).get("items") or []
    assert [each["name"] for each in shown] == (["stranger"] if path.endswith("ListAccounts") else [])
    _, _, all_headers = await over_rest(teams.admin, path, number, {})
    assert set(headers) <= set(all_headers)


@pytest.mark.parametrize(("path", "number"), [e for e in ROUTES if CASES[str(e.values[0])].refusal == LOGIN])
async def test_what_is_for_all_who_are_logged_in(teams: World, path: str, number: int) -> None:
    status, text, _ = await over_rest(teams.stranger, path, number, asked(teams, path, "bravo", number))
    assert status == 200
    assert "bravo" not in text


@pytest.mark.parametrize(("path", "number"), [each for each in ROUTES if each.values[0] not in WATCHES])
async def test_another_teams_things_are_as_if_they_were_not_there(
    teams: World, path: str, number: int
) -> None:
    # 8.1: with rights of one's own elsewhere, whichever way the question names the thing
    for more in ways(path):
        heard = {
            word: await over_rest(teams.anna, path, number, asked(teams, path, word, number, **more))
            for word in ("bravo", GHOST)
        }
        assert alike(heard["bravo"], "bravo") == alike(heard[GHOST], GHOST), more
        if CASES[path].refusal == MASKED and METHODS[path].service == "ApplicationService":
            assert heard["bravo"][0] == (404 if more else 403)


@pytest.mark.parametrize("path", [path for path in METHODS if path not in WATCHES])
async def test_another_teams_things_are_as_if_they_were_not_there_over_grpc(teams: World, path: str) -> None:
    for more in ways(path):
        heard = {
            word: await over_grpc(teams.anna, path, asked(teams, path, word, **more))
            for word in ("bravo", GHOST)
        }
        assert alike(heard["bravo"], "bravo") == alike(heard[GHOST], GHOST), more


def ways(path: str) -> list[dict[str, Any]]:
    """What a question may say besides: nothing, or that the thing is in the caller's own project."""
    message, found = CASES[path].message, METHODS[path].request.__struct_fields__
    if METHODS[path].service == "ApplicationService" and "project" in found:
        own = ["team-alpha"] if METHODS[path].name == "Get" else "team-alpha"
        return [{}, {"project": own}] if "{app}" in str(message) else [{}]
    if "appProject" in message:
        return [{}, {"appProject": "team-alpha"}, {"appProject": ""}]
    return [{}]


def parts(answer: Heard) -> str:
    """All that came back."""
    status, text, headers = answer
    return f"{status} {text} {json.dumps(dict(headers))}"


READS = [
    pytest.param(path, number, id=f"{route.path} ({method.name})")
    for path, method in METHODS.items()
    for number, route in enumerate(method.routes)
    if route.verb == "GET" and not method.server_streaming
]


@pytest.mark.parametrize(("path", "number"), READS)
async def test_what_a_team_reads_of_its_own_names_no_other(teams: World, path: str, number: int) -> None:
    heard = await over_rest(teams.anna, path, number, asked(teams, path, "alpha", number))
    assert not any(word in parts(heard) for word in ("bravo", "delta"))
    if CASES[path].refusal == LIST and "alpha" not in parts(heard):
        assert path.endswith(("ListAccounts", "Credentials"))
    heard = await over_grpc(teams.anna, path, asked(teams, path, "alpha"))
    assert not any(word in parts(heard) for word in ("bravo", "delta"))


@pytest.mark.parametrize("path", sorted(WATCHES))
async def test_watches_tell_of_no_other_teams_changes(teams: World, path: str) -> None:
    kind = "application" if path.startswith("/application.") else "applicationset"
    names = {word: teams.names(word) for word in ("alpha", "bravo")}

    def change(word: str, value: str) -> None:
        name = names[word]["app"] if kind == "application" else f"{word}-set"
        teams.admin.kubectl("annotate", "--overwrite", f"{kind}s.argoproj.io", name, f"told={value}")

    url = f"{teams.admin.base}{METHODS[path].routes[0].path}"
    heard: dict[str, str] = {}

    async def follow(who: str, caller: Running, end: str) -> None:
        sent = {"Authorization": f"Bearer {caller.token}"}
        async with teams.admin.session.get(url, headers=sent) as answer:
            assert answer.status == 200
            begun.release()
            async for line in answer.content:
                heard[who] = heard.get(who, "") + line.decode()
                if end in heard[who]:
                    return

    begun = asyncio.Semaphore(0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow("anna", teams.anna, '"told":"last"'))
        tasks.create_task(follow("admin", teams.admin, '"told":"last"'))
        for _ in range(2):
            await begun.acquire()
        await asyncio.to_thread(change, "bravo", "first")
        await asyncio.to_thread(change, "alpha", "last")
    assert '"told":"first"' in heard["admin"]
    assert not any(word in heard["anna"] for word in ("bravo", "delta"))


async def test_nothing_of_another_team_was_changed(teams: World) -> None:
    """Runs after all the cases above, in which others tried."""
    stored = await teams.stored("bravo")
    assert len(stored) == 8
    assert stored == teams.before


@pytest.mark.parametrize(
    "path", [path for path in CASES if path in METHODS and not METHODS[path].name.startswith("Watch")]
)
async def test_the_admin_is_told_no_secret(
    teams: World, path: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the order of the table: what deletes comes last."""
    with caplog.at_level(logging.DEBUG):
        method = METHODS[path]
        for number in range(len(method.routes)):
            heard = await over_rest(teams.admin, path, number, asked(teams, path, "delta", number))
            if not method.routes[number].path.startswith("/api/v1/write-rep"):
                assert heard[0] in CASES[path].done, heard[1]
            assert not leaks(parts(heard))
        heard = await over_grpc(teams.admin, path, asked(teams, path, "delta"))
        assert not leaks(parts(heard))
    assert not leaks(caplog.text)
    assert not leaks("".join(str(vars(record)) for record in caplog.records))
    assert not leaks("".join(capfd.readouterr()))


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "refs", "helmcharts"])
async def test_a_password_in_a_stored_url_is_in_no_refusal(teams: World, verb: str) -> None:
    shown = "https://me@in-url.invalid/x.git"
    listed = await teams.admin.get("/api/v1/repositories")
    assert shown in [each["repo"] for each in listed.json["items"]]
    path = f"/api/v1/repositories/{quote(shown, safe='')}"
    if verb.isupper():
        answer = await teams.stranger.call(verb, path, body={"repo": shown} if verb == "PUT" else None)
    else:
        answer = await teams.stranger.get(f"{path}/{verb}")
    assert answer.status == 403
    assert not leaks(answer.text)


async def test_no_event_and_no_application_holds_a_secret(teams: World) -> None:
    def everything() -> str:
        kinds = (
            "events,applications.argoproj.io,applicationsets.argoproj.io,appprojects.argoproj.io,configmaps"
        )
        return teams.admin.kubectl("get", kinds, "-o", "json")

    text = await asyncio.to_thread(everything)
    assert "admin" in text, "the audit trail is there"
    assert not leaks(text)


def leaks(text: str) -> list[str]:
    """What of the tests' secrets stands in a text."""
    return [mask for mask in masks() if mask in text]
