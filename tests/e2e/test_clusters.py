"""Destinations: clusters from Secrets, by name and by server, and what happens when they fail."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.installed import put_secret, secret
from tests.e2e.story import (
    APPLICATIONS,
    CONTROL_NAMESPACE,
    Story,
    conditions,
    config_map,
    health_status,
    sync_status,
)
from tests.e2e.test_deletion import RESOURCES


def other_url(plane: ControlPlane) -> str:
    """The same API server under another URL, so another cluster as far as anybody can tell."""
    return plane.server.replace("127.0.0.1", "localhost")


def authority(plane: ControlPlane) -> str:
    return base64.b64encode(plane.ca_file.read_bytes()).decode()


def deployer(story: Story) -> str:
    """A token of a ServiceAccount that may do anything in the story's namespace, nothing elsewhere."""
    kubectl, namespace = story.kubectl, story.namespace
    kubectl("create", "serviceaccount", "deployer", "-n", namespace)
    kubectl(
        *("create", "rolebinding", "deployer", "-n", namespace, "--clusterrole=cluster-admin"),
        f"--serviceaccount={namespace}:deployer",
    )
    return kubectl.service_account_token(namespace, "deployer")


def bearer(plane: ControlPlane, token: str) -> str:
    return json.dumps({"bearerToken": token, "tlsClientConfig": {"caData": authority(plane)}})


def client_certificate(plane: ControlPlane) -> str:
    pki = plane.folder / "pki"
    tls = {
        "caData": authority(plane),
        "certData": base64.b64encode((pki / "admin.crt").read_bytes()).decode(),
        "keyData": base64.b64encode((pki / "admin.key").read_bytes()).decode(),
    }
    return json.dumps({"tlsClientConfig": tls})


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_cluster_with_a_token_and_restricted_to_a_namespace(
    story: Story, control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    data = {
        "name": "by-token",
        "server": other_url(control_plane),
        "namespaces": story.namespace,
        "config": bearer(control_plane, deployer(story)),
    }
    cleanup.enter_context(secret(story.kubectl, "cluster-by-token", "cluster", data))
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        destination={"name": "by-token", "namespace": story.namespace}, syncPolicy=story.automated()
    )
    story.wait_synced()
    found = story.object("configmap", "one")
    assert found is not None
    assert story.get()["spec"]["destination"] == {"name": "by-token", "namespace": story.namespace}
    # drift is noticed by a watch with the same token
    story.kubectl("delete", "configmap", "one", "-n", story.namespace)
    story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")


def test_a_cluster_with_a_client_certificate_by_server(
    story: Story, control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    server = other_url(control_plane)
    data = {"name": "by-certificate", "server": server, "config": client_certificate(control_plane)}
    cleanup.enter_context(secret(story.kubectl, "cluster-by-certificate", "cluster", data))
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        destination={"server": server, "namespace": story.namespace}, syncPolicy=story.automated()
    )
    app = story.wait_synced()
    assert app["status"]["sync"]["comparedTo"]["destination"]["server"] == server


def test_clusters_come_rotate_and_go_live(
    story: Story, control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    kubectl, name = story.kubectl, "cluster-rotates"
    cleanup.callback(kubectl, "delete", "secret", name, "-n", "argocd", "--ignore-not-found")
    data = {"name": "rotates", "server": other_url(control_plane), "namespaces": story.namespace}
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        destination={"name": "rotates", "namespace": story.namespace}, syncPolicy=story.automated()
    )
    story.wait_condition("InvalidSpecError", "there are no clusters with this name: rotates")
    # a bad token
    put_secret(kubectl, name, "cluster", {**data, "config": bearer(control_plane, "wrong-token")})
    app = story.wait_condition("ComparisonError", "Failed to load live state")
    assert "InvalidSpecError" not in {each["type"] for each in conditions(app)}
    assert sync_status(app) == "Unknown"
    # a good one
    put_secret(kubectl, name, "cluster", {**data, "config": bearer(control_plane, deployer(story))})
    app = story.wait_synced()
    assert not conditions(app)
    # gone
    kubectl("delete", "secret", name, "-n", "argocd")
    story.wait_condition("InvalidSpecError", "there are no clusters with this name: rotates")
    assert story.object("configmap", "one"), "nothing is deleted because its cluster is not known"


BROKEN = "https://broken.example:6443"


@pytest.mark.parametrize("destination", [{"server": BROKEN}, {"name": "broken"}], ids=["server", "name"])
def test_a_malformed_cluster_secret_is_the_condition_of_its_applications_only(
    story: Story, cleanup: ExitStack, destination: dict[str, str]
) -> None:
    data = {"name": "broken", "server": BROKEN, "config": '{"bearerToken": "s3cret-token", '}
    cleanup.enter_context(secret(story.kubectl, "cluster-broken", "cluster", data))
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        destination={**destination, "namespace": story.namespace}, metadata={"finalizers": [RESOURCES]}
    )
    app = story.wait_condition("InvalidSpecError", "cluster-broken")
    assert "s3cret-token" not in json.dumps(app)
    # A typing error is no reason to let the Application go and leave its objects.
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--wait=false")
    app = story.wait_condition("DeletionError", "cluster-broken")
    assert app["metadata"]["finalizers"] == [RESOURCES]
    other = f"{story.name}-well"
    story.create_application(other, syncPolicy=story.automated())
    story.wait_synced(name=other)


def test_an_unreachable_cluster_holds_only_its_applications(
    story: Story, control_plane: ControlPlane, cleanup: ExitStack
) -> None:
    server = "https://127.0.0.1:1"
    data = {"name": "away", "server": server, "config": bearer(control_plane, "any")}
    cleanup.enter_context(secret(story.kubectl, "cluster-away", "cluster", data))
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(destination={"name": "away", "namespace": story.namespace})
    other = f"{story.name}-well"
    story.create_application(other, syncPolicy=story.automated())
    story.wait_synced(name=other)
    app = story.wait_condition("ComparisonError", f"cluster {server}: ")
    assert (sync_status(app), health_status(app)) == ("Unknown", "Unknown")


def crd(group: str, kind: str, conversion: dict[str, Any]) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "conversion": conversion,
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema},
                {"name": "v2", "served": True, "storage": False, "schema": schema},
            ],
        },
    }


def test_a_broken_conversion_webhook_harms_only_who_uses_the_kind(story: Story, cleanup: ExitStack) -> None:
    kubectl = story.kubectl
    group, kind = f"{story.name}.example", "Gadget"
    name = f"gadgets.{group}"
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(crd(group, kind, {"strategy": "None"})))
    cleanup.callback(kubectl, "delete", "crd", name, "--wait=false", "--ignore-not-found")
    kubectl("wait", f"crd/{name}", "--for=condition=Established", "--timeout=20s")
    gadget = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "g"}, "spec": {"size": 1}}
    story.commit({"app/gadget.yaml": json.dumps(gadget), "plain/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    other = f"{story.name}-plain"
    story.create_application(other, source={"path": "plain"}, syncPolicy=story.automated())
    story.wait_synced(name=other)
    # Stored as v1, preferred v2: every list needs the webhook, and nobody listens there.
    hook = {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]}
    webhook = {"strategy": "Webhook", "webhook": hook}
    patch = json.dumps({"spec": {"conversion": webhook}})
    kubectl("patch", "crd", name, "--type=merge", "-p", patch)
    story.refresh("hard")
    app = story.wait_condition("ComparisonError", f"{group}/{kind}")
    assert "conversion webhook" in json.dumps(app["status"]["conditions"])
    assert sync_status(app) == "Unknown"
    before = story.get(other)
    kubectl("annotate", APPLICATIONS, other, "-n", "argocd", "argocd.argoproj.io/refresh=hard")
    app = story.wait(
        "refreshed",
        lambda app: "argocd.argoproj.io/refresh" not in app["metadata"].get("annotations", {}),
        name=other,
    )
    assert (sync_status(app), health_status(app)) == ("Synced", "Healthy")
    assert not conditions(app)
    assert before["status"]["sync"] == app["status"]["sync"]
    cure = json.dumps({"spec": {"conversion": {"strategy": "None", "webhook": None}}})
    kubectl("patch", "crd", name, "--type=merge", "-p", cure)
    app = story.wait_synced()
    assert not conditions(app)


def test_the_api_server_restarts(story: Story, control_plane: ControlPlane) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated(selfHeal=True))
    story.wait_synced()
    control_plane.stop_program("apiserver")
    revision = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    control_plane.start_program("apiserver")
    control_plane.wait_ready()
    story.wait_synced(revision)
    # the watches of the destination and of our own kinds live on
    patch = '{"data":{"key":"drifted"}}'
    story.kubectl("patch", "configmap", "one", "-n", story.namespace, "--type=merge", "-p", patch)
    story.wait_object("configmap", "one", lambda found: found and found["data"]["key"] == "new")
    other = f"{story.name}-later"
    story.create_application(other, source={"path": "other"})
    story.wait("seen", lambda app: conditions(app), name=other)
