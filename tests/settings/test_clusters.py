"""Which cluster a destination means (applications.md 2.2) and what its Secret says (operations.md 1.9)."""

import base64

import msgspec
import pytest

from tests.settings.building import secret
from tiphys.settings.clusters import (
    AwsAuthConfig,
    Cluster,
    ClusterConfig,
    Clusters,
    DestinationError,
    ExecProviderConfig,
    TlsConfig,
)
from tiphys.settings.problems import SettingError
from tiphys.settings.reading import read_cluster


class Destination(msgspec.Struct, frozen=True):
    server: str = ""
    name: str = ""


A, B, TWIN = Cluster("https://a", "a"), Cluster("https://b", "same"), Cluster("https://c", "same")
WHY = "Secret x, key config: not valid JSON"
ALL = Clusters.of((A, B, TWIN), broken={"https://bad": WHY}, broken_names={"bad": WHY, A.name: WHY})
OWN = Cluster("https://kubernetes.default.svc", "mine", secret_name="s")

RESOLVED = [
    (ALL, Destination(server="https://a"), "https://a"),
    (ALL, Destination(server="https://a/"), "https://a"),
    (ALL, Destination(name="a"), "https://a"),
    (ALL, Destination(name="in-cluster"), "https://kubernetes.default.svc"),
    (ALL, Destination(server="https://kubernetes.default.svc"), "https://kubernetes.default.svc"),
    (Clusters(), Destination(name="in-cluster"), "https://kubernetes.default.svc"),
    (Clusters.of((OWN,)), Destination(name="mine"), "https://kubernetes.default.svc"),
]


@pytest.mark.parametrize(("clusters", "destination", "server"), RESOLVED)
def test_a_destination_resolves(clusters: Clusters, destination: Destination, server: str) -> None:
    assert clusters.resolve(destination).server == server


LOCAL = "https://kubernetes.default.svc"
BY_SERVER = "error getting cluster by server"
NO_LOCAL = Clusters.of((A,), in_cluster_enabled=False)
REFUSED = [
    (
        ALL,
        Destination("https://a", "a"),
        "both",
        "application destination can't have both name and server defined: a https://a",
    ),
    (ALL, Destination(), "neither", "Destination server missing from app spec"),
    (ALL, Destination(name="no"), "not-found", "there are no clusters with this name: no"),
    (
        ALL,
        Destination(name="same"),
        "ambiguous",
        "there are 2 clusters with the same name: [https://b https://c]",
    ),
    (
        ALL,
        Destination("https://no/"),
        "not-found",
        f'{BY_SERVER} "https://no": rpc error: code = NotFound desc = cluster "https://no" not found',
    ),
    (
        ALL,
        Destination("https://bad"),
        "broken",
        f'{BY_SERVER} "https://bad": Secret x, key config: not valid JSON',
    ),
    (ALL, Destination(name="bad"), "broken", WHY),
    (
        NO_LOCAL,
        Destination(LOCAL),
        "disabled",
        f'{BY_SERVER} "{LOCAL}": rpc error: code = NotFound desc = cluster "{LOCAL}" is disabled',
    ),
    (
        NO_LOCAL,
        Destination(name="in-cluster"),
        "not-found",
        "there are no clusters with this name: in-cluster",
    ),
    (
        Clusters.of((OWN,)),
        Destination(name="in-cluster"),
        "not-found",
        "there are no clusters with this name: in-cluster",
    ),
]


@pytest.mark.parametrize(
    ("clusters", "destination", "reason", "text"),
    REFUSED,
    ids=[f"{r[2]} {r[1].server or r[1].name}" for r in REFUSED],
)
def test_a_refusal_has_the_conditions_text(
    clusters: Clusters, destination: Destination, reason: str, text: str
) -> None:
    with pytest.raises(DestinationError) as refused:
        clusters.resolve(destination)
    assert refused.value.message == text
    assert refused.value.reason == reason


def test_a_secret_for_the_local_url_takes_precedence() -> None:
    assert Clusters.of((OWN,)).get("https://kubernetes.default.svc") is OWN


def test_disabled_means_also_the_secret_of_the_local_url() -> None:
    assert Clusters.of((OWN, A), in_cluster_enabled=False).all() == (A,)


def test_the_first_of_two_secrets_with_one_server_is_taken() -> None:
    other = Cluster("https://a", "other")
    assert Clusters.of((A, other)).get("https://a") is A


def test_clusters_of_a_project() -> None:
    mine = Cluster("https://m", "m", project="p")
    clusters = Clusters.of((A, mine))
    assert clusters.in_project("p") == (mine,)
    assert clusters.in_project("") == ()


def test_all_keys_of_a_secret() -> None:  # operations.md 1.9
    pem = base64.b64encode(b"PEM").decode()
    config = f"""{{"username":"u","password":"p","bearerToken":"t","disableCompression":true,
      "tlsClientConfig":{{"serverName":"sn","certData":"{pem}","keyData":"{pem}","caData":"{pem}"}},
      "awsAuthConfig":{{"clusterName":"c","roleARN":"r","profile":"f"}},
      "execProviderConfig":{{"command":"c","args":["a"],"env":{{"K":"v"}},"apiVersion":"v","installHint":"h",
      "provideClusterInfo":true,"config":{{}}}},"proxyUrl":"socks5://p:1","unknown":1}}"""
    manifest = secret(
        "c1",
        "cluster",
        {
            "name": "prod",
            "server": "https://prod/",
            "namespaces": "a, b,",
            "clusterResources": "true",
            "project": "p",
            "shard": "2",
            "config": config,
        },
        annotations={
            "argocd.argoproj.io/skip-reconcile": "true",
            "argocd.argoproj.io/refresh": "2026-01-01T00:00:00Z",
        },
        labels={"env": "x"},
    )
    cluster, note = read_cluster(manifest)
    assert not note
    assert (cluster.server, cluster.name, cluster.namespaces) == ("https://prod", "prod", ("a", "b"))
    assert (cluster.cluster_resources, cluster.project, cluster.shard) == (True, "p", 2)
    assert (cluster.secret_name, cluster.labels["env"]) == ("c1", "x")
    assert cluster.skips_reconcile
    assert cluster.refresh_requested == "2026-01-01T00:00:00Z"
    assert cluster.config == ClusterConfig(
        "u",
        "p",
        "t",
        TlsConfig(False, "sn", b"PEM", b"PEM", b"PEM"),
        AwsAuthConfig("c", "r", "f"),
        ExecProviderConfig("c", ("a",), {"K": "v"}, "v", "h", True),
        True,
        "socks5://p:1",
    )


def test_an_invalid_shard_is_ignored_with_a_note() -> None:
    cluster, note = read_cluster(secret("c", "cluster", {"server": "https://c", "shard": "two"}))
    assert cluster.shard is None
    assert "shard" in note


WRONG = [
    ({}, "server", "missing"),
    ({"server": "https://c", "config": "{"}, "config", "not valid JSON"),
    ({"server": "https://c", "config": '{"username": 3}'}, "config", "$.username"),
    (
        {"server": "https://c", "config": '{"tlsClientConfig":{"caData":"%%"}}'},
        "config",
        "caData: not valid base64",
    ),
    (
        {"server": "https://c", "config": '{"tlsClientConfig":{"insecure":true,"caData":"YQ=="}}'},
        "config",
        "exclude",
    ),
    (
        {"server": "https://c", "config": '{"proxyUrl":"ftp://h"}'},
        "config",
        'failed to parse proxy url, unsupported scheme "ftp", must be http, https, or socks5',
    ),
]


@pytest.mark.parametrize(("data", "key", "why"), WRONG)
def test_a_wrong_secret_names_the_key(data: dict[str, str], key: str, why: str) -> None:
    with pytest.raises(SettingError) as wrong:
        read_cluster(secret("c", "cluster", data))
    assert wrong.value.key == f"Secret c, key {key}"
    assert why in wrong.value.why


def test_no_base64_names_the_key() -> None:
    manifest = secret("c", "cluster", {"server": "https://c"})
    manifest["data"]["config"] = "***"
    with pytest.raises(SettingError, match="Secret c, key config: not valid base64"):
        read_cluster(manifest)


def test_the_digest_follows_the_credentials() -> None:
    one, two = ClusterConfig(bearer_token="a"), ClusterConfig(bearer_token="b")
    assert one.digest == ClusterConfig(bearer_token="a").digest
    assert one.digest != two.digest
    assert one.has_credentials
    assert not ClusterConfig().has_credentials
