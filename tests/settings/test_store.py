"""The store: what is ours, who hears what, and what survives (operations.md 1.1)."""

import pytest

from tests.settings.building import NAMESPACE, Watched, config_map, config_map_of, key, main, secret
from tiphys.resources.application import ApplicationDestination
from tiphys.settings.clusters import DestinationError
from tiphys.settings.params import Params

CLUSTER = {"name": "prod", "server": "https://prod/", "config": '{"bearerToken":"tok-very-secret"}'}
REPO = {"url": "https://git/x.git", "username": "u", "password": "pw-very-secret"}


def test_nothing_means_defaults() -> None:
    settings = Watched().store.snapshot
    assert settings.control_namespace == NAMESPACE
    assert settings.tracking_method == "annotation"
    assert settings.overrides["*/*"].ignore_differences.json_pointers == ("/status",)
    assert [cluster.name for cluster in settings.clusters.all()] == ["in-cluster"]


CHANGES = [
    (main({"application.resourceTrackingMethod": "label"}), {"comparison", "other"}),
    (main({"resource.exclusions": "- kinds: [A]"}), {"comparison", "other"}),
    (main({"globalProjects": "- projectName: p"}), {"projects", "other"}),
    (main({"kustomize.buildOptions": "-x"}), {"rendering", "other"}),
    (main({"cluster.inClusterEnabled": "false"}), {"clusters", "other"}),
    (main({"url": "https://x"}), {"other"}),
    (config_map("argocd-ssh-known-hosts-cm", ssh_known_hosts="h k"), {"repositories"}),
    (config_map_of("argocd-tls-certs-cm", {"git.example.com": "PEM"}), {"repositories"}),
    (config_map_of("argocd-gpg-keys-cm", {"ABCDEF0123456789": "KEY"}), {"repositories"}),
    (config_map_of("argocd-rbac-cm", {"policy.csv": "p, a"}), {"other"}),
    (secret("c", "cluster", CLUSTER), {"clusters"}),
    (secret("r", "repository", REPO), {"repositories"}),
    (secret("t", "repo-creds", REPO), {"repositories"}),
    (secret("argocd-secret", "", {"server.secretkey": "k"}), {"other"}),
    (secret("mine", "", {"a": "b"}, labels={"app.kubernetes.io/part-of": "argocd"}), {"other"}),
]


@pytest.mark.parametrize(
    ("manifest", "areas"),
    CHANGES,
    ids=[f"{m['metadata']['name']} {','.join(m['data'])}" for m, _ in CHANGES],
)
def test_a_change_is_told_once_with_its_areas(manifest: dict, areas: set[str]) -> None:  # type: ignore[type-arg]
    watched = Watched()
    assert watched.store.is_relevant(manifest)
    before = watched.store.snapshot
    watched.store.put(manifest)
    assert watched.areas() == [areas]
    assert watched.changes[0].old is before
    assert watched.changes[0].new is watched.store.snapshot
    watched.store.put(manifest)
    assert len(watched.changes) == 1, "the same object again is no change"


IRRELEVANT = [
    config_map("other-cm", a="b"),
    config_map_of("argocd-cm", {"a": "b"}) | {"metadata": {"name": "argocd-cm", "namespace": "elsewhere"}},
    secret("plain", "", {"a": "b"}),
    {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "argocd-cm", "namespace": NAMESPACE}},
]


@pytest.mark.parametrize(
    "manifest", IRRELEVANT, ids=["other name", "other namespace", "no label", "other kind"]
)
def test_what_is_no_setting_is_ignored(manifest: dict) -> None:  # type: ignore[type-arg]
    watched = Watched()
    assert not watched.store.is_relevant(manifest)
    watched.store.put(manifest)
    assert not watched.changes


def test_argocd_cm_without_its_label_is_not_found_but_said() -> None:  # operations.md 1.1
    watched = Watched()
    watched.store.put(main({"installationID": "x"}))
    watched.store.put(config_map_of("argocd-cm", {"installationID": "y"}, labels={}))
    assert watched.store.snapshot.installation_id == ""
    assert "lacks the label" in watched.store.problems["argocd-cm"]
    watched.store.put(main({"installationID": "y"}))
    assert watched.store.snapshot.installation_id == "y"
    assert not watched.store.problems


def test_deletion_goes_back_to_defaults_except_rbac() -> None:
    watched = Watched()
    watched.store.put(main({"installationID": "x"}))
    watched.store.put(config_map_of("argocd-rbac-cm", {"policy.default": "role:readonly"}))
    watched.store.put(secret("c", "cluster", CLUSTER))
    watched.store.put(secret("r", "repository", REPO))
    watched.store.delete(key("ConfigMap", "argocd-cm"))
    watched.store.delete(key("ConfigMap", "argocd-rbac-cm"))
    watched.store.delete(key("Secret", "c"))
    watched.store.delete(key("Secret", "r"))
    settings = watched.store.snapshot
    assert settings.installation_id == ""
    assert settings.rbac == {"policy.default": "role:readonly"}
    assert len(settings.clusters.all()) == 1
    assert not settings.repositories.read


def test_a_secret_that_loses_its_label_is_forgotten() -> None:
    watched = Watched()
    watched.store.put(secret("c", "cluster", CLUSTER))
    watched.store.put(secret("c", "", CLUSTER))
    assert len(watched.store.snapshot.clusters.all()) == 1


def test_a_secret_that_changes_its_kind_leaves_the_old_one() -> None:
    watched = Watched()
    watched.store.put(secret("s", "repository", REPO))
    watched.store.put(secret("s", "repo-creds", REPO))
    repositories = watched.store.snapshot.repositories
    assert (len(repositories.read), len(repositories.read_templates)) == (0, 1)


def test_a_broken_cluster_secret_keeps_its_last_good_value() -> None:
    watched = Watched()
    watched.store.put(secret("c", "cluster", CLUSTER))
    good = watched.store.snapshot.clusters.get("https://prod")
    watched.store.put(secret("c", "cluster", {**CLUSTER, "config": '{"bearerToken": "tok-very-secret'}))
    assert watched.store.snapshot.clusters.get("https://prod") == good
    assert watched.store.problems == {"Secret c, key config": "not valid JSON"}
    watched.store.put(secret("c", "cluster", CLUSTER))
    assert not watched.store.problems


def test_a_cluster_secret_that_was_never_good_is_known_by_url_and_by_name() -> None:
    watched = Watched()
    watched.store.put(secret("c", "cluster", {**CLUSTER, "config": "{"}))
    clusters = watched.store.snapshot.clusters
    for destination in (
        ApplicationDestination(server="https://prod"),
        ApplicationDestination(name=CLUSTER["name"]),
    ):
        with pytest.raises(DestinationError, match="Secret c, key config") as refused:
            clusters.resolve(destination)
        assert refused.value.reason == "broken"


def test_unsubscribing_ends_the_notices() -> None:
    watched = Watched()
    heard: list[object] = []
    stop = watched.store.subscribe(heard.append)
    stop()
    watched.store.put(main({"installationID": "x"}))
    assert not heard
    assert watched.changes


def test_parameters_are_read_again_live() -> None:
    def reload(data):  # type: ignore[no-untyped-def]
        return Params.load({}, data, {})

    watched = Watched(reload_params=reload)
    watched.store.put(config_map_of("argocd-cmd-params-cm", {"controller.status.processors": "33"}))
    assert watched.store.snapshot.params.status_processors == 33
    assert watched.changes[-1].areas == {"parameters"}
    # a value that cannot be read keeps its last good meaning; the other keys count
    changed = {"controller.status.processors": "many", "controller.sync.timeout.seconds": "90"}
    watched.store.put(config_map_of("argocd-cmd-params-cm", changed))
    params = watched.store.snapshot.params
    assert (params.status_processors, params.sync_timeout) == (33, 90.0)
    assert set(watched.store.problems) == {"argocd-cmd-params-cm controller.status.processors"}
    watched.store.put(config_map_of("argocd-cmd-params-cm", {"controller.sync.timeout.seconds": "80"}))
    params = watched.store.snapshot.params
    assert (params.status_processors, params.sync_timeout) == (20, 80.0)
    assert not watched.store.problems


def test_no_secret_is_ever_shown() -> None:
    watched = Watched()
    key_pem = "-----BEGIN RSA PRIVATE KEY-----\nvery-secret\n-----END RSA PRIVATE KEY-----"
    watched.store.put(secret("argocd-secret", "", {"admin.password": "very-secret", "oidc": "very-secret"}))
    watched.store.put(secret("x", "", {"a": "very-secret"}, labels={"app.kubernetes.io/part-of": "argocd"}))
    last_applied = {"kubectl.kubernetes.io/last-applied-configuration": "very-secret"}
    config = '{"bearerToken":"very-secret","password":"very-secret",'
    config += '"tlsClientConfig":{"keyData":"dmVyeS1zZWNyZXQ="},'
    config += '"execProviderConfig":{"command":"c","args":["very-secret"],"env":{"T":"very-secret"}}}'
    watched.store.put(secret("c", "cluster", {**CLUSTER, "config": config}, annotations=last_applied))
    for number, wrong in enumerate(
        (
            '{"bearerToken": ["very-secret"]}',
            '{"bearerToken": "very-secret"',
            '{"tlsClientConfig": {"keyData": "very-secret!"}}',
            '{"proxyUrl": "ftp://u:very-secret@h"}',
        )
    ):
        watched.store.put(secret(f"c{number}", "cluster", {"server": f"https://c{number}", "config": wrong}))
    fields = {"password": "very-secret", "bearerToken": "very-secret", "sshPrivateKey": key_pem}
    watched.store.put(secret("r", "repository", {"url": "https://u:very-secret@h/x", **fields}))
    watched.store.put(secret("r2", "repository", {"url": "https://h/y", "depth": "very-secret", **fields}))
    watched.store.put(
        main({"oidc.config": "clientSecret: very-secret", "globalProjects": "- very-secret: ["})
    )
    settings = watched.store.snapshot
    assert "very-secret" in settings.repositories.lookup("https://h/y", "").password
    shown = repr(settings) + repr(dict(watched.store.problems)) + repr(watched.changes)
    shown += repr(watched.store.__dict__["_secrets"])
    assert "very-secret" not in shown
    assert "dmVyeS1zZWNyZXQ" not in shown
    assert "very-secret" in settings.secret_values()
