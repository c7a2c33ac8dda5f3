"""``manifests/namespace-install`` as users have it: rights in the operator's own namespace, no others.

Destinations are clusters of Secrets, with credentials of their own, or the cluster itself restricted
to namespaces that the operator's ServiceAccount was bound to. Where a right is missing, the
Application says which one and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import SERVICE_ACCOUNT, Operator
from tests.e2e.api import log_in, secret_of
from tests.e2e.installed import install_elsewhere, secret, uninstall_elsewhere
from tests.e2e.story import APPLICATIONS, IN_CLUSTER, Story, conditions, config_map, results, sync_status
from tests.e2e.test_clusters import bearer, deployer, other_url

SETTINGS = {"timeout.reconciliation": "2s", "timeout.reconciliation.jitter": "0s"}


@pytest.fixture(scope="module")
def home(
    operator: Operator, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Operator]]:
    """An installation without rights on the cluster, and its running operator."""
    folder = tmp_path_factory.mktemp("narrow")
    namespace = f"narrow-{folder.parent.name.rpartition('-')[2]}"
    kubectl = control_plane.kubectl
    install_elsewhere(kubectl, folder, namespace, cluster_wide=False, settings=SETTINGS)
    running = Operator.start(
        kubectl,
        control_plane.bin,
        folder / "operator",
        namespace=namespace,
        environment={"ARGOCD_SYNC_WAVE_DELAY": "0"},
    )
    yield namespace, running
    assert running.stop() == 0
    uninstall_elsewhere(kubectl, namespace)


@pytest.fixture
def story(control_plane: ControlPlane, home: tuple[str, Operator], tmp_path: Path) -> Iterator[Story]:
    """A story of the narrow installation."""
    name = f"{home[0]}-{abs(hash(str(tmp_path))) % 10**6}"
    made = Story(control_plane.kubectl, tmp_path / "repository", name, control=home[0])
    yield made
    made.clean_up()


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def can_i(plane: ControlPlane, home: str, *question: str) -> bool:
    """What the API server says about the operator's ServiceAccount."""
    user = f"system:serviceaccount:{home}:{SERVICE_ACCOUNT}"
    return plane.kubectl("auth", "can-i", *question, f"--as={user}", check=False).strip() == "yes"


def test_it_starts_and_watches_with_the_rights_of_its_namespace(
    home: tuple[str, Operator], control_plane: ControlPlane
) -> None:
    namespace, operator = home
    assert can_i(control_plane, namespace, "list", "secrets", "-n", namespace)
    for verb in ("get", "list", "watch"):
        for kind in ("namespaces", "applications.argoproj.io", "secrets", "customresourcedefinitions"):
            assert not can_i(control_plane, namespace, verb, kind, "--all-namespaces")
    assert operator.is_ready()
    log = operator.program.log_file.read_text()
    assert "orbidden" not in log, log


def test_a_cluster_with_credentials_of_its_own(
    story: Story, home: tuple[str, Operator], control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    data = {
        "name": "elsewhere",
        "server": other_url(control_plane),
        "namespaces": story.namespace,
        "config": bearer(control_plane, deployer(story)),
    }
    cleanup.enter_context(secret(story.kubectl, "elsewhere", "cluster", data, namespace=home[0]))
    revision = story.commit({"app/one.yaml": config_map("one"), "app/two.yaml": config_map("two")})
    story.create_application(
        destination={"name": "elsewhere", "namespace": story.namespace},
        syncPolicy=story.automated(prune=True, selfHeal=True),
        metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
    )
    story.wait_synced(revision)
    # drift, a new commit by polling, and pruning
    story.kubectl("delete", "configmap", "one", "-n", story.namespace)
    story.wait_object("configmap", "one", bool)
    story.commit({"app/two.yaml": None})
    story.wait_object("configmap", "two", lambda found: not found)
    # and the end of it
    story.kubectl("delete", APPLICATIONS, story.name, "-n", story.control, "--timeout=30s")
    assert story.object("configmap", "one") is None


def test_its_own_cluster_restricted_to_a_namespace_it_is_bound_to(
    story: Story, home: tuple[str, Operator], control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    """The bound role holds what such installations use: the built-in ``edit`` is not enough to list
    every kind, which harms only who uses the kind."""
    kubectl, (namespace, _) = story.kubectl, home
    # never bound to the second one: that harms nobody who does not use it
    namespaces = f"{story.namespace},kube-node-lease"
    data = {"name": "in-cluster", "server": IN_CLUSTER, "namespaces": namespaces}
    data["config"] = json.dumps({"tlsClientConfig": {"insecure": False}})
    cleanup.enter_context(secret(kubectl, "own", "cluster", data, namespace=namespace))
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        syncPolicy=story.automated(prune=True, selfHeal=True),
        metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
    )
    # nothing is permitted yet: which right is missing, for whom, and the cure
    app = story.wait_condition("ComparisonError", "is forbidden")
    (told,) = [each["message"] for each in conditions(app) if each["type"] == "ComparisonError"]
    assert f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}" in told
    assert story.namespace in told
    assert "cannot list" in told
    assert "RoleBinding" in told
    assert sync_status(app) == "Unknown"
    kubectl(
        *("create", "rolebinding", "narrow", "-n", story.namespace, "--clusterrole=edit"),
        f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}",
    )
    story.wait_synced()
    kubectl("delete", "configmap", "one", "-n", story.namespace)
    story.wait_object("configmap", "one", bool)
    story.kubectl("delete", APPLICATIONS, story.name, "-n", story.control, "--timeout=30s")
    assert story.object("configmap", "one") is None
    # a kind that the bound role does not hold
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r"},
        "rules": [],
    }
    story.commit({"app/role.yaml": json.dumps(role)})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_condition("ComparisonError", "rbac.authorization.k8s.io/Role")
    assert f"a RoleBinding in namespace {story.namespace}" in json.dumps(conditions(app))
    other = f"{story.name}-unbound"
    story.commit({"unbound/one.yaml": config_map("one", namespace="kube-node-lease")})
    story.create_application(other, source={"path": "unbound"})
    story.wait_condition("ComparisonError", "a RoleBinding in namespace kube-node-lease", name=other)
    # other namespaces and cluster-wide objects are none of its business
    other = f"{story.name}-outside"
    story.commit({"outside/one.yaml": config_map("one", namespace="default")})
    story.create_application(other, source={"path": "outside"})
    story.wait_condition(
        "ComparisonError", 'namespace "default" for ConfigMap "one" is not managed', name=other
    )


def test_a_missing_right_of_a_sync_is_the_objects_result(
    story: Story, home: tuple[str, Operator], control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    kubectl, (namespace, _) = story.kubectl, home
    data = {"name": "in-cluster", "server": IN_CLUSTER, "namespaces": story.namespace}
    cleanup.enter_context(secret(kubectl, "own", "cluster", data, namespace=namespace))
    kubectl(
        *("create", "rolebinding", "narrow", "-n", story.namespace, "--clusterrole=view"),
        f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}",
    )
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
    story.sync()
    state = story.wait_operation("Failed")
    message = results(state)["ConfigMap/one"]["message"]
    who = f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}"
    assert f'User "{who}" cannot create resource "configmaps"' in message


def test_the_whole_cluster_without_rights_is_told(story: Story, home: tuple[str, Operator]) -> None:
    """What happens to who installs for a namespace and forgets the restriction."""
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_condition("ComparisonError", "is forbidden")
    told = json.dumps(conditions(app))
    assert "at the cluster scope" in told
    assert "restrict the cluster's Secret to namespaces" in told


def test_the_api_has_the_rights_it_needs(story: Story, home: tuple[str, Operator]) -> None:
    """Sessions, what it stores, and changes of Applications: all of that is in its own namespace."""
    namespace, operator = home
    api = log_in(operator, story.kubectl, namespace)
    story.commit({"app/one.yaml": config_map("one")})
    body = {"repo": f"file://{story.repository}", "username": "ada", "password": "s3cret-word"}
    api.done("POST", "/api/v1/repositories", body)
    spec = story.application()["spec"]
    api.done("POST", "/api/v1/applications", {"metadata": {"name": story.name}, "spec": spec})
    app = f"/api/v1/applications/{story.name}"
    assert api.done("GET", f"{app}/events")
    patch = {"patch": '{"metadata":{"labels":{"team":"x"}}}', "patchType": "merge"}
    assert api.done("PATCH", app, patch)["metadata"]["labels"] == {"team": "x"}
    # its own cluster is none of its business: the caller learns which right is missing, and where
    story.wait_condition("ComparisonError", "is forbidden")
    refused = api.call("GET", f"{app}/resource-tree")
    assert refused.status >= 400 or not refused.json.get("nodes")
    api.done("DELETE", f"{app}?cascade=false")
    assert api.call("GET", "/auth/logout", Cookie=f"argocd.token={api.token}").status == 303
    assert api.call("GET", "/api/v1/applications").status == 401
    assert "revoked" in secret_of(story.kubectl, namespace, "tiphys-sessions")
