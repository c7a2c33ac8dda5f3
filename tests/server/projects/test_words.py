"""What the services of this folder share: differences in Go's names, writing over what is unknown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.resources.messages.clusters import AWSAuthConfig, Cluster, ClusterConfig, TLSClientConfig
from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.project import AppProjectSpec, JWTToken, ProjectRole, SyncWindow
from tiphys.resources.spec import ApplicationDestination
from tiphys.server.services.differing import different_keys, go_name, spec_differs
from tiphys.server.services.overlaying import overlaid

SPEC = AppProjectSpec(
    destinations=(ApplicationDestination(server="s", namespace="n"),),
    roles=(ProjectRole(name="r", jwt_tokens=(JWTToken(iat=1),)),),
)
KEYS: list[tuple[str, Any, Any, tuple[str, ...]]] = [
    ("the same", SPEC, SPEC, ()),
    ("a text", SPEC, msgspec.structs.replace(SPEC, description="x"), ("Description",)),
    (
        "inside of a list",
        SPEC,
        msgspec.structs.replace(SPEC, destinations=(ApplicationDestination(server="s", namespace="m"),)),
        ("Destinations", "Namespace"),
    ),
    ("another length", SPEC, msgspec.structs.replace(SPEC, destinations=()), ("Destinations",)),
    (
        "deep",
        SPEC,
        msgspec.structs.replace(SPEC, roles=(ProjectRole(name="r", jwt_tokens=(JWTToken(iat=2),)),)),
        ("Roles", "JWTTokens", "IssuedAt"),
    ),
    (
        "several, each once",
        Cluster(server="s", labels={"a": "1"}),
        Cluster(
            server="t",
            labels={"a": "2", "b": "3"},
            config=ClusterConfig(
                tls_client_config=TLSClientConfig(ca_data=b"x"), aws_auth_config=AWSAuthConfig()
            ),
        ),
        ("Server", "Config", "TLSClientConfig", "CAData", "AWSAuthConfig", "Labels", "a", "b"),
    ),
]


@pytest.mark.parametrize(("old", "new", "keys"), [each[1:] for each in KEYS], ids=[each[0] for each in KEYS])
def test_keys_that_differ(old: Any, new: Any, keys: tuple[str, ...]) -> None:
    """api.md 9: ``difference in keys``."""
    assert different_keys(old, new) == keys


@pytest.mark.parametrize(
    ("kind", "attribute", "name"),
    [
        (SyncWindow, "and_operator", "UseAndOperator"),
        (Repository, "ssh_private_key", "SSHPrivateKey"),
        (Repository, "enable_oci", "EnableOCI"),
        (Repository, "github_app_id", "GithubAppId"),
        (ClusterConfig, "proxy_url", "ProxyUrl"),
        (JWTToken, "id", "ID"),
    ],
)
def test_names(kind: type[msgspec.Struct], attribute: str, name: str) -> None:
    key = kind.__struct_encode_fields__[kind.__struct_fields__.index(attribute)]
    assert go_name(attribute, key) == name


def test_no_value_is_told() -> None:
    old = ClusterConfig(password="hidden1")
    failure = spec_differs("cluster", old, ClusterConfig(password="hidden2"))
    assert failure.message == (
        'existing cluster spec is different; use upsert flag to force update; difference in keys "Password"'
    )


_JSON = st.recursive(
    st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_KNOWN = st.dictionaries(st.sampled_from("abc"), _JSON, max_size=3)


def with_unknown(value: Any, number: int) -> Any:
    """A value as a newer definition has it: one more member in each object."""
    if isinstance(value, dict):
        return {key: with_unknown(item, number + 1) for key, item in value.items()} | {"newer": number}
    if isinstance(value, list):
        return [with_unknown(item, number + place) for place, item in enumerate(value)]
    return value


def without_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_unknown(item) for key, item in value.items() if key != "newer"}
    return [without_unknown(item) for item in value] if isinstance(value, list) else value


@given(_KNOWN, _KNOWN)
def test_what_is_wanted_is_there_and_what_is_unknown_stays(
    known: dict[str, Any], wanted: dict[str, Any]
) -> None:
    raw = with_unknown(known, 0)
    written = overlaid(raw, known, wanted)
    assert without_unknown(written) == wanted
    assert written["newer"] == 0
    assert overlaid(raw, known, known) == raw
