"""How clusters are stored (operations.md 1.9), and whose tokens they hold. Pure."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from tiphys.resources.gojson import dumps
from tiphys.resources.messages.clusters import (
    AWSAuthConfig,
    Cluster,
    ClusterConfig,
    ExecProviderConfig,
    TLSClientConfig,
)
from tiphys.server.api.failures import ApiFailure
from tiphys.server.services.clusters import secrets
from tiphys.server.services.clusters.rotating import Account, account_of
from tiphys.server.services.clusters.showing import shown
from tiphys.settings.reading import data_of

FULL = Cluster(
    server="https://c",
    name="c",
    config=ClusterConfig(
        username="hidden1",
        password="hidden2",
        bearer_token="hidden3",
        tls_client_config=TLSClientConfig(
            server_name="shown", cert_data=b"hidden4", key_data=b"hidden5", ca_data=b"hidden6"
        ),
        aws_auth_config=AWSAuthConfig(cluster_name="shown", role_arn="shown"),
        exec_provider_config=ExecProviderConfig(command="hidden7", args=("hidden8",), env={"A": "hidden9"}),
        disable_compression=True,
        proxy_url="http://user:hidden10@proxy",
    ),
    namespaces=("a", "b"),
    shard=2,
    cluster_resources=True,
    project="p",
    labels={"team": "x"},
    annotations={"note": "y"},
)


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("https://kubernetes.default.svc", "cluster-kubernetes.default.svc-3396314289"),
        ("https://Some.Host:6443", "cluster-some.host-"),
        ("https://[::1]:6443", "cluster---1-"),
    ],
    ids=["operations.md 1.9: known", "host without port, lower case", "IPv6"],
)
def test_names(server: str, name: str) -> None:
    found = secrets.secret_name(server)
    assert found.startswith(name)
    assert found.rpartition("-")[2].isdigit()


NO_URLS = [
    "nothing",
    "//x",
    "https://",
    "https://[::1",
    "ftp://x",
    "https://a b",
    "https://a\r\nHost: b",
    "https://a\x00",
    "https://\u00e9",
    "https://a:99999",
    "https://a:0",
    "https://a:b",
    "https://..",
    "https://*",
    "https://" + "a" * 64,
    "https://" + "a." * 127,
]


@pytest.mark.parametrize("server", NO_URLS)
def test_what_is_no_url(server: str) -> None:
    with pytest.raises(ApiFailure, match="invalid URI for request"):
        secrets.secret_name(server)


def test_credentials_in_a_url() -> None:
    with pytest.raises(ApiFailure, match="may hold no credentials") as caught:
        secrets.secret_name("https://user:hidden@host")
    assert "hidden" not in caught.value.message


def test_a_secret_and_back() -> None:
    secret = secrets.new_secret(FULL, "argocd")
    assert secret["metadata"]["labels"] == {"team": "x", "argocd.argoproj.io/secret-type": "cluster"}
    assert secret["metadata"]["annotations"] == {"note": "y", "managed-by": "argocd.argoproj.io"}
    data = data_of(secret)
    assert {key: data[key] for key in ("server", "name", "namespaces", "shard", "clusterResources")} == {
        "server": "https://c",
        "name": "c",
        "namespaces": "a,b",
        "shard": "2",
        "clusterResources": "true",
    }
    assert json.loads(data["config"])["tlsClientConfig"]["caData"] == "aGlkZGVuNg=="
    assert secrets.read_secret(secret) == FULL
    assert secrets.patch_of(secret, FULL) == {}
    assert secrets.is_ours(secret)


def test_nothing_secret_is_shown() -> None:
    secret = secrets.new_secret(FULL, "argocd")
    answer = shown(secrets.usable_cluster(secret))
    assert b"hidden" not in dumps(answer)
    assert b"hidden" in dumps(FULL)
    assert "hidden" not in repr(FULL), "nothing that prints a cluster prints a credential"
    assert answer.config.tls_client_config == TLSClientConfig(server_name="shown")
    assert answer.config.aws_auth_config == FULL.config.aws_auth_config
    assert answer.config.proxy_url == "http://proxy"
    assert answer.labels == {"team": "x"}
    assert answer.annotations == {"note": "y"}


def test_a_patch_holds_what_differs_and_keeps_what_is_not_ours() -> None:
    import msgspec

    secret = secrets.new_secret(FULL, "argocd")
    data = data_of(secret)
    config = json.loads(data["config"]) | {"newer": {"field": 1}}
    secret = {
        **secret,
        "stringData": {"config": json.dumps(config), "extra": "1"},
        "data": {key: text for key, text in secret["data"].items() if key != "config"},
    }
    assert secrets.patch_of(secret, FULL) == {}
    token = msgspec.structs.replace(FULL.config, bearer_token="new")
    wanted = msgspec.structs.replace(FULL, config=token, namespaces=(), shard=None, labels={"team": "z"})
    patch = secrets.patch_of(secret, wanted)
    assert patch["metadata"] == {"labels": {"team": "z"}}
    written = patch["data"].pop("config")
    assert patch["data"] == {"namespaces": None, "shard": None}
    stored = json.loads(data_of({"kind": "Secret", "data": {"config": written}})["config"])
    assert stored == config | {"bearerToken": "new"}


_LEGACY = "kubernetes.io/serviceaccount/"
TOKENS: list[tuple[str, dict[str, Any], Account | None]] = [
    (
        "of a Secret",
        {
            _LEGACY + "namespace": "kube-system",
            _LEGACY + "service-account.name": "argocd-manager",
            _LEGACY + "secret.name": "old",
        },
        Account("kube-system", "argocd-manager", "old"),
    ),
    (
        "for a time",
        {"kubernetes.io": {"namespace": "n", "serviceaccount": {"name": "a", "uid": "u"}}},
        Account("n", "a"),
    ),
    ("of a person", {"sub": "ada"}, None),
    ("of no shape", {"kubernetes.io": {"namespace": 1, "serviceaccount": "x"}}, None),
]


@pytest.mark.parametrize(
    ("claims", "account"), [each[1:] for each in TOKENS], ids=[each[0] for each in TOKENS]
)
def test_whose_token(claims: dict[str, Any], account: Account | None) -> None:
    assert account_of(jwt.encode(claims, "k" * 32)) == account


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "\x00"])
def test_no_token(token: str) -> None:
    assert account_of(token) is None
