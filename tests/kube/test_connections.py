"""Cluster Secrets and kubeconfigs become connections (operations.md 1.9)."""

import base64
from pathlib import Path

import pytest
import yaml

from tiphys.kube.connections import Connection, TlsSettings, from_cluster, from_kubeconfig, in_cluster
from tiphys.kube.credentials import ExecPlugin
from tiphys.kube.errors import ConnectionSettingsError
from tiphys.settings.clusters import (
    IN_CLUSTER_SERVER,
    AwsAuthConfig,
    Cluster,
    ClusterConfig,
    ExecProviderConfig,
    TlsConfig,
)

SERVER = "https://a.example"


def cluster(server: str = SERVER, **config: object) -> Cluster:
    return Cluster(server=server, name="a", config=ClusterConfig(**config))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "authorization"),
    [
        pytest.param({"bearer_token": "t"}, "Bearer t", id="bearer"),
        pytest.param({"username": "u", "password": "p"}, "Basic dTpw", id="basic"),
        pytest.param({"bearer_token": "t", "username": "u"}, "Bearer t", id="bearer-before-basic"),
        pytest.param({}, "", id="none"),
    ],
)
async def test_credentials_of_a_cluster(config: dict[str, object], authorization: str) -> None:
    credential = await from_cluster(cluster(**config)).credentials.current()
    assert credential.authorization == authorization


@pytest.mark.parametrize(
    ("config", "command", "args"),
    [
        pytest.param(
            {"aws_auth": AwsAuthConfig("c", "arn", "p"), "bearer_token": "t"},
            "argocd-k8s-auth",
            ("aws", "--cluster-name", "c", "--role-arn", "arn", "--profile", "p"),
            id="aws-before-all",
        ),
        pytest.param(
            {"exec_provider": ExecProviderConfig("helper", ("gcp",)), "username": "u"},
            "helper",
            ("gcp",),
            id="exec-before-basic",
        ),
    ],
)
def test_plugins_of_a_cluster(config: dict[str, object], command: str, args: tuple[str, ...]) -> None:
    source = from_cluster(cluster(**config)).credentials
    assert isinstance(source, ExecPlugin)
    assert (source._command, source._args) == (command, args)


def test_insecure_with_ca_is_refused() -> None:
    with pytest.raises(ConnectionSettingsError, match="insecure"):
        from_cluster(cluster(tls=TlsConfig(insecure=True, ca_data=b"x")))


def test_proxy_scheme_is_checked() -> None:
    with pytest.raises(
        ConnectionSettingsError, match='unsupported scheme "ftp", must be http, https, or socks5'
    ):
        from_cluster(cluster(proxy_url="ftp://x"))
    assert from_cluster(cluster(proxy_url="socks5://x:1")).proxy == "socks5://x:1"


async def test_in_cluster_without_credentials_is_the_local_connection() -> None:
    local = Connection("https://10.0.0.1:443", tls=TlsSettings(ca="pem"))
    assert from_cluster(cluster(IN_CLUSTER_SERVER), local) is local


async def test_in_cluster_with_credentials_keeps_host_and_ca() -> None:
    local = Connection("https://10.0.0.1:443", tls=TlsSettings(ca="pem"))
    made = from_cluster(cluster(IN_CLUSTER_SERVER, bearer_token="t"), local)
    assert (made.server, made.tls.ca) == ("https://10.0.0.1:443", "pem")
    assert (await made.credentials.current()).authorization == "Bearer t"


def test_compression_follows_the_secret() -> None:
    assert from_cluster(cluster()).compress
    assert not from_cluster(cluster(disable_compression=True)).compress


def test_kubeconfig_context_is_chosen(tmp_path: Path) -> None:
    ca = base64.b64encode(b"CA").decode()
    (tmp_path / "token").write_text("t")
    config = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c1", "user": "u"}},
            {"name": "two", "context": {"cluster": "c2", "user": "u", "namespace": "n"}},
        ],
        "clusters": [
            {"name": "c1", "cluster": {"server": "https://one/"}},
            {"name": "c2", "cluster": {"server": "https://two", "certificate-authority-data": ca}},
        ],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    }
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config))
    assert from_kubeconfig(file).server == "https://one"
    second = from_kubeconfig(file, "two")
    assert (second.server, second.tls.ca, second.namespace) == ("https://two", "CA", "n")
    with pytest.raises(ConnectionSettingsError, match="no entry 'three' under contexts"):
        from_kubeconfig(file, "three")


async def test_in_cluster_reads_the_service_account(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("argocd")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    made = in_cluster(environ, tmp_path)
    assert (made.server, made.namespace) == ("https://[fd00::1]:443", "argocd")
    assert (await made.credentials.current()).authorization == "Bearer t"
    with pytest.raises(ConnectionSettingsError, match="not running in a pod"):
        in_cluster({}, tmp_path)


async def test_unusable_certificate_is_reported_without_the_key() -> None:
    made = Connection("https://x", tls=TlsSettings(insecure=True, certificate="nonsense", key="topsecret"))
    with pytest.raises(ConnectionSettingsError) as caught:
        await made.authorize()
    assert "topsecret" not in str(caught.value)
