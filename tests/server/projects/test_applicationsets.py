"""ApplicationSetService (api.md 9 "ApplicationSet", 10; applicationset.md 26)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tests.controlplane import ControlPlane
from tests.server.projects.house import House, house
from tiphys.resources.applicationset import decode
from tiphys.resources.identity import GVK, AppKey
from tiphys.server.services.applicationsets.rules import unrecognized_generators
from tiphys.server.services.applicationsets.service import tree_of

SERVICE = "ApplicationSetService"
APPLICATION_SET = GVK("argoproj.io", "v1alpha1", "ApplicationSet")
DENIED = "permission denied: applicationsets, {}, {}, sub: {}"
MERGE = "application/merge-patch+json"


def appset(name: str, project: str = "default", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, **metadata},
        "spec": {
            "generators": [{"list": {"elements": [{"cluster": "a"}]}}],
            "template": {
                "metadata": {"name": "x-{{cluster}}"},
                "spec": {
                    "project": project,
                    "source": {"repoURL": "https://example.org/a.git", "path": "."},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": "n"},
                },
            },
        },
    }


def changed(body: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**body, "spec": {**body["spec"], **spec}}


async def create(shop: House, body: dict[str, Any], **options: Any) -> Any:
    return await shop.call(f"{SERVICE}/Create", {"applicationset": body, **options})


async def test_a_set_lives_its_life(shop: House) -> None:
    body = appset("set-life", labels={"a": "1"})
    made = await create(shop, body)
    assert made["spec"]["template"] == body["spec"]["template"]
    assert made["spec"]["generators"][0]["list"]["elements"] == [{"cluster": "a"}]
    assert await shop.call(f"{SERVICE}/Get", {"name": "set-life"}) == made
    assert await create(shop, body) == made, "the same once more is no error"

    other = changed(appset("set-life", labels={"b": "2"}), goTemplate=True)
    assert await shop.refused(f"{SERVICE}/Create", {"applicationset": other}) == (
        "InvalidArgument",
        "existing ApplicationSet spec is different, use upsert flag to force update",
    )
    updated = await create(shop, other, upsert=True)
    assert updated["spec"]["goTemplate"] is True
    assert updated["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert (await shop.call(f"{SERVICE}/Get", {"name": "set-life"})) == updated

    assert await shop.call(f"{SERVICE}/Delete", {"name": "set-life"}) == {}
    assert await shop.refused(f"{SERVICE}/Get", {"name": "set-life"}) == (
        "NotFound",
        'error getting ApplicationSet: applicationset.argoproj.io "set-life" not found',
    )
    assert await shop.refused(f"{SERVICE}/Delete", {"name": "set-life"}) == (
        "NotFound",
        'error getting ApplicationSets: applicationsets.argoproj.io "set-life" not found',
    )
    events = await shop.events("set-life")
    assert [(event["reason"], event["message"]) for event in events] == [
        ("ResourceCreated", "admin created ApplicationSet"),
        ("ResourceUpdated", "admin updated ApplicationSets spec"),
        ("ResourceDeleted", "admin deleted ApplicationSets"),
    ]
    assert events[0]["metadata"]["annotations"] == {"user": "admin"}


async def test_an_upsert_changes_the_object_that_is_there(shop: House) -> None:
    body = appset("set-newer")
    await create(shop, body)
    raw = await shop.client.get(APPLICATION_SET, shop.namespace, "set-newer")
    await create(shop, changed(body, goTemplate=True), upsert=True)
    stored = await shop.client.get(APPLICATION_SET, shop.namespace, "set-newer")
    assert stored["spec"]["goTemplate"] is True
    assert stored["metadata"]["uid"] == raw["metadata"]["uid"]


REFUSED: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    (
        "Create",
        {},
        ("Unknown", "error creating ApplicationSets: ApplicationSets is nil in request"),
    ),
    (
        "Create",
        {"applicationset": appset("x", project="{{project}}")},
        (
            "Unknown",
            "error validating ApplicationSets: the Argo CD API does not currently support creating "
            "ApplicationSets with templated `project` fields",
        ),
    ),
    (
        "Create",
        {"applicationset": changed(appset("x"), generators=[{}])},
        ("Unknown", "error validating ApplicationSets: ApplicationSet x contains unrecognized generators"),
    ),
    (
        "Create",
        {"applicationset": appset("x", namespace="elsewhere")},
        ("Unknown", "namespace 'elsewhere' is not permitted"),
    ),
    (
        "Create",
        {"applicationset": appset("x", project="nowhere")},
        ("InvalidArgument", "ApplicationSet references project nowhere which does not exist"),
    ),
    (
        "Create",
        {"applicationset": appset("x"), "dryRun": True},
        (
            "Unimplemented",
            "generating Applications comes with the ApplicationSet controller, which is not there yet",
        ),
    ),
    (
        "Generate",
        {"applicationSet": appset("x")},
        (
            "Unimplemented",
            "generating Applications comes with the ApplicationSet controller, which is not there yet",
        ),
    ),
    (
        "Generate",
        {},
        ("Unknown", "error creating ApplicationSets: ApplicationSets is nil in request"),
    ),
    ("Get", {"name": "x", "appsetNamespace": "e"}, ("Unknown", "namespace 'e' is not permitted")),
    ("ResourceTree", {"name": "x", "appsetNamespace": "e"}, ("Unknown", "namespace 'e' is not permitted")),
    (
        "ListResourceEvents",
        {"name": "no"},
        ("NotFound", 'error getting ApplicationSet: applicationset.argoproj.io "no" not found'),
    ),
    (
        "List",
        {"selector": "a=b=c"},
        ("Unknown", "error parsing the selector: unable to parse requirement: found '=', expected: ','"),
    ),
]


@pytest.mark.parametrize(
    ("method", "request_", "refusal"), REFUSED, ids=[f"{each[0]}: {each[2][1]}" for each in REFUSED]
)
async def test_refusals(shop: House, method: str, request_: dict[str, Any], refusal: tuple[str, str]) -> None:
    assert await shop.refused(f"{SERVICE}/{method}", request_) == refusal


async def test_what_kubernetes_refuses(shop: House) -> None:
    code, text = await shop.refused(f"{SERVICE}/Create", {"applicationset": appset("Not_A_Name")})
    assert code == "InvalidArgument"
    assert text.startswith('error creating ApplicationSet: ApplicationSet.argoproj.io "Not_A_Name"')


async def test_rights_are_those_of_the_templates_project(shop: House) -> None:
    await shop.project("set-team")
    await shop.project("set-other")
    await create(shop, appset("set-rights", project="set-team"))
    stranger = shop.user("set-stranger", "applicationsets, *, set-other/*")
    nobody = shop.user("set-nobody")
    for method, action in (
        ("Get", "get"),
        ("ResourceTree", "get"),
        ("ListResourceEvents", "get"),
        ("Delete", "delete"),
    ):
        for name in ("set-rights", "set-missing"):
            code, text = await shop.refused(f"{SERVICE}/{method}", {"name": name}, by=stranger)
            assert (code, text.endswith(f'argoproj.io "{name}" not found')) == ("NotFound", True)
            assert await shop.refused(f"{SERVICE}/{method}", {"name": name}, by=nobody) == (
                "PermissionDenied",
                DENIED.format(action, name, "set-nobody"),
            )
    mine = appset("set-rights", project="set-team")
    for method, field in (("Create", "applicationset"), ("Generate", "applicationSet")):
        assert await shop.refused(f"{SERVICE}/{method}", {field: mine}, by=stranger) == (
            "PermissionDenied",
            DENIED.format("create", "set-team/set-rights", "set-stranger"),
        )
    taking = {"applicationset": appset("set-rights", project="set-other"), "upsert": True}
    assert await shop.refused(f"{SERVICE}/Create", taking, by=stranger) == (
        "PermissionDenied",
        "permission denied",
    )
    reader = shop.user("set-reading", "applicationsets, *, set-other/*", "applicationsets, get, set-team/*")
    assert await shop.refused(f"{SERVICE}/Create", taking, by=reader) == (
        "PermissionDenied",
        DENIED.format("update", "set-team/set-rights", "set-reading"),
    )
    creator = shop.user("set-creator", "applicationsets, create, set-team/*")
    request = {"applicationset": changed(mine, goTemplate=True), "upsert": True}
    assert await shop.refused(f"{SERVICE}/Create", request, by=creator) == (
        "PermissionDenied",
        DENIED.format("update", "set-team/set-rights", "set-creator"),
    )


async def test_lists(shop: House) -> None:
    await shop.project("set-list")
    for name, labels in (("set-b", {"tier": "1"}), ("set-a", {"tier": "2"}), ("set-c", {})):
        await create(shop, appset(name, project="set-list", labels=labels))

    async def listed(by: Any = None, **request: Any) -> list[str]:
        asked = {"projects": ["set-list"], **request}
        answer = await (
            shop.call(f"{SERVICE}/List", asked, by=by) if by else shop.call(f"{SERVICE}/List", asked)
        )
        assert int(answer["metadata"]["resourceVersion"]) > 0
        return [each["metadata"]["name"] for each in answer["items"] or ()]

    assert await listed() == ["set-a", "set-b", "set-c"]
    assert await listed(selector="tier in (1,3)") == ["set-b"]
    assert await listed(appsetNamespace="elsewhere") == []
    reader = shop.user("set-reader", "applicationsets, get, set-list/set-c")
    assert await listed(reader, projects=[]) == ["set-c"]


async def test_a_tree_is_made_of_the_status(shop: House) -> None:
    await create(shop, appset("set-tree"))
    status = {
        "resources": [
            {"group": "argoproj.io", "version": "v1alpha1", "kind": "Application", "name": name}
            | ({"health": {"status": "Healthy"}} if name == "a" else {})
            for name in ("b", "a")
        ]
    }
    await shop.client.patch(
        APPLICATION_SET, shop.namespace, "set-tree", {"status": status}, MERGE, subresource="status"
    )
    key = AppKey(shop.namespace, "set-tree")
    held = await shop.until(
        lambda: (kept := shop.state.appsets.get(key)) and kept.status.resources and kept, "the status"
    )
    answer = await shop.call(f"{SERVICE}/ResourceTree", {"name": "set-tree"})
    assert [node["name"] for node in answer["nodes"]] == ["a", "b"]
    assert answer["nodes"][0]["health"] == {"status": "Healthy"}
    assert answer["nodes"][0]["namespace"] == shop.namespace
    assert answer["nodes"][0]["parentRefs"] == [
        {
            "group": "argoproj.io",
            "version": "v1alpha1",
            "kind": "ApplicationSet",
            "namespace": shop.namespace,
            "name": "set-tree",
            "uid": held.metadata.uid,
        }
    ]
    bare = msgspec.structs.replace(held, status=type(held.status)())
    assert tree_of(bare).nodes == ()


async def test_events_about_a_set(shop: House) -> None:
    await create(shop, appset("set-told"))
    await shop.queue.flush()
    answer = await shop.call(f"{SERVICE}/ListResourceEvents", {"name": "set-told"})
    assert [each["message"] for each in answer["items"]] == ["admin created ApplicationSet"]


def _generators(*generators: Any, applied: str | None = None) -> Any:
    annotations = {} if applied is None else {"kubectl.kubernetes.io/last-applied-configuration": applied}
    body = changed(appset("x", annotations=annotations), generators=list(generators))
    return decode({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", **body})


UNRECOGNIZED = "ApplicationSet x contains unrecognized generators"
GENERATORS = [
    ("known", _generators({"list": {}}, {"clusters": {}}), ""),
    ("a selector is a key", _generators({"selector": {}}), ""),
    ("none at all", _generators(), ""),
    ("no annotation", _generators({}), UNRECOGNIZED),
    ("garbled annotation", _generators({}, applied="{"), UNRECOGNIZED),
    ("annotation of another shape", _generators({}, applied='{"spec": []}'), UNRECOGNIZED),
    ("shorter annotation", _generators({}, {}, applied='{"spec":{"generators":[]}}'), UNRECOGNIZED),
    (
        "names in the annotation",
        _generators(
            {"zzz": {}},
            {"list": {}},
            {"aaa": {}},
            applied=json.dumps({"spec": {"generators": [{"zzz": {}}, {"list": {}}, {"aaa": {}}]}}),
        ),
        f"{UNRECOGNIZED}: aaa, zzz",
    ),
]


@pytest.mark.parametrize(
    ("body", "problem"), [each[1:] for each in GENERATORS], ids=[each[0] for each in GENERATORS]
)
def test_generators_that_nobody_knows(body: Any, problem: str) -> None:
    assert unrecognized_generators(body) == problem


class Subscriber:
    """Reads a stream; the next event is awaited with patience."""

    def __init__(self, shop: House, request: dict[str, Any], by: Any = None):
        arguments = {} if by is None else {"by": by}
        self._stream = shop.watch(f"{SERVICE}/Watch", request, **arguments)
        self._waiting: asyncio.Task[Any] | None = None

    async def start(self) -> Subscriber:
        """Subscribed when this returns; nothing was sent so far."""
        self._waiting = asyncio.ensure_future(anext(self._stream))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self

    async def next(self) -> tuple[str, str]:
        async with asyncio.timeout(30):
            waiting, self._waiting = self._waiting, None
            event = await (waiting if waiting is not None else anext(self._stream))
        return event["type"], event["applicationSet"]["metadata"]["name"]

    async def close(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        await self._stream.aclose()


async def test_a_watch_tells_of_changes(shop: House) -> None:
    await create(shop, appset("set-before"))
    everything = await Subscriber(shop, {}).start()
    hidden = shop.user("set-hidden", "applicationsets, get, default/set-seen")
    some = await Subscriber(shop, {}, hidden).start()
    try:
        await create(shop, appset("set-unseen"))
        await create(shop, appset("set-seen"))
        await create(shop, changed(appset("set-seen"), goTemplate=True), upsert=True)
        await shop.call(f"{SERVICE}/Delete", {"name": "set-seen"})
        assert await everything.next() == ("ADDED", "set-unseen"), "nothing of what was there before"
        wanted = [("ADDED", "set-seen"), ("MODIFIED", "set-seen"), ("DELETED", "set-seen")]
        assert [await everything.next() for _ in wanted] == wanted
        assert [await some.next() for _ in wanted] == wanted
    finally:
        await everything.close()
        await some.close()


async def test_a_watch_of_one_name_begins_with_what_is_there(shop: House) -> None:
    await create(shop, appset("set-named"))
    version = (await shop.call(f"{SERVICE}/List", {}))["metadata"]["resourceVersion"]
    one = await Subscriber(shop, {"name": "set-named"}).start()
    later = await Subscriber(shop, {"name": "set-named", "resourceVersion": str(int(version) + 1)}).start()
    try:
        assert await one.next() == ("ADDED", "set-named")
        await shop.call(f"{SERVICE}/Delete", {"name": "set-named"})
        assert await one.next() == ("DELETED", "set-named")
        assert await later.next() == ("DELETED", "set-named"), "what was there is older than asked for"
    finally:
        await one.close()
        await later.close()


async def test_filters_of_a_watch(shop: House) -> None:
    await shop.project("set-watched")
    chosen = await Subscriber(
        shop, {"projects": ["set-watched"], "selector": "a=1", "appSetNamespace": shop.namespace}
    ).start()
    elsewhere = await Subscriber(shop, {"appSetNamespace": "elsewhere"}).start()
    try:
        await create(shop, appset("set-w1", labels={"a": "1"}))
        await create(shop, appset("set-w2", project="set-watched"))
        await create(shop, appset("set-w3", project="set-watched", labels={"a": "1"}))
        assert await chosen.next() == ("ADDED", "set-w3")
        assert elsewhere._waiting is not None
        assert not elsewhere._waiting.done()
    finally:
        await chosen.close()
        await elsewhere.close()
    code = ""
    try:
        await anext(shop.watch(f"{SERVICE}/Watch", {"selector": "!"}))
    except Exception as error:
        code = str(error)
    assert code.startswith("Unknown: unable to parse requirement")


async def test_sets_in_other_namespaces(control_plane: ControlPlane, tmp_path: Any) -> None:
    """applicationset.md 23, 26: namespaces that are enabled are named in the RBAC object."""
    flags = {"--application-namespaces": "prj-*-sets"}
    async with house(control_plane, tmp_path, flags=flags) as shop:
        place = f"{shop.namespace}-sets"
        await asyncio.to_thread(shop.plane.kubectl, "create", "namespace", place)
        try:
            maker = shop.user("set-maker", f"applicationsets, *, default/{place}/*")
            request = {"applicationset": appset("set-there", namespace=place)}
            made = await shop.call(f"{SERVICE}/Create", request, by=maker)
            assert made["metadata"]["namespace"] == place
            asked = {"name": "set-there", "appsetNamespace": place}
            assert await shop.call(f"{SERVICE}/Get", asked, by=maker) == made
            stranger = shop.user("set-stranger", "applicationsets, get, default/set-there")
            assert await shop.refused(f"{SERVICE}/Get", asked, by=stranger) == (
                "PermissionDenied",
                DENIED.format("get", "set-there", "set-stranger"),
            )
            listed = await shop.call(f"{SERVICE}/List", {}, by=maker)
            assert [each["metadata"]["name"] for each in listed["items"]] == ["set-there"]
            await shop.call(f"{SERVICE}/Delete", asked, by=maker)
        finally:
            await asyncio.to_thread(shop.plane.kubectl, "delete", "namespace", place, "--wait=false")
