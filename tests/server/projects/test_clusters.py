"""ClusterService (api.md 9 "Cluster", health-and-resources.md 11) with the plane as another cluster."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.projects.clusters import IN_CLUSTER, MASKED, SERVICE, config_of, server_of
from tests.server.projects.house import SECRET, House
from tiphys.kube.client import MERGE_PATCH
from tiphys.resources.identity import GVK, ResourceKey

SERVICE_ACCOUNT = GVK("", "v1", "ServiceAccount")


async def manager(shop: House, name: str) -> tuple[str, str]:
    """A service account as ``cluster add`` makes one: the name of its token's Secret, and the token.

    It has no more rights than rotating takes."""
    namespace = shop.namespace
    for manifest in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name},
            "rules": [
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "get", "delete"]},
                {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "patch"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": f"{name}-token",
                "annotations": {"kubernetes.io/service-account.name": name},
            },
        },
    ):
        metadata = {**manifest["metadata"], "namespace": namespace}  # type: ignore[dict-item]
        await shop.client.create({**manifest, "metadata": metadata})
    patch = {"secrets": [{"name": "other"}, {"name": f"{name}-token"}]}
    await shop.client.patch(SERVICE_ACCOUNT, namespace, name, patch, MERGE_PATCH)
    return f"{name}-token", await shop.token_in(f"{name}-token")


async def test_a_cluster_lives_its_life(shop: House) -> None:
    server = server_of(shop)
    _, token = await manager(shop, "life")
    request = {
        "cluster": {
            "server": server + "/",
            "name": "life",
            "config": config_of(shop, token),
            "namespaces": ["a"],
            "labels": {"team": "x"},
            "annotations": {"note": "y"},
        }
    }
    made = await shop.call(f"{SERVICE}/Create", request)
    version = made["info"]["serverVersion"]
    assert version.startswith("v1.")
    assert made == {
        "server": server,
        "name": "life",
        "config": {"tlsClientConfig": {"insecure": False}},
        "connectionState": made["info"]["connectionState"],
        "serverVersion": version,
        "namespaces": ["a"],
        "info": made["info"],
        "labels": {"team": "x"},
        "annotations": {"note": "y"},
    }
    assert made["info"]["connectionState"]["status"] == "Successful"
    assert made["info"]["applicationsCount"] == 0

    name = shop.state.settings.clusters.get(server).secret_name
    secret, data = await shop.secret(name)
    assert name.startswith("cluster-localhost-")
    assert secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == "cluster"
    assert secret["metadata"]["annotations"]["managed-by"] == "argocd.argoproj.io"
    assert data["server"] == server
    assert token in data["config"]

    read = await shop.call(f"{SERVICE}/Get", {"id": {"type": "name", "value": "life"}})
    assert read["server"] == server
    assert read["connectionState"] == made["connectionState"], "known for a while without being followed"

    again = await shop.call(f"{SERVICE}/Create", request)
    assert again["server"] == server, "the same once more is no error"
    other = {"cluster": {**request["cluster"], "namespaces": ["b"], "config": config_of(shop)}}
    assert await shop.refused(f"{SERVICE}/Create", other) == (
        "InvalidArgument",
        "existing cluster spec is different; use upsert flag to force update; "
        'difference in keys "Config,BearerToken,Namespaces"',
    )
    changed = await shop.call(f"{SERVICE}/Create", {**other, "upsert": True})
    assert changed["namespaces"] == ["b"]

    assert await shop.call(f"{SERVICE}/Delete", {"server": server}) == {}
    assert not await shop.exists(SECRET, name)
    assert await shop.refused(f"{SERVICE}/Get", {"server": server}) == MASKED


async def test_some_fields_are_updated(shop: House) -> None:
    server = server_of(shop)
    config = config_of(shop)
    await shop.call(f"{SERVICE}/Create", {"cluster": {"server": server, "name": "some", "config": config}})
    request = {
        "cluster": {"name": "renamed", "shard": 3, "labels": {"a": "b"}, "namespaces": ["ignored"]},
        "id": {"value": server.replace("/", "%2F")},
        "updatedFields": ["name", "shard", "labels", "nonsense"],
    }
    answer = await shop.call(f"{SERVICE}/Update", request)
    assert (answer["name"], answer["shard"], answer["labels"]) == ("renamed", 3, {"a": "b"})
    assert "namespaces" not in answer
    name = shop.state.settings.clusters.get(server).secret_name
    assert "caData" in (await shop.secret(name))[1]["config"]

    whole = {"cluster": {"server": server, "config": {**config, "proxyUrl": ""}}}
    answer = await shop.call(f"{SERVICE}/Update", whole)
    assert (answer["name"], answer.get("shard"), answer.get("labels")) == (server, None, None)


async def test_nothing_is_stored_that_does_not_answer(shop: House) -> None:
    server = server_of(shop)
    refused = {"server": server, "config": {"tlsClientConfig": {}}}
    code, text = await shop.refused(f"{SERVICE}/Create", {"cluster": refused})
    assert code == "Unknown"
    assert "certificate verify failed" in text
    refused = {"server": server, "config": config_of(shop, "nonsense")}
    assert (await shop.refused(f"{SERVICE}/Create", {"cluster": refused}))[0] == "Unauthenticated"
    code, text = await shop.refused(f"{SERVICE}/Create", {"cluster": {"server": "https://127.0.0.1:1"}})
    assert code == "Unknown"
    assert "unreachable" in text
    good = {"server": server, "name": "answers", "config": config_of(shop)}
    await shop.call(f"{SERVICE}/Create", {"cluster": good})
    bad = {"cluster": refused, "updatedFields": ["config"]}
    assert (await shop.refused(f"{SERVICE}/Update", bad))[0] == "Unauthenticated"
    name = shop.state.settings.clusters.get(server).secret_name
    assert "nonsense" not in (await shop.secret(name))[1]["config"]


_HELD = "a value of the config holds characters that it may not hold"
CONFIGS: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    ("a token of two lines", {"bearerToken": "a\r\nHost: b"}, ("InvalidArgument", _HELD)),
    (
        "NUL in a program",
        {"execProviderConfig": {"command": "a\x00b"}},
        ("InvalidArgument", _HELD),
    ),
    (
        "no certificate",
        {"tlsClientConfig": {"caData": "anVuaw=="}},
        ("Unknown", "unusable certificate or key"),
    ),
    (
        "no text",
        {"tlsClientConfig": {"caData": "//4="}},
        ("InvalidArgument", "certificates and keys must be PEM texts"),
    ),
    (
        "no key",
        {"tlsClientConfig": {"certData": "anVuaw==", "keyData": "aGlkZGVu"}},
        ("Unknown", "unusable certificate or key"),
    ),
    ("a proxy that is away", {"proxyUrl": "socks5://u:hidden@127.0.0.1:1"}, ("Unknown", "proxy")),
    ("a program that is not there", {"execProviderConfig": {"command": "/no"}}, ("Unknown", "/no")),
]


@pytest.mark.parametrize(
    ("config", "refusal"), [each[1:] for each in CONFIGS], ids=[each[0] for each in CONFIGS]
)
async def test_configs_that_nobody_can_connect_with(
    shop: House, config: dict[str, Any], refusal: tuple[str, str]
) -> None:
    whole = {**config_of(shop), **config}
    request = {"cluster": {"server": server_of(shop), "config": whole}}
    code, text = await shop.refused(f"{SERVICE}/Create", request)
    assert code == refusal[0]
    assert refusal[1] in text
    assert "hidden" not in text


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Create", {}, "missing payload 'cluster' in request"),
    ("Update", {}, "missing payload 'cluster' in request"),
    ("Create", {"cluster": {"name": "x"}}, "the cluster's server is missing"),
    ("Create", {"cluster": {"server": "nothing"}}, 'parse "nothing": invalid URI for request'),
    (
        "Create",
        {"cluster": {"server": "https://x", "config": {"proxyUrl": "ftp://x"}}},
        'failed to parse proxy url, unsupported scheme "ftp", must be http, https, or socks5',
    ),
    (
        "Create",
        {
            "cluster": {
                "server": "https://x",
                "config": {"tlsClientConfig": {"insecure": True, "caData": "YQ=="}},
            }
        },
        "tlsClientConfig: insecure and caData exclude each other, leave one out",
    ),
    (
        "Create",
        {
            "cluster": {
                "server": "https://x",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            }
        },
        "annotation kubectl.kubernetes.io/last-applied-configuration cannot be set",
    ),
    (
        "Update",
        {"cluster": {"server": "https://other"}, "id": {"value": IN_CLUSTER}},
        "the server of a cluster cannot be changed; create another cluster",
    ),
    (
        "RotateAuth",
        {"id": {"value": IN_CLUSTER}},
        f"Cluster '{IN_CLUSTER}' does not use bearer token authentication",
    ),
]


@pytest.mark.parametrize(
    ("method", "request_", "text"), REFUSED, ids=[f"{each[0]}: {each[2]}" for each in REFUSED]
)
async def test_refusals(shop: House, method: str, request_: dict[str, Any], text: str) -> None:
    assert await shop.refused(f"{SERVICE}/{method}", request_) == ("InvalidArgument", text)


async def test_lists(shop: House) -> None:
    servers = [server_of(shop) for _ in range(3)]
    for number, server in enumerate(servers):
        await shop.call(
            f"{SERVICE}/Create",
            {"cluster": {"server": server, "name": f"list {number % 2}", "config": config_of(shop)}},
        )

    async def listed(**request: Any) -> list[str]:
        answer = await shop.call(f"{SERVICE}/List", request)
        return [each["server"] for each in answer["items"] or ()]

    everything = await listed()
    assert {*servers, IN_CLUSTER} <= set(everything)
    assert everything == sorted(everything)
    assert await listed(server=servers[1]) == [servers[1]]
    assert await listed(id={"value": servers[2]}) == [servers[2]]
    assert await listed(name="list 1") == [servers[1]]
    first = min(servers[0], servers[2])
    assert await listed(id={"type": "name", "value": "list 0"}) == [first], "the first of a name"
    assert await listed(id={"type": "name_escaped", "value": "list%2520" + "1"}) == [servers[1]]
    assert await listed(id={"type": "name", "value": "list 0"}, server=servers[1]) == []
    reader = shop.user("list-reader", f"clusters, get, {servers[0]}")
    answer = await shop.call(f"{SERVICE}/List", {}, by=reader)
    assert [each["server"] for each in answer["items"]] == [servers[0]]


async def test_a_secret_that_somebody_wrote_is_only_let_go_of(shop: House) -> None:
    server = server_of(shop)
    await shop.client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "by-hand",
                "namespace": shop.namespace,
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            },
            "stringData": {"server": server, "name": "by-hand", "extra": "mine"},
        }
    )
    await shop.until(lambda: server in shop.state.settings.clusters.by_server)
    await shop.call(
        f"{SERVICE}/Update",
        {
            "cluster": {"server": server, "config": config_of(shop), "annotations": {"a": "b"}},
            "updatedFields": ["config", "annotations"],
        },
    )
    await shop.call(f"{SERVICE}/Delete", {"server": server})
    secret, data = await shop.secret("by-hand")
    assert "argocd.argoproj.io/secret-type" not in (secret["metadata"].get("labels") or {})
    assert data["extra"] == "mine"
    assert server not in shop.state.settings.clusters.by_server


async def test_a_secret_that_came_or_went_unseen(shop: House) -> None:
    """As if another replica had just made it, or somebody had just deleted it."""
    server = server_of(shop)
    body = {"server": server, "name": "unseen", "config": config_of(shop)}
    await shop.call(f"{SERVICE}/Create", {"cluster": body})
    name = shop.state.settings.clusters.get(server).secret_name
    key = ResourceKey("", "Secret", shop.namespace, name)
    shop.base.settings.delete(key)
    assert (await shop.call(f"{SERVICE}/Create", {"cluster": body}))["name"] == "unseen"
    shop.base.settings.delete(key)
    code, _ = await shop.refused(f"{SERVICE}/Create", {"cluster": {**body, "name": "other"}})
    assert code == "InvalidArgument"
    unlabelled = {"metadata": {"labels": {"argocd.argoproj.io/secret-type": None}}}
    await shop.client.patch(SECRET, shop.namespace, name, unlabelled, MERGE_PATCH)
    await shop.until(lambda: server not in shop.state.settings.clusters.by_server)
    assert await shop.refused(f"{SERVICE}/Create", {"cluster": body}) == (
        "AlreadyExists",
        f'cluster "{server}" already exists',
    )
    await shop.client.delete(SECRET, shop.namespace, name, propagation_policy="")

    await shop.call(f"{SERVICE}/Create", {"cluster": body})
    held = await shop.client.get(SECRET, shop.namespace, name)
    await shop.client.delete(SECRET, shop.namespace, name, propagation_policy="")
    shop.base.settings.put(held)
    change = {"cluster": {"server": server, "shard": 1}, "updatedFields": ["shard"]}
    assert await shop.refused(f"{SERVICE}/Update", change) == MASKED
    shop.base.settings.put(held)
    assert (await shop.call(f"{SERVICE}/Create", {"cluster": body}))["name"] == "unseen"


async def test_the_cluster_we_run_in(shop: House) -> None:
    read = await shop.call(f"{SERVICE}/Get", {"id": {"type": "name", "value": "in-cluster"}})
    assert (read["server"], read["name"]) == (IN_CLUSTER, "in-cluster")
    assert await shop.refused(f"{SERVICE}/Delete", {"server": IN_CLUSTER}) == (
        "NotFound",
        f'cluster "{IN_CLUSTER}" not found',
    )
    answer = await shop.call(f"{SERVICE}/InvalidateCache", {"id": {"value": IN_CLUSTER}})
    assert answer["refreshRequestedAt"]
    name = shop.state.settings.clusters.get(IN_CLUSTER).secret_name
    assert name == "cluster-kubernetes.default.svc-3396314289"
    secret, data = await shop.secret(name)
    assert secret["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == answer["refreshRequestedAt"]
    assert data["name"] == "in-cluster"
    await shop.call(f"{SERVICE}/Delete", {"server": IN_CLUSTER})
    assert (await shop.call(f"{SERVICE}/Get", {"server": IN_CLUSTER}))["name"] == "in-cluster"


async def test_a_cache_is_invalidated(shop: House) -> None:
    server = server_of(shop)
    config = config_of(shop)
    await shop.call(f"{SERVICE}/Create", {"cluster": {"server": server, "name": "stale", "config": config}})
    answer = await shop.call(f"{SERVICE}/InvalidateCache", {"server": server})
    stored = shop.state.settings.clusters.get(server)
    assert stored.refresh_requested == answer["refreshRequestedAt"]
    assert answer["annotations"] == {"argocd.argoproj.io/refresh": answer["refreshRequestedAt"]}


async def test_a_token_is_rotated(shop: House) -> None:
    server = server_of(shop)
    old_secret, old = await manager(shop, "rotating")
    cluster = {"server": server, "name": "rotating", "config": config_of(shop, old)}
    await shop.call(f"{SERVICE}/Create", {"cluster": cluster})
    assert await shop.call(f"{SERVICE}/RotateAuth", {"id": {"type": "name", "value": "rotating"}}) == {}

    name = shop.state.settings.clusters.get(server).secret_name
    new = shop.state.settings.clusters.get(server).config.bearer_token
    assert new != old
    assert new in (await shop.secret(name))[1]["config"]
    assert not await shop.exists(SECRET, old_secret)
    account = await shop.client.get(SERVICE_ACCOUNT, shop.namespace, "rotating")
    names = [each["name"] for each in account["secrets"]]
    assert names[0] == "other"
    assert names[1].startswith("rotating-token-")
    assert len(names) == 2

    await shop.call(f"{SERVICE}/RotateAuth", {"server": server})
    assert shop.state.settings.clusters.get(server).config.bearer_token != new


async def test_what_cannot_be_rotated(shop: House) -> None:
    server = server_of(shop)
    await shop.call(f"{SERVICE}/Create", {"cluster": {"server": server, "config": config_of(shop)}})
    assert await shop.refused(f"{SERVICE}/RotateAuth", {"server": server}) == (
        "InvalidArgument",
        f"Cluster '{server}' does not use bearer token authentication",
    )
    name = shop.state.settings.clusters.get(server).secret_name
    patch = {"stringData": {"config": '{"bearerToken": "of.some.body"}'}}
    await shop.client.patch(SECRET, shop.namespace, name, patch, MERGE_PATCH)
    await shop.until(lambda: shop.state.settings.clusters.get(server).config.bearer_token)
    assert await shop.refused(f"{SERVICE}/RotateAuth", {"server": server}) == (
        "InvalidArgument",
        f"the bearer token of cluster '{server}' is no service account's",
    )
