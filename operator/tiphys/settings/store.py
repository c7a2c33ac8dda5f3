"""The settings of the installation, live: objects in, immutable snapshots out.

``handlers`` feeds every ConfigMap and Secret of the control-plane namespace into ``put`` and
``delete``; what is no setting is ignored. After a change the affected part is read again and a
new ``Settings`` takes the place of the old one; subscribers hear which areas changed, never more
than once for one change, and never for a change that means nothing. Nothing needs a restart.

A value that cannot be read keeps its last good meaning, stands in ``problems`` under the key that a
person would edit, and is told once in the log. A Secret that was never good is no setting yet; who
needs it is told why.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tiphys.resources.identity import Manifest, ResourceKey, labels_of
from tiphys.settings.clusters import Cluster, Clusters
from tiphys.settings.main_config import read_main
from tiphys.settings.model import Settings
from tiphys.settings.newness import Newness
from tiphys.settings.params import ParamProblem, Params
from tiphys.settings.problems import Problems, SettingError
from tiphys.settings.reading import data_of, place_of, read_cluster, read_repository
from tiphys.settings.references import References
from tiphys.settings.repositories import Repositories, Repository
from tiphys.settings.secrecy import Quiet
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

MAIN = "argocd-cm"
PARAMS = "argocd-cmd-params-cm"
RBAC = "argocd-rbac-cm"
KNOWN_HOSTS = "argocd-ssh-known-hosts-cm"
TLS_CERTS = "argocd-tls-certs-cm"
GPG_KEYS = "argocd-gpg-keys-cm"
MAIN_SECRET = "argocd-secret"
SERVER_TLS = "argocd-server-tls"

CONFIG_MAPS = frozenset({MAIN, PARAMS, RBAC, KNOWN_HOSTS, TLS_CERTS, GPG_KEYS})
SECRET_TYPE = "argocd.argoproj.io/secret-type"
PART_OF = "app.kubernetes.io/part-of"

_REPOSITORY_TYPES = {
    "repository": "read",
    "repo-creds": "read_templates",
    "repository-write": "write",
    "repo-write-creds": "write_templates",
}

AREAS: Mapping[str, str] = {
    "tracking_method": "comparison",
    "instance_label_key": "comparison",
    "installation_id": "comparison",
    "resource_filter": "comparison",
    "overrides": "comparison",
    "compare_options": "comparison",
    "ignore_resource_updates_enabled": "comparison",
    "update_ignores": "comparison",
    "respect_rbac": "comparison",
    "custom_labels": "comparison",
    "clusters": "clusters",
    "repositories": "repositories",
    "ssh_known_hosts": "repositories",
    "tls_certificates": "repositories",
    "gpg_keys": "repositories",
    "global_projects": "projects",
    "impersonation_enabled": "projects",
    "impersonation_enforced": "projects",
    "rendering": "rendering",
    "params": "parameters",
}
"""Field of ``Settings`` → the area in which its change matters; all others are ``other``."""


class SettingsChange(msgspec.Struct, frozen=True):
    """What subscribers get: the areas that changed and both snapshots."""

    areas: frozenset[str]
    old: Settings
    new: Settings


ReloadParams = Callable[[Mapping[str, str]], tuple[Params, list[ParamProblem]]]
"""Parameters again, from new data of ``argocd-cmd-params-cm`` (environment and flags bound)."""


class SettingsStore:
    """See the module's story.

    Args:
        control_namespace: objects of other namespaces are ignored.
        params: the parameters the process started with.
        reload_params: how to read parameters again, with the problems of their ConfigMap; without it
            a change of ``argocd-cmd-params-cm`` waits for the next start, as in the reference.
    """

    def __init__(
        self, control_namespace: str, params: Params, *, reload_params: ReloadParams | None = None
    ) -> None:
        self._namespace = control_namespace
        self._reload_params = reload_params
        self._newness = Newness()
        self._subscribers: list[Callable[[SettingsChange], None]] = []
        self._config_maps: dict[str, dict[str, str]] = {}
        self._secrets: dict[str, _Secret] = {}
        self._good_params: Mapping[str, str] = {}
        self._object_problems: dict[str, dict[str, str]] = {}
        self._told: dict[str, str] = {}
        blank = Settings(control_namespace=control_namespace, params=params)
        main = read_main({}, params, blank, Problems())
        self._snapshot = msgspec.structs.replace(blank, **main)

    @property
    def snapshot(self) -> Settings:
        """The settings as they are now."""
        return self._snapshot

    @property
    def problems(self) -> Mapping[str, str]:
        """Key → what is wrong and the cure; empty when everything could be read."""
        merged: dict[str, str] = {}
        for found in self._object_problems.values():
            merged |= found
        return MappingProxyType(merged)

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of the ConfigMaps or Secrets that the settings are made of now."""
        return tuple(self._config_maps if kind == "ConfigMap" else self._secrets)

    def subscribe(self, callback: Callable[[SettingsChange], None]) -> Callable[[], None]:
        """Call back after each change, in the order of subscription; returns how to stop it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def is_relevant(self, manifest: Manifest) -> bool:
        """Whether the object is one of ours."""
        metadata = manifest.get("metadata") or {}
        if (metadata.get("namespace") or "") != self._namespace:
            return False
        name, kind = metadata.get("name") or "", manifest.get("kind")
        if kind == "ConfigMap":
            return name in CONFIG_MAPS
        if kind == "Secret":
            labels = labels_of(manifest)
            return (
                name in (MAIN_SECRET, SERVER_TLS) or SECRET_TYPE in labels or labels.get(PART_OF) == "argocd"
            )
        return False

    def put(self, manifest: Manifest) -> None:
        """An object exists, or changed. One that lost the label that made it ours is forgotten; what
        is older than what is known is no news."""
        metadata = manifest.get("metadata") or {}
        name, kind = metadata.get("name") or "", manifest.get("kind")
        if (metadata.get("namespace") or "") != self._namespace:
            return
        if not self.is_relevant(manifest):
            held = kind == "Secret" and name in self._secrets
            if held and self._newness.is_news("Secret", name, manifest):
                self._forget_secret(name)
            return
        if not self._newness.is_news(kind or "", name, manifest):
            return
        if kind == "ConfigMap":
            self._put_config_map(name, manifest)
        else:
            self._put_secret(name, manifest)
        self._tell_problems()

    def delete(self, key: ResourceKey, uid: str = "") -> None:
        """An object is gone (the one with ``uid``, if given). RBAC keeps its last policy, as in the
        reference; every other setting goes back to its default."""
        if key.group or key.namespace != self._namespace:
            return
        if not self._newness.is_gone(key.kind, key.name, uid):
            return  # another one has taken its place
        if key.kind == "ConfigMap" and key.name in self._config_maps and key.name != RBAC:
            del self._config_maps[key.name]
            self._read_config_map(key.name)
        elif key.kind == "ConfigMap" and key.name == MAIN:
            self._object_problems.pop(MAIN, None)
        elif key.kind == "Secret" and key.name in self._secrets:
            self._forget_secret(key.name)
        self._tell_problems()

    def _tell_problems(self) -> None:
        problems = dict(self.problems)
        if problems == self._told:
            return
        for key, why in problems.items():
            if self._told.get(key) != why:
                log.warning("setting not taken over: %s: %s", key, why, extra={"key": key})
        for key in self._told.keys() - problems.keys():
            log.info("setting is in order again: %s", key, extra={"key": key})
        self._told = problems

    # ConfigMaps

    def _put_config_map(self, name: str, manifest: Manifest) -> None:
        data = data_of(manifest)
        if name == MAIN and labels_of(manifest).get(PART_OF) != "argocd":
            self._config_maps.pop(name, None)
            self._read_config_map(name)
            self._object_problems[MAIN] = {
                MAIN: f"the ConfigMap lacks the label {PART_OF}=argocd and is ignored; add the label"
            }
            return
        if self._config_maps.get(name) == data and not (name == MAIN and MAIN in self.problems):
            return
        self._config_maps[name] = data
        self._read_config_map(name)

    def _read_config_map(self, name: str) -> None:
        data = self._config_maps.get(name, {})
        if name == MAIN:
            self._read_main(self._snapshot.params)
        elif name == PARAMS:
            self._read_params(data)
        elif name == RBAC:
            self._change(rbac=dict(data))
        elif name == KNOWN_HOSTS:
            self._change(ssh_known_hosts=data.get("ssh_known_hosts", ""))
        elif name == TLS_CERTS:
            self._change(tls_certificates=dict(data))
        elif name == GPG_KEYS:
            self._change(gpg_keys=dict(data))

    def _read_main(self, params: Params) -> None:
        data = self._config_maps.get(MAIN, {})
        problems = Problems()
        fields = read_main(data, params, self._snapshot, problems)
        self._object_problems[MAIN] = {f"{MAIN} {key}": why for key, why in problems.found.items()}
        self._change(**fields, params=params, raw=Quiet(data), clusters=self._clusters(data))

    def _read_params(self, data: Mapping[str, str]) -> None:
        if self._reload_params is None:
            return
        params, problems = self._reload_params(data)
        self._object_problems[PARAMS] = {problem.place: problem.why for problem in problems}
        if bad := {problem.place.removeprefix(f"{PARAMS} ") for problem in problems}:
            # What cannot be read keeps its last good meaning, the other keys count.
            good = {key: text for key, text in self._good_params.items() if key in bad}
            data = {key: text for key, text in data.items() if key not in bad} | good
            params, _ = self._reload_params(data)
        self._good_params = data
        self._read_main(params)

    # Secrets

    def _put_secret(self, name: str, manifest: Manifest) -> None:
        before = self._secrets.get(name)
        secret = _read_secret(manifest, before)
        if before == secret:
            return
        self._secrets[name] = secret
        self._object_problems[f"Secret {name}"] = dict(secret.problems)
        self._apply_secrets(secret.kind, before.kind if before else "")

    def _forget_secret(self, name: str) -> None:
        secret = self._secrets.pop(name)
        self._object_problems.pop(f"Secret {name}", None)
        self._apply_secrets(secret.kind, "")

    def _apply_secrets(self, *kinds: str) -> None:
        changes: dict[str, Any] = {}
        if "cluster" in kinds:
            changes["clusters"] = self._clusters(self._config_maps.get(MAIN, {}))
        if any(kind in _REPOSITORY_TYPES for kind in kinds):
            changes["repositories"] = self._repositories()
        changes["references"] = self._references()
        given = self._secrets.get(SERVER_TLS)
        changes["server_tls"] = Quiet(given.data if given else {})
        self._change(**changes)

    def _sorted_secrets(self) -> Iterable["_Secret"]:
        return (self._secrets[name] for name in sorted(self._secrets))

    def _clusters(self, main: Mapping[str, str]) -> Clusters:
        clusters = []
        broken: dict[str, str] = {}
        broken_names: dict[str, str] = {}
        for secret in self._sorted_secrets():
            if secret.cluster is not None:
                clusters.append(secret.cluster)
            elif secret.kind == "cluster":
                why = "; ".join(f"{key}: {why}" for key, why in secret.problems.items())
                if secret.server:
                    broken[secret.server] = why
                if name := secret.data.get("name", ""):
                    broken_names[name] = why
        enabled = main.get("cluster.inClusterEnabled") != "false"
        return Clusters.of(
            tuple(clusters), in_cluster_enabled=enabled, broken=broken, broken_names=broken_names
        )

    def _repositories(self) -> Repositories:
        groups: dict[str, list[Repository]] = {}
        for secret in self._sorted_secrets():
            if secret.repository is not None:
                groups.setdefault(_REPOSITORY_TYPES[secret.kind], []).append(secret.repository)
        return Repositories.of(**groups)

    def _references(self) -> References:
        main = self._secrets.get(MAIN_SECRET)
        others = {
            name: Quiet(secret.data) for name, secret in self._secrets.items() if secret.part_of_installation
        }
        return References(Quiet(main.data if main else {}), Quiet(others))

    # Change notice

    def _change(self, **fields: Any) -> None:
        old = self._snapshot
        new = msgspec.structs.replace(old, **fields)
        changed = new.changed_fields(old)
        if not changed:
            return
        self._snapshot = new
        areas = frozenset(AREAS.get(name, "other") for name in changed)
        notice = SettingsChange(areas, old, new)
        for callback in tuple(self._subscribers):
            callback(notice)


class _Secret(msgspec.Struct, frozen=True):
    """What a Secret says, with the last good value where it cannot be read now."""

    kind: str
    data: Mapping[str, str]
    part_of_installation: bool
    problems: Mapping[str, str] = {}
    server: str = ""
    cluster: Cluster | None = None
    repository: Repository | None = None

    def __repr__(self) -> str:
        return f"_Secret(kind={self.kind!r}, keys={sorted(self.data)})"


def _read_secret(manifest: Manifest, before: _Secret | None) -> _Secret:
    labels = labels_of(manifest)
    kind = labels.get(SECRET_TYPE, "")
    same = before if before is not None and before.kind == kind else None
    problems: dict[str, str] = {}
    data: Mapping[str, str] = same.data if same else {}
    server, cluster, repository = "", None, None
    try:
        data = data_of(manifest)
        server = data.get("server", "").strip().removesuffix("/")
        if kind == "cluster":
            cluster, note = read_cluster(manifest)
            if note:
                problems[place_of(manifest)] = note
        elif kind in _REPOSITORY_TYPES:
            repository = read_repository(manifest, template="creds" in kind)
            if repository.problem:
                problems[place_of(manifest)] = repository.problem
    except SettingError as error:
        problems[error.key] = error.why
        cluster = same.cluster if same else None
        repository = same.repository if same else None
    return _Secret(kind, Quiet(data), labels.get(PART_OF) == "argocd", problems, server, cluster, repository)
