"""Extensions in the running process, with services of their own processes (api.md 14)."""

from __future__ import annotations

import json

import pytest

from tests.server.extensions.conftest import ELSEWHERE, IN_CLUSTER, SECRET, Desk, echoed

pytestmark = pytest.mark.controlplane


@pytest.mark.parametrize("extension", ["plain", "tls"])
async def test_a_call(desk: Desk, extension: str) -> None:
    """Method, path, query and body arrive as they were sent; who calls for what is told in headers."""
    answer = await desk.ask(
        f"{extension}/a%2Fb//c?x=1&y=%26;z",
        verb="PATCH",
        data=b"body",
        headers={"Content-Type": "text/odd", "X-Mine": "kept", "X-Plain": "theirs"},
    )
    assert answer.status == 200, answer.text
    told = answer.json
    assert (told["method"], told["target"], told["length"]) == ("PATCH", "/a%2Fb//c?x=1&y=%26;z", 4)
    got = echoed(answer)
    namespace = desk.admin.namespace
    host = (desk.plain if extension == "plain" else desk.tls.replace("127.0.0.1", "localhost")).split("//")[1]
    assert {name: values for name, values in got.items() if name not in ("accept", "user-agent")} == {
        "host": [host],
        "content-type": ["text/odd"],
        "content-length": ["4"],
        "accept-encoding": got["accept-encoding"],
        "x-mine": ["kept"],
        "argocd-application-name": [f"{namespace}:shop"],
        "argocd-project-name": ["team"],
        "argocd-namespace": [namespace],
        "argocd-target-cluster-url": [IN_CLUSTER],
        "argocd-username": ["caller"],
        "argocd-user-id": ["caller"],
        "x-forwarded-for": ["127.0.0.1"],
        "x-forwarded-host": [desk.admin.target],
        "x-forwarded-proto": ["http"],
        **(
            {"authorization": [SECRET], "x-plain": ["ours"]}
            if extension == "plain"
            else {"x-plain": ["theirs"]}
        ),
    }


async def test_the_root_of_a_service(desk: Desk) -> None:
    assert (await desk.ask("plain")).json["target"] == "/"
    assert (await desk.ask("plain?a=b")).json["target"] == "/?a=b"


async def test_the_service_of_a_cluster(desk: Desk) -> None:
    """Several services: the one for the destination, as the Application writes it."""
    assert echoed(await desk.ask("each/"))["host"] == [desk.plain.split("//")[1]]
    far = echoed(await desk.ask("each/", app="far"))
    assert far["host"] == [desk.tls.split("//")[1].replace("127.0.0.1", "localhost")]
    assert far["argocd-target-cluster-name"] == ["elsewhere"]
    assert "argocd-target-cluster-url" not in far
    refused = await desk.ask("each/", app="far-by-server")
    assert (refused.status, refused.text) == (400, "invalid extension\n")
    alone = echoed(await desk.ask("plain/", app="far-by-server"))
    assert alone["argocd-target-cluster-url"] == [ELSEWHERE]


async def test_applications_in_other_namespaces(desk: Desk) -> None:
    """The right is on ``<project>/<app>`` in any namespace, as in the reference; a policy with the namespace
    in it permits nothing here. The project has to admit the namespace."""
    away = f"{desk.admin.namespace}-away"
    answer = await desk.ask("plain/", app=f"{away}:away")
    assert echoed(answer)["argocd-application-name"] == [f"{away}:away"]
    assert (await desk.ask("plain/", "exact", app=f"{away}:away")).status == 401
    assert (await desk.ask("plain/", "other", app=f"{away}:away-theirs", project="other")).status == 401


UNAUTHORIZED = (401, "Unauthorized extension request\n")


@pytest.mark.parametrize(
    ("caller", "changes", "answer"),
    [
        pytest.param(None, {}, (400, "Auth cookie not found\n"), id="nobody"),
        pytest.param("caller", {"app": None}, None, id="no-application"),
        pytest.param(
            "caller", {"path": ""}, (400, "Invalid URL: extension name must be provided\n"), id="no"
        ),
        pytest.param("reader", {}, UNAUTHORIZED, id="may-not-invoke"),
        pytest.param("admin", {}, UNAUTHORIZED, id="role-admin-has-no-rule"),
        pytest.param("invoker", {}, UNAUTHORIZED, id="may-not-see-the-application"),
        pytest.param("stranger", {}, UNAUTHORIZED, id="may-do-nothing"),
        pytest.param("other", {}, UNAUTHORIZED, id="another-project"),
        pytest.param("other", {"project": "other"}, UNAUTHORIZED, id="another-projects-application"),
        pytest.param("caller", {"app": "ghost"}, UNAUTHORIZED, id="no-such-application"),
        pytest.param("caller", {"app": "theirs"}, UNAUTHORIZED, id="in-another-project"),
        pytest.param("caller", {"app": "elsewhere:shop"}, UNAUTHORIZED, id="namespace-not-managed"),
        pytest.param("caller", {"app": "nowhere"}, UNAUTHORIZED, id="unknown-destination"),
        pytest.param(
            "other", {"app": "forbidden", "project": "other"}, UNAUTHORIZED, id="forbidden-destination"
        ),
        pytest.param("stranger", {"path": "ghost/"}, UNAUTHORIZED, id="no-right-no-extension"),
        pytest.param("caller", {"path": "ghost/"}, (404, "Extension not found\n"), id="no-extension"),
        pytest.param("caller", {"path": "nobody/"}, (502, ""), id="no-service"),
        pytest.param("caller", {"verb": "TRACE"}, (405, "Method Not Allowed\n"), id="trace"),
    ],
)
async def test_refusals(
    desk: Desk, caller: str | None, changes: dict[str, str], answer: tuple[int, str] | None
) -> None:
    before = len((await desk.told())["asked"])
    given = {"path": "plain/", **changes}
    found = await desk.ask(given.pop("path"), caller, **given)  # type: ignore[arg-type]
    if answer is None:
        answer = (400, 'Invalid headers: header "Argocd-Application-Name" must be provided\n')
    assert (found.status, found.text) == answer
    assert len((await desk.told())["asked"]) == before


async def test_a_bearer_token_does_not_count(desk: Desk) -> None:
    """As in the reference; so no page of another origin can call an extension by a form or an image."""
    given = desk.given(None) | {"Authorization": f"Bearer {desk.people['caller'].token}"}
    answer = await desk.admin.get("/extensions/plain/", headers=given, token="")
    assert (answer.status, answer.text) == (400, "Auth cookie not found\n")
    bad = await desk.admin.get("/extensions/plain/", headers={"Cookie": "argocd.token=a.b.c"}, token="")
    assert (bad.status, bad.text) == (401, "Invalid token\n")


async def test_what_comes_back(desk: Desk) -> None:
    answer = await desk.ask("plain/do/headers")
    assert answer.text == "x"
    assert answer.headers["X-Public"] == "for all"
    assert not {"X-Private", "Proxy-Authenticate"} & answer.headers.keys()
    assert answer.headers["Set-Cookie"] == "theirs=1; path=/"
    for status in (204, 302, 404, 500):
        answer = await desk.ask(f"plain/do/status/{status}")
        assert (answer.status, answer.headers["Location"]) == (status, "/elsewhere")
    head = await desk.ask("plain/do/headers", verb="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "1")


async def test_they_are_counted(desk: Desk) -> None:
    """operations.md 2.3; who does not get as far as a service is not."""

    async def count(name: str, status: int) -> tuple[float, float]:
        url = f"http://127.0.0.1:{desk.admin.ports['api-metrics']}/metrics"
        async with desk.admin.session.get(url) as answer:
            lines = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[0] != "#")
        total = f'argocd_proxy_extension_request_total{{extension="{name}",status="{status}"}}'
        seconds = f'argocd_proxy_extension_request_duration_seconds_count{{extension="{name}"}}'
        return float(lines.get(total, 0)), float(lines.get(seconds, 0))

    before = await count("plain", 404), await count("nobody", 502), await count("ghost", 404)
    await desk.ask("plain/do/status/404")
    await desk.ask("plain/do/status/404", "reader")
    await desk.ask("nobody/")
    await desk.ask("ghost/")
    after = await count("plain", 404), await count("nobody", 502), await count("ghost", 404)
    assert [(new[0] - old[0], new[1] - old[1]) for old, new in zip(before, after, strict=True)] == [
        (1, 1),
        (1, 1),
        (0, 0),
    ]


async def test_settings_count_at_once(desk: Desk) -> None:
    """operations.md 1.1: extensions, secrets and the switch, without a restart; what is broken changes
    nothing."""
    text = json.dumps({"services": [{"url": desk.plain, "headers": [{"name": "X-Key", "value": "$late"}]}]})
    await desk.setting(**{"extension.config.late": text})
    given = desk.given()
    found = await desk.admin.until("/extensions/late/", lambda a: a.status == 200, headers=given, token="")
    assert echoed(found)["x-key"] == ["$late"]
    patch = json.dumps({"stringData": {"late": "secret"}})
    desk.admin.kubectl("patch", "secret", "argocd-secret", "-p", patch)
    await desk.admin.until(
        "/extensions/late/",
        lambda a: echoed(a)["x-key"] == ["secret"],
        headers=given,
        token="",
    )
    try:
        broken = {"extension.config.broken": "services: []", "extension.config.late": None}
        await desk.setting(**broken, **{"ui.bannercontent": "read"})
        await desk.admin.until("/api/v1/settings", lambda a: a.json.get("uiBannerContent") == "read")
        assert (await desk.ask("late/")).status == 200
        assert (await desk.ask("broken/")).status == 404
    finally:
        await desk.setting(**{"extension.config.broken": None})
    await desk.admin.until("/extensions/late/", lambda a: a.status == 404, headers=given, token="")
    assert (await desk.ask("plain/")).status == 200
