"""``extension.config`` and ``extension.config.<name>`` (api.md 14, operations.md 1.2, 1.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.server.extensions.config import Extensions, Header, Service, Transport, read_extensions
from tiphys.settings.problems import SettingError
from tiphys.settings.references import References

SECRETS = References({"token": " s3cret\n", "broken": "a\nb"}, {"more": {"key": "other"}})

FULL = """
extensions:
- name: metrics
  backend:
    connectionTimeout: 3s
    keepAlive: 1m
    idleConnectionTimeout: 2000000000
    maxIdleConnections: 7
    services:
    - url: http://metrics.example.org:8080/ignored?too
      headers:
      - {name: Authorization, value: $token}
      - {name: X-Other, value: '$more:key'}
      - {name: X-Plain, value: 7}
      - {name: Argocd-Username, value: somebody}
      - {name: Transfer-Encoding, value: chunked}
"""
METRICS = Service(
    "http://metrics.example.org:8080",
    (Header("Authorization", "s3cret"), Header("X-Other", "other"), Header("X-Plain", "7")),
)


def read(raw: dict[str, str]) -> Extensions:
    return read_extensions(raw, SECRETS)


def test_all_that_can_be_set() -> None:
    found = read({"extension.config": FULL, "url": "https://x"}).by_name["metrics"]
    assert found.services == (METRICS,)
    assert found.transport == Transport(3.0, 60.0, 2.0, 7)
    assert "s3cret" not in repr(found)


def test_a_key_for_each_extension() -> None:
    """Both forms together; what is not set, or zero, has its default."""
    found = read(
        {
            "extension.config": FULL,
            "extension.config.logs": "keepAlive: 0s\nservices:\n- url: https://logs\n",
            "extension.configuration": "ignored",
            "extension.config.traces": "services: [{url: 'https://u:p@[::1]:9'}]",
        }
    )
    assert sorted(found.by_name) == ["logs", "metrics", "traces"]
    assert found.by_name["logs"].transport == Transport(2.0, 15.0, 60.0, 30)
    assert found.by_name["traces"].services == (Service("https://[::1]:9"),)


@pytest.mark.parametrize("text", ["", "extensions:", "extensions: []", "other: 1"])
def test_nothing_is_configured(text: str) -> None:
    assert read({"extension.config": text}) == read({}) == Extensions()


def test_a_reference_that_names_nothing_is_told_and_used_as_it_is() -> None:
    text = "services: [{url: http://x, headers: [{name: A, value: $nothing}]}]"
    found = read({"extension.config.x": text})
    assert found.unresolved == ("$nothing",)
    assert found.by_name["x"].services[0].headers == (Header("A", "$nothing"),)


def one(name: Any = "x", **service: Any) -> dict[str, Any]:
    entry = {"name": name, "backend": {"services": [{"url": "http://x", **service}]}}
    return {"extension.config": json.dumps({"extensions": [entry]})}


TWO = "services: [{url: http://x, cluster: {%s}}, {url: http://y, cluster: {%s}}]"
PARTS = "extensions.backend.services"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        pytest.param(one(""), "extensions.name must be configured", id="no-name"),
        pytest.param(one(None), "extensions.name must be configured", id="null-name"),
        pytest.param(one("a/b"), "invalid extensions.name: only alphanumeric", id="name"),
        pytest.param({"extension.config.a.b": "{}"}, "invalid extensions.name", id="name-with-a-dot"),
        pytest.param(
            {"extension.config.x": "{}"}, "no backend service configured for extension x", id="none"
        ),
        pytest.param(one(url=""), f"{PARTS}.url must be configured", id="no-url"),
        pytest.param(one(url="ftp://x"), f"{PARTS}.url must be an http or https URL", id="scheme"),
        pytest.param(one(url="http://"), f"{PARTS}.url must be an http or https URL", id="no-host"),
        pytest.param(one(url="http://x:port"), f"{PARTS}.url must be an http or https URL", id="port"),
        pytest.param(one(url="http://x y"), f"{PARTS}.url must be an http or https URL", id="space"),
        pytest.param(one(url="http://x\\@y"), f"{PARTS}.url must be an http or https URL", id="backslash"),
        pytest.param(
            {"extension.config.x": "services: [{url: http://x}, {url: http://y, cluster: {name: y}}]"},
            f"{PARTS}.cluster must be configured when defining more than one service per extension",
            id="which-cluster",
        ),
        pytest.param(one(cluster={}), "cluster.name or cluster.server must be defined", id="cluster"),
        pytest.param(one(headers=[{"value": "x"}]), "header.name must be defined", id="header-name"),
        pytest.param(one(headers=[{"name": "x"}]), "header.value must be defined", id="header-value"),
        pytest.param(
            one(headers=[{"name": "x y", "value": "1"}]), "header.name is not the name", id="header-form"
        ),
        pytest.param(
            one(headers=[{"name": "X", "value": "$broken"}]), "the value of the header X has", id="line-break"
        ),
        pytest.param(
            {"extension.config": FULL, "extension.config.metrics": "services: [{url: http://x}]"},
            'duplicated extension found in the configs for "metrics"',
            id="twice",
        ),
        pytest.param(
            {"extension.config.x": TWO % ("name: a", "name: a")}, "duplicated proxy configuration", id="names"
        ),
        pytest.param(
            {"extension.config.x": TWO % ("server: a", "server: a, name: b")},
            "duplicated proxy configuration",
            id="servers",
        ),
        pytest.param({"extension.config": "{"}, "not valid YAML", id="yaml"),
        pytest.param({"extension.config": "[]"}, "expected a map", id="list"),
        pytest.param(
            {"extension.config.x": "connectionTimeout: soon\nservices: [{url: http://x}]"},
            "connectionTimeout: expected a duration",
            id="duration",
        ),
        pytest.param(
            {"extension.config.x": "keepAlive: -1s\nservices: [{url: http://x}]"},
            "keepAlive: must not be negative",
            id="negative",
        ),
        pytest.param(
            {"extension.config.x": "maxIdleConnections: many\nservices: [{url: http://x}]"},
            "maxIdleConnections must be a number",
            id="number",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_key(raw: dict[str, str], why: str) -> None:
    """One that is wrong makes all of them unreadable, as in the reference."""
    with pytest.raises(SettingError) as caught:
        read(raw)
    assert caught.value.why.startswith(why)
    assert caught.value.key in raw


TWO_CLUSTERS = """
services:
- {url: http://one, cluster: {name: one, server: https://one}}
- {url: http://two, cluster: {name: two}}
- {url: http://three, cluster: {server: https://three}}
"""


@pytest.mark.parametrize(
    ("name", "server", "origin"),
    [
        ("one", "", "http://one"),
        ("", "https://one", "http://one"),
        ("two", "", "http://two"),
        ("", "https://two", None),
        ("", "https://three", "http://three"),
        ("three", "", None),
        ("", "", None),
        ("one", "https://one", None),
    ],
)
def test_which_service_is_for_a_destination(name: str, server: str, origin: str | None) -> None:
    """By what the Application writes; with one service only, its cluster means nothing."""
    extension = read({"extension.config.x": TWO_CLUSTERS}).by_name["x"]
    found = extension.service_for(name, server)
    assert (found.origin if found else None) == origin
    alone = read({"extension.config.x": "services: [{url: http://x, cluster: {name: other}}]"}).by_name["x"]
    assert alone.service_for(name, server) is not None
