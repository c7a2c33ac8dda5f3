"""The arguments of existing Deployments are taken (operations.md 1.7): a role refuses no flag of the
reference's, since a Pod that does not start is worse than one that ignores Redis."""

from __future__ import annotations

import pytest

from tiphys.cli.main import parse_parameters
from tiphys.settings.params import Params
from tiphys.settings.rows import CONTROLLER, SERVER

SHARED = """
    --application-namespaces=team-* --hydrator-enabled=true --logformat=json --loglevel=info
    --otlp-address=otel:4317 --otlp-attrs=a:b --otlp-headers=a=b --otlp-insecure=true --otlp-sample-ratio=0.5
    --redis=argocd-redis-ha-haproxy:6379 --redis-compress=gzip --redisdb=1 --sentinel=a:1 --sentinelmaster=m
    --redis-use-tls --redis-insecure-skip-tls-verify --redis-ca-certificate=/ca --redis-client-certificate=/c
    --redis-client-key=/k --repo-server=argocd-repo-server:8081 --repo-server-ca-cert-path=/ca
    --repo-server-client-cert-path=/c --repo-server-client-cert-key-path=/k --repo-server-plaintext=true
    --repo-server-strict-tls=true --repo-server-timeout-seconds=120 --app-state-cache-expiration=1h
    --default-cache-expiration=24h
"""
ROLES = {
    CONTROLLER: """
        --commit-server=argocd-commit-server:8086 --app-hard-resync=0 --app-resync=180 --app-resync-jitter=60
        --dynamic-cluster-distribution-enabled=false --enable-k8s-event=all --gloglevel=0
        --hydration-processors=5 --ignore-normalizer-jq-execution-timeout-seconds=1
        --kubectl-parallelism-limit=20 --metrics-application-labels=team
        --metrics-application-conditions=SyncError --metrics-cache-expiration=24h
        --metrics-cluster-labels=env --metrics-port=8082 --operation-processors=25
        --persist-resource-health=false --repo-error-grace-period-seconds=180
        --self-heal-backoff-cap-seconds=300 --self-heal-backoff-cooldown-seconds=330
        --self-heal-backoff-factor=3 --self-heal-backoff-timeout-seconds=2 --self-heal-timeout-seconds=5
        --server-side-diff-enabled=false --sharding-method=legacy --status-processors=50 --sync-timeout=0
        --wq-backoff-factor=1.5 --wq-basedelay-ns=1000000 --wq-bucket-qps=50 --wq-bucket-size=500
        --wq-cooldown-ns=0 --wq-maxdelay-ns=1000000000
    """,
    SERVER: """
        --address=0.0.0.0 --api-content-types=application/json --appset-allowed-scm-providers=https://git.example
        --appset-enable-github-api-metrics=false --appset-enable-new-git-file-globbing=true
        --appset-enable-scm-providers=true --appset-scm-root-ca-path=/ca --basehref=/argo
        --connection-status-cache-expiration=1h --content-security-policy=x --dex-server=dex:5556
        --dex-server-plaintext --dex-server-strict-tls=false --disable-auth=false --disable-swagger-ui=true
        --enable-gzip=true --enable-k8s-event=all --enable-proxy-extension=false --glob-cache-size=100
        --insecure --login-attempts-expiration=24h --metrics-port=8083 --oidc-cache-expiration=3m --port=8080
        --repo-server-redis=r:6379 --repo-server-redis-use-tls --repo-server-redisdb=2
        --rootpath=/argo --staticassets=/shared/app --sync-with-replace-allowed=true
        --tlsciphers=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 --tlsmaxversion=1.3 --tlsminversion=1.2
        --webhook-parallelism-limit=50 --webhook-refresh-workers=20 --x-frame-options=sameorigin
    """,
}


@pytest.mark.parametrize(
    ("role", "argument"),
    [(role, each) for role, own in ROLES.items() for each in (SHARED + own).split()],
)
def test_a_flag_of_the_reference_is_understood(role: str, argument: str) -> None:
    given = parse_parameters((argument,), (role,))
    _, problems = Params.load({}, {}, given, [role])
    assert problems == []


@pytest.mark.parametrize("role", ROLES)
def test_all_of_them_together(role: str) -> None:
    given = parse_parameters(tuple((SHARED + ROLES[role]).split()), (role,))
    _, problems = Params.load({}, {}, given, [role])
    assert problems == []
