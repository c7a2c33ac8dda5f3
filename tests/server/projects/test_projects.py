"""ProjectService: reading and writing (api.md 9 "Project")."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.projects.house import PROJECT, House
from tiphys.resources.identity import AppKey

SERVICE = "ProjectService"
DENIED = "permission denied: projects, {}, {}, sub: {}"


def project(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


async def test_a_project_lives_its_life(shop: House) -> None:
    spec = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "description": "a"}
    made = await shop.call(f"{SERVICE}/Create", {"project": project("life", **spec)})
    assert made["metadata"]["name"] == "life"
    assert made["spec"] == spec
    read = await shop.call(f"{SERVICE}/Get", {"name": "life"})
    assert read == made

    read["spec"]["description"] = "b"
    updated = await shop.call(f"{SERVICE}/Update", {"project": read})
    assert updated["spec"]["description"] == "b"
    assert await shop.call(f"{SERVICE}/Get", {"name": "life"}) == updated, "a write is seen at once"

    assert await shop.call(f"{SERVICE}/Delete", {"name": "life"}) == {}
    assert await shop.refused(f"{SERVICE}/Get", {"name": "life"}) == (
        "NotFound",
        'appprojects.argoproj.io "life" not found',
    )
    events = await shop.events("life")
    assert [(event["reason"], event["message"]) for event in events] == [
        ("ResourceCreated", "admin created project"),
        ("ResourceUpdated", "admin updated project"),
        ("ResourceDeleted", "admin deleted project"),
    ]
    assert all("annotations" not in event["metadata"] for event in events)
    assert events[0]["source"] == {"component": "argocd-server"}
    assert events[0]["involvedObject"]["uid"] == made["metadata"]["uid"]


async def test_what_our_types_do_not_know_survives_an_update() -> None:
    from tiphys.server.services.overlaying import overlaid

    raw = {"a": 1, "new": 2, "list": [{"k": "x", "new": 1}, {"k": "y", "new": 2}]}
    known = {"a": 1, "list": [{"k": "x"}, {"k": "y"}]}
    wanted = {"list": [{"k": "y"}, {"k": "z"}], "b": 3}
    assert overlaid(raw, known, wanted) == {
        "new": 2,
        "b": 3,
        "list": [{"k": "y", "new": 2}, {"k": "z", "new": 1}],
    }


async def test_creating_again(shop: House) -> None:
    spec = {"sourceRepos": ["https://a"], "destinations": [{"server": "s", "namespace": "n"}]}
    first = await shop.call(f"{SERVICE}/Create", {"project": project("again", **spec)})
    assert await shop.call(f"{SERVICE}/Create", {"project": project("again", **spec)}) == first

    other = project("again", sourceRepos=["https://b"], destinations=[{"server": "t", "namespace": "n"}])
    assert await shop.refused(f"{SERVICE}/Create", {"project": other}) == (
        "InvalidArgument",
        "existing project spec is different; use upsert flag to force update; "
        'difference in keys "SourceRepos,Destinations,Server"',
    )
    creator = shop.user("creator", "projects, create, again")
    assert await shop.refused(f"{SERVICE}/Create", {"project": other, "upsert": True}, by=creator) == (
        "PermissionDenied",
        DENIED.format("update", "again", "creator"),
    )
    creator = shop.user("creator", "projects, create, again", "projects, update, again")
    changed = await shop.call(f"{SERVICE}/Create", {"project": other, "upsert": True}, by=creator)
    assert changed["spec"] == other["spec"]
    assert changed["metadata"]["uid"] == first["metadata"]["uid"]


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("Create", {}, "InvalidArgument", "missing payload 'project' in request"),
    ("Update", {}, "InvalidArgument", "missing payload 'project' in request"),
    (
        "Create",
        {"project": project("bad", destinations=[{"name": "!*"}])},
        "InvalidArgument",
        "name has an invalid format, '!*'",
    ),
    (
        "Create",
        {"project": project("bad", roles=[{"name": "a"}, {"name": "a"}])},
        "AlreadyExists",
        "role 'a' already exists",
    ),
    (
        "Create",
        {
            "project": project(
                "bad", syncWindows=[{"kind": "allow", "schedule": "* * * * *", "duration": "1h"}]
            )
        },
        "OutOfRange",
        "window 'allow':'* * * * *':'1h' requires one of application, cluster or namespace",
    ),
    (
        "Create",
        {
            "project": project(
                "bad",
                roles=[{"name": "r", "policies": ['p, proj:bad:r, applications, "action/x, bad/*, allow']}],
            )
        },
        "InvalidArgument",
        "policy syntax error: ",
    ),
    ("Create", {"project": project("Not_A_Name")}, "InvalidArgument", 'AppProject.argoproj.io "Not_A_Name"'),
    (
        "Create",
        {"project": {"metadata": {"name": "bad", "namespace": "kube-system"}, "spec": {}}},
        "FailedPrecondition",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        "Update",
        {"project": project("nothing-there")},
        "NotFound",
        'appprojects.argoproj.io "nothing-there" not found',
    ),
    ("Delete", {"name": "nothing-there"}, "NotFound", 'appprojects.argoproj.io "nothing-there" not found'),
    ("Delete", {"name": "default"}, "InvalidArgument", "name 'default' is reserved and cannot be deleted"),
    ("Get", {"name": ".."}, "FailedPrecondition", "invalid resource name"),
    ("GetDetailedProject", {"name": "nothing-there"}, "NotFound", "appprojects.argoproj.io"),
    ("GetGlobalProjects", {"name": "nothing-there"}, "NotFound", "appprojects.argoproj.io"),
    ("ListEvents", {"name": "nothing-there"}, "NotFound", "appprojects.argoproj.io"),
    ("GetSyncWindowsState", {"name": "nothing-there"}, "NotFound", "appprojects.argoproj.io"),
]


@pytest.mark.parametrize(
    ("method", "request_", "code", "text"), REFUSED, ids=[f"{each[0]}: {each[3]}" for each in REFUSED]
)
async def test_refusals(shop: House, method: str, request_: dict[str, Any], code: str, text: str) -> None:
    found, message = await shop.refused(f"{SERVICE}/{method}", request_)
    assert found == code, message
    assert message.startswith(text), message


RIGHTS = [
    ("Get", {"name": "{}"}, "get"),
    ("GetDetailedProject", {"name": "{}"}, "get"),
    ("GetGlobalProjects", {"name": "{}"}, "get"),
    ("ListEvents", {"name": "{}"}, "get"),
    ("GetSyncWindowsState", {"name": "{}"}, "get"),
    ("Create", {"project": {"metadata": {"name": "{}"}}}, "create"),
    ("Update", {"project": {"metadata": {"name": "{}"}}}, "update"),
    ("Delete", {"name": "{}"}, "delete"),
    ("CreateToken", {"project": "{}", "role": "r"}, "update"),
    ("DeleteToken", {"project": "{}", "role": "r", "iat": 1}, "update"),
]


def _named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(item, name) for key, item in value.items()}
    return value.replace("{}", name) if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["default", "nothing-there"])
@pytest.mark.parametrize(("method", "request_", "action"), RIGHTS, ids=[each[0] for each in RIGHTS])
async def test_without_the_right_nothing_is_learnt(
    shop: House, method: str, request_: dict[str, Any], action: str, name: str
) -> None:
    if method == "Delete" and name == "default":
        name = "everybody-else"
    nobody = shop.user("nobody", "applications, get, */*")
    assert await shop.refused(f"{SERVICE}/{method}", _named(request_, name), by=nobody) == (
        "PermissionDenied",
        DENIED.format(action, name, "nobody"),
    )


async def test_a_list_shows_what_may_be_read(shop: House) -> None:
    for name in ("list-b", "list-a", "list-c"):
        await shop.project(name)
    reader = shop.user("reader", "projects, get, list-a", "projects, get, list-b")
    answer = await shop.call(f"{SERVICE}/List", {}, by=reader)
    assert [item["metadata"]["name"] for item in answer["items"]] == ["list-a", "list-b"]
    everything = await shop.call(f"{SERVICE}/List", {})
    names = [item["metadata"]["name"] for item in everything["items"]]
    assert {"default", "list-a", "list-b", "list-c"} <= set(names)
    assert names == sorted(names)
    newest = max(int(item["metadata"]["resourceVersion"]) for item in everything["items"])
    assert int(everything["metadata"]["resourceVersion"]) >= newest


async def test_policies_and_windows_are_stored_in_their_plain_form(shop: House) -> None:
    window = {"kind": "deny", "schedule": "0 1 * * *", "duration": "1h", "applications": ["*"]}
    made = await shop.call(
        f"{SERVICE}/Create",
        {
            "project": project(
                "plain",
                roles=[{"name": "r", "policies": ["p,proj:plain:r,  applications,sync,plain/*,allow"]}],
                syncWindows=[window | {"timeZone": "Nowhere/Land"}],
            )
        },
    )
    assert made["spec"]["roles"][0]["policies"] == ["p, proj:plain:r, applications, sync, plain/*, allow"]
    assert made["spec"]["syncWindows"] == [window | {"timeZone": "UTC"}]


async def test_an_update_names_the_version_it_was_made_from(shop: House) -> None:
    await shop.project("versions", description="a")
    old = await shop.call(f"{SERVICE}/Get", {"name": "versions"})
    await shop.call(f"{SERVICE}/Update", {"project": {**old, "spec": {"description": "b"}}})
    assert await shop.refused(f"{SERVICE}/Update", {"project": {**old, "spec": {"description": "c"}}}) == (
        "Aborted",
        'Operation cannot be fulfilled on appprojects.argoproj.io "versions": the object has been '
        "modified; please apply your changes to the latest version and try again",
    )
    code, text = await shop.refused(f"{SERVICE}/Update", {"project": project("versions")})
    assert code == "InvalidArgument"
    assert "metadata.resourceVersion: Invalid value" in text


async def test_labels_annotations_and_finalizers_are_the_callers(shop: House) -> None:
    await shop.project("meta")
    read = await shop.call(f"{SERVICE}/Get", {"name": "meta"})
    read["metadata"]["labels"] = {"team": "a"}
    read["metadata"]["finalizers"] = ["example.org/keep"]
    updated = await shop.call(f"{SERVICE}/Update", {"project": read})
    assert updated["metadata"]["labels"] == {"team": "a"}
    assert await shop.call(f"{SERVICE}/Delete", {"name": "meta"}) == {}
    held = await shop.call(f"{SERVICE}/Get", {"name": "meta"})
    assert held["metadata"]["deletionTimestamp"], "the finalizer holds it"
    await shop.client.patch(
        PROJECT, shop.namespace, "meta", {"metadata": {"finalizers": None}}, "application/merge-patch+json"
    )
    key = AppKey(shop.namespace, "meta")
    await shop.until(lambda: shop.state.projects.get(key) is None, "it goes")


CHANGES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ("description", {}, {"description": "x"}, ()),
    (
        "destination added",
        {},
        {"destinations": [{"server": "https://one", "namespace": "n"}]},
        ("clusters, update, https://one",),
    ),
    (
        "destination removed",
        {"destinations": [{"server": "https://one", "namespace": "n"}]},
        {},
        ("clusters, update, https://one",),
    ),
    ("repository added", {}, {"sourceRepos": ["*"]}, ("repositories, update, *",)),
    ("repository removed", {"sourceRepos": ["https://r"]}, {}, ("repositories, update, https://r",)),
    (
        "kinds",
        {"destinations": [{"server": "*", "namespace": "n"}]},
        {
            "destinations": [{"server": "*", "namespace": "n"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
        ("clusters, update, *",),
    ),
    (
        "kinds denied",
        {"destinations": [{"server": "https://one", "namespace": "n"}]},
        {
            "destinations": [{"server": "https://one", "namespace": "n"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}],
        },
        ("clusters, update, https://one",),
    ),
    (
        "no kind permitted becomes all",
        {"destinations": [{"server": "https://one", "namespace": "n"}], "namespaceResourceWhitelist": []},
        {"destinations": [{"server": "https://one", "namespace": "n"}]},
        ("clusters, update, https://one",),
    ),
]


@pytest.mark.parametrize(
    ("number", "before", "after", "needed"),
    [(number, *each[1:]) for number, each in enumerate(CHANGES)],
    ids=[each[0] for each in CHANGES],
)
async def test_rights_that_an_update_needs(
    shop: House, number: int, before: dict[str, Any], after: dict[str, Any], needed: tuple[str, ...]
) -> None:
    name = f"rights-{number}"
    await shop.project(name, **before)
    owner = shop.user("owner", f"projects, *, {name}")
    read = await shop.call(f"{SERVICE}/Get", {"name": name}, by=owner)
    change = {"project": {**read, "spec": after}}
    for line in needed:
        assert await shop.refused(f"{SERVICE}/Update", change, by=owner) == (
            "PermissionDenied",
            f"permission denied: {line}, sub: owner",
        )
    owner = shop.user("owner", f"projects, *, {name}", *needed)
    assert (await shop.call(f"{SERVICE}/Update", change, by=owner))["spec"] == after


async def test_no_kind_permitted_stays_so_over_protobuf(shop: House) -> None:
    """An empty list and none are one in protobuf, and mean the contrary of each other here."""
    await shop.project("closed", namespaceResourceWhitelist=[])
    read = await shop.call(f"{SERVICE}/Get", {"name": "closed"})
    assert read["spec"]["namespaceResourceWhitelist"] == []
    del read["spec"]["namespaceResourceWhitelist"]
    written = await shop.call(f"{SERVICE}/Update", {"project": read}, transport="grpc")
    assert written["spec"]["namespaceResourceWhitelist"] == []
    opened = await shop.call(f"{SERVICE}/Update", {"project": {**written, "spec": {}}})
    assert "namespaceResourceWhitelist" not in opened["spec"]


async def test_what_applications_use_stays_permitted(shop: House) -> None:
    everything: dict[str, Any] = {
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
    }
    await shop.project("used", **everything)
    await shop.application("used-1", project="used")
    await shop.application("used-2", project="used", destination={"name": "no-such", "namespace": "n"})
    read = await shop.call(f"{SERVICE}/Get", {"name": "used"})
    assert await shop.refused(f"{SERVICE}/Update", {"project": {**read, "spec": {}}}) == (
        "InvalidArgument",
        "as a result of project update 2 applications source became invalid "
        "and 1 applications destination became invalid",
    )
    narrow = {**everything, "destinations": [{"server": "*", "namespace": "elsewhere"}]}
    assert await shop.refused(f"{SERVICE}/Update", {"project": {**read, "spec": narrow}}) == (
        "InvalidArgument",
        "as a result of project update 1 applications destination became invalid",
    )
    assert await shop.refused(f"{SERVICE}/Delete", {"name": "used"}) == (
        "InvalidArgument",
        "project is referenced by 2 applications",
    )


async def test_details_show_what_is_inherited_and_nothing_secret(shop: House) -> None:
    await shop.project("everybody", sourceRepos=["https://for-all"])
    await shop.client.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "heir", "namespace": shop.namespace, "labels": {"inherits": "yes"}},
            "spec": {"sourceRepos": ["https://own"]},
        }
    )
    for name, kind, data in (
        (
            "heir-repo",
            "repository",
            {"url": "https://u:hidden1@repo", "password": "hidden2", "username": "u"},
        ),
        (
            "heir-cluster",
            "cluster",
            {"server": "https://c", "name": "c", "config": '{"bearerToken": "hidden3"}'},
        ),
    ):
        await shop.client.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": name,
                    "namespace": shop.namespace,
                    "labels": {"argocd.argoproj.io/secret-type": kind},
                },
                "stringData": {**data, "project": "heir"},
            }
        )
    settings = shop.base.settings
    await shop.until(
        lambda: (
            settings.snapshot.clusters.in_project("heir")
            and settings.snapshot.repositories.in_project("heir")
        ),
        "the Secrets are seen",
    )
    await shop.until(lambda: shop.state.projects.get(AppKey(shop.namespace, "heir")))
    answer = await shop.call(f"{SERVICE}/GetDetailedProject", {"name": "heir"})
    assert answer["project"]["spec"]["sourceRepos"] == ["https://own", "https://for-all"]
    assert [each["metadata"]["name"] for each in answer["globalProjects"]] == ["everybody"]
    assert [each["repo"] for each in answer["repositories"]] == ["https://repo"]
    assert [each["server"] for each in answer["clusters"]] == ["https://c"]
    assert "hidden" not in str(answer)
    globals_ = await shop.call(f"{SERVICE}/GetGlobalProjects", {"name": "heir"})
    assert [each["metadata"]["name"] for each in globals_["items"]] == ["everybody"]
    assert await shop.call(f"{SERVICE}/GetGlobalProjects", {"name": "everybody"}) == {}


async def test_windows_that_are_open(shop: House) -> None:
    always = {"kind": "allow", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    never = {"kind": "deny", "schedule": "0 0 30 2 *", "duration": "1h", "applications": ["*"]}
    await shop.project("windows", syncWindows=[always, never])
    answer = await shop.call(f"{SERVICE}/GetSyncWindowsState", {"name": "windows"})
    assert answer["windows"] == [always]
    await shop.project("broken-windows", syncWindows=[{**always, "schedule": "soon"}])
    code, text = await shop.refused(f"{SERVICE}/GetSyncWindowsState", {"name": "broken-windows"})
    assert code == "Unknown"
    assert text.startswith("cannot parse schedule 'soon'")


async def test_events_about_a_project(shop: House) -> None:
    await shop.call(f"{SERVICE}/Create", {"project": project("told")})
    await shop.queue.flush()
    answer = await shop.call(f"{SERVICE}/ListEvents", {"name": "told"})
    assert [(each["message"], each["count"]) for each in answer["items"]] == [("admin created project", 1)]
    assert answer["metadata"]["resourceVersion"]
    await shop.project("silent")
    assert (await shop.call(f"{SERVICE}/ListEvents", {"name": "silent"}))["items"] is None


async def test_two_writers_lose_nothing(shop: House) -> None:
    await shop.project("busy", roles=[{"name": "r"}])
    request = {"project": "busy", "role": "r"}
    await asyncio.gather(*(shop.call(f"{SERVICE}/CreateToken", request) for _ in range(4)))
    read = await shop.call(f"{SERVICE}/Get", {"name": "busy"})
    assert len(read["status"]["jwtTokensByRole"]["r"]["items"]) == 4
