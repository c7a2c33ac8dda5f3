"""``fields`` (api.md 3 "fields query filter") and cookies (api.md 11)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.server.http.app_fields import AppFields
from tiphys.server.http.cookies import (
    TooManyCookies,
    cleared_cookies,
    cookies_of,
    token_cookies,
    token_of,
)
from tiphys.server.http.fields import Fields

VALUE = {
    "metadata": {"name": "a", "labels": {"x": "y"}},
    "m": 1,
    "items": [{"metadata": {"name": "b"}, "spec": {"p": 1}}, {"spec": {"p": 2}}],
    "result": {"type": "ADDED", "application": {"metadata": {"name": "c"}}},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("metadata.name", {"metadata": {"name": "a"}, "m": 1}),  # a string prefix, no dot needed
        ("metadata", {"metadata": VALUE["metadata"], "m": 1}),
        ("items.metadata.name", {"items": [{"metadata": {"name": "b"}}, {}]}),
        ("items.spec", {"items": [{"spec": {"p": 1}}, {"spec": {"p": 2}}]}),
        ("result.type", {"result": {"type": "ADDED"}}),
        ("nothing", {}),
        ("-metadata,items,result", {"m": 1}),
        (
            "-items.spec.p,metadata,m,result",
            {"items": [{"metadata": {"name": "b"}, "spec": {}}, {"spec": {}}]},
        ),
    ],
)
def test_the_generic_filter(text: str, wanted: Any) -> None:
    fields = Fields.parse(text)
    assert fields is not None
    assert json.loads(fields.filtered(json.dumps(VALUE).encode())) == wanted


def test_filtered_keys_are_sorted() -> None:
    fields = Fields.parse("-nothing")
    assert fields is not None
    assert fields.filtered(b'{"b":1,"a":{"d":1,"c":"<"}}') == b'{"a":{"c":"\\u003c","d":1},"b":1}'


@pytest.mark.parametrize("text", ["", ",", "-", "-,"])
def test_no_fields_are_no_filter(text: str) -> None:
    assert Fields.parse(text) is None


RESULT = "status.operationState.operation.sync"


def nested(path: str, value: Any) -> Any:
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


APP = {
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"l": "1"}},
    "spec": {"project": "p", "source": {"path": "x"}, "destination": {"server": "s"}},
    "status": {
        "sync": {"status": "Synced", "revision": "r", "comparedTo": {}},
        "health": {"status": "Healthy"},
        "operationState": {
            "phase": "Succeeded",
            "startedAt": "t",
            "operation": {"sync": {"revision": "asked"}},
            "syncResult": {"revision": "done"},
        },
    },
    "operation": {"sync": {"prune": True}, "initiatedBy": {}},
}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (["items.metadata.name"], {"metadata": {"name": "a"}}),
        (
            ["items.metadata.name", "items.metadata.annotations", "items.spec.project"],
            {"metadata": {"name": "a"}, "spec": {"project": "p"}},
        ),
        (["items.spec", "items.spec.project"], {"spec": APP["spec"]}),
        (["items.status.sync.status"], {"status": {"sync": {"status": "Synced"}}}),
        (["items.status.sync"], {}),  # not among the supported paths
        ([f"items.{RESULT}"], nested(RESULT, {"revision": "done"})),
        (["items.operation.sync"], {"operation": {"sync": {"prune": True}}}),
        (["metadata.name"], {}),
        (["items.metadata.uid"], {}),
    ],
)
def test_the_fields_of_applications(fields: list[str], wanted: Any) -> None:
    assert AppFields.parse(fields).of(APP) == wanted


def test_all_but_some_fields_of_applications() -> None:
    found = AppFields.parse(["-items.spec.source", "items.metadata.labels", "items.status.health"]).of(APP)
    assert found["spec"] == {"project": "p", "destination": {"server": "s"}}
    assert found["metadata"] == {"name": "a", "namespace": "n"}
    assert "health" not in found["status"]


def test_the_metadata_of_the_list_stays() -> None:
    text = json.dumps({"items": [APP], "metadata": {"resourceVersion": "7"}}).encode()
    found = json.loads(AppFields.parse(["items.metadata.name"]).filtered(text))
    assert found == {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]}
    assert (
        json.loads(AppFields.parse(["items.spec"]).filtered(b'{"metadata":{},"items":null}'))["items"] is None
    )


def cookie_values(cookies: list[str]) -> dict[str, str]:
    return cookies_of("; ".join(cookie.split("; ")[0] for cookie in cookies))


@given(st.text("abcXYZ019._-", min_size=1, max_size=70_000), st.sampled_from(["/", "/argo-cd", "a/b/"]))
def test_what_is_cut_comes_together(token: str, href: str) -> None:
    cookies = token_cookies(token, href, secure=True)
    assert all(len(cookie) <= 4093 for cookie in cookies)
    assert token_of(cookie_values(cookies)) == token


def test_too_many_chunks_name_both_numbers() -> None:
    with pytest.raises(TooManyCookies, match="requires 3 cookies but the max number of cookies is 2"):
        token_cookies("x" * 10_000, "/", secure=True, max_chunks=2)


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        ({}, ""),
        ({"argocd.token": "a.b.c"}, "a.b.c"),
        ({"argocd.token": "2:ab", "argocd.token-1": "cd"}, "abcd"),
        ({"argocd.token": "3:ab", "argocd.token-1": "cd"}, ""),
        ({"argocd.token": "x:ab"}, ""),
        ({"argocd.token": "999999999:ab"}, ""),
        ({"argocd.token": "1:ab"}, "ab"),
        ({"argocd.token-1": "cd"}, ""),
    ],
)
def test_tokens_out_of_cookies(cookies: dict[str, str], token: str) -> None:
    assert token_of(cookies) == token


def test_cookies_are_cleared_by_name() -> None:
    names = ["argocd.token", "argocd.token-1", "other", "argocd.tokenà"]
    assert cleared_cookies(names, "/argo/") == [
        "argocd.token=; path=/argo; Max-Age=0; SameSite=lax; httpOnly",
        "argocd.token-1=; path=/argo; Max-Age=0; SameSite=lax; httpOnly",
    ]
