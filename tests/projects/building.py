"""Short spellings of projects and applications for the tables."""

from typing import Any

from tiphys.resources.application import Application
from tiphys.resources.application import decode as decode_app
from tiphys.resources.project import AppProject
from tiphys.resources.project import decode as decode_project
from tiphys.settings.clusters import Cluster, ClusterConfig

SERVER = "https://kubernetes.default.svc"


def project(name: str = "shop", *, labels: dict[str, str] | None = None, **spec: Any) -> AppProject:
    """A project in the control plane's namespace; ``spec`` in JSON names."""
    metadata = {"name": name, "namespace": "argocd", "labels": labels or {}}
    return decode_project({"metadata": metadata, "spec": spec})


def app(name: str = "web", *, namespace: str = "argocd", **spec: Any) -> Application:
    """An application; ``spec`` in JSON names."""
    return decode_app({"metadata": {"name": name, "namespace": namespace}, "spec": spec})


def cluster(server: str = SERVER, name: str = "in-cluster", **rest: Any) -> Cluster:
    return Cluster(server=server, name=name, config=ClusterConfig(), **rest)
