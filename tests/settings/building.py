"""Short ways to write the objects that settings come from."""

import base64
from typing import Any

from tiphys.resources.identity import Manifest, ResourceKey
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsChange, SettingsStore

NAMESPACE = "argocd"


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Manifest:
    return config_map_of(name, data, labels)


def config_map_of(name: str, data: dict[str, str], labels: dict[str, str] | None = None) -> Manifest:
    if labels is None:
        labels = {"app.kubernetes.io/part-of": "argocd"}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def main(data: dict[str, str]) -> Manifest:
    return config_map_of("argocd-cm", data)


def secret(name: str, kind: str = "", data: dict[str, Any] | None = None, **metadata: Any) -> Manifest:
    labels = metadata.pop("labels", {})
    if kind:
        labels = {"argocd.argoproj.io/secret-type": kind, **labels}
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in (data or {}).items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels, **metadata},
        "data": encoded,
    }


def key(kind: str, name: str) -> ResourceKey:
    return ResourceKey("", kind, NAMESPACE, name)


class Watched:
    """A store and the changes it told."""

    def __init__(self, params: Params | None = None, **options: Any) -> None:
        self.store = SettingsStore(NAMESPACE, params or Params(), **options)
        self.changes: list[SettingsChange] = []
        self.store.subscribe(self.changes.append)

    def areas(self) -> list[set[str]]:
        return [set(change.areas) for change in self.changes]
