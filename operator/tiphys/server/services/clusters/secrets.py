"""How a destination cluster is stored: a labelled Secret (operations.md 1.9). Pure.

``read_secret`` gives the cluster with its credentials as the API's message, ``new_secret`` the Secret
of a new one, ``patch_of`` the smallest merge patch from a stored Secret to another state of its
cluster: keys, labels and annotations that are not ours stay, and so do fields of the configuration that
our types do not know.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiphys.resources.decoding import decode_as
from tiphys.resources.errors import InvalidObject
from tiphys.resources.identity import Manifest, annotations_of, labels_of
from tiphys.resources.messages.clusters import Cluster, ClusterConfig
from tiphys.resources.shape import to_json
from tiphys.server.api.failures import invalid_argument
from tiphys.server.services.clusters.showing import (
    HIDDEN_ANNOTATIONS,
    HIDDEN_LABELS,
    LAST_APPLIED,
    MANAGED_BY,
    REFRESH,
)
from tiphys.server.services.overlaying import overlaid
from tiphys.settings import clusters as stored
from tiphys.settings.problems import SettingError
from tiphys.settings.reading import data_of, read_cluster
from tiphys.settings.store import SECRET_TYPE

OURS = "argocd.argoproj.io"
"""Value of the annotation ``managed-by`` of what the API made, and so deletes."""

_OPTIONAL = ("namespaces", "shard", "clusterResources", "project")


def plain(cluster: Cluster) -> Cluster:
    """A cluster as it is stored and compared: no ``/`` at the end of the server, a name.

    Raises:
        ApiFailure: no server, or an annotation that may not be set.
    """
    server = stored.trim_server(cluster.server.strip())
    if not server:
        raise invalid_argument("the cluster's server is missing")
    if LAST_APPLIED in cluster.annotations:
        raise invalid_argument(f"annotation {LAST_APPLIED} cannot be set")
    return msgspec.structs.replace(
        cluster,
        server=server,
        name=cluster.name or server,
        labels=_visible(cluster.labels, HIDDEN_LABELS),
        annotations=_visible(cluster.annotations, HIDDEN_ANNOTATIONS),
    )


def is_same(one: Cluster, two: Cluster) -> bool:
    """Whether two (plain) clusters say the same, apart from what is only known of them."""
    return spec_of(one) == spec_of(two)


def spec_of(cluster: Cluster) -> Cluster:
    """What somebody decided of a cluster, without what is known of it."""
    blank = Cluster()
    annotations = {key: value for key, value in cluster.annotations.items() if key != REFRESH}
    return msgspec.structs.replace(
        cluster,
        annotations=annotations,
        connection_state=blank.connection_state,
        server_version="",
        refresh_requested_at=blank.refresh_requested_at,
        info=blank.info,
    )


def secret_name(server: str) -> str:
    """``cluster-<host>-<FNV-1a of the URL>``.

    Raises:
        ApiFailure: InvalidArgument, the server is no URL.
    """
    host = _host_of(server)
    return f"cluster-{host.lower().replace(':', '-')}-{_fnv32a(server.encode())}"


_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]+")


def _host_of(server: str) -> str:
    """The host of the URL of an API server; whatever nobody can connect to is refused here."""
    refusal = invalid_argument(f"parse {json.dumps(server)}: invalid URI for request")
    if not server.isascii() or not server.isprintable() or " " in server:
        raise refusal
    try:
        parts = urlsplit(server)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refusal from None
    shape = _ADDRESS if parts.netloc.rpartition("@")[2].startswith("[") else _HOST
    if parts.scheme not in ("http", "https") or not shape.fullmatch(host) or port == 0:
        raise refusal
    if "@" in parts.netloc:
        raise invalid_argument("the server's URL may hold no credentials; they belong into the config")
    return host


def _fnv32a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def new_secret(cluster: Cluster, namespace: str) -> Manifest:
    """The Secret of a (plain) cluster."""
    annotations = {**cluster.annotations, MANAGED_BY: OURS}
    if cluster.refresh_requested_at:
        annotations[REFRESH] = cluster.refresh_requested_at
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(cluster.server),
            "namespace": namespace,
            "labels": {**cluster.labels, SECRET_TYPE: "cluster"},
            "annotations": annotations,
        },
        "type": "Opaque",
        "data": {key: _encoded(text) for key, text in _data(cluster, to_json(cluster.config)).items()},
    }


def read_secret(secret: Manifest) -> Cluster:
    """The cluster of a Secret, with its credentials; never for an answer.

    Raises:
        ApiFailure: it cannot be read.
    """
    usable = usable_cluster(secret)
    try:
        data = data_of(secret)
        config = decode_as(ClusterConfig, (data.get("config") or "{}").encode("utf-8", "surrogateescape"))
    except (SettingError, InvalidObject):
        raise invalid_argument(f"the configuration of cluster {usable.server} cannot be read") from None
    return Cluster(
        server=usable.server,
        name=usable.name or usable.server,
        config=config,
        namespaces=usable.namespaces,
        shard=usable.shard,
        cluster_resources=usable.cluster_resources,
        project=usable.project,
        labels=_visible(usable.labels, HIDDEN_LABELS),
        annotations=_visible(usable.annotations, HIDDEN_ANNOTATIONS),
    )


def usable_cluster(secret: Manifest) -> stored.Cluster:
    """What connections are made from.

    Raises:
        ApiFailure: InvalidArgument with what is wrong.
    """
    try:
        return read_cluster(secret)[0]
    except SettingError as error:
        raise invalid_argument(error.why) from None


def patch_of(secret: Manifest, cluster: Cluster) -> Manifest:
    """The merge patch that makes a Secret one of ``cluster`` (plain); empty when it is already."""
    before = data_of(secret)
    config = before.get("config") or "{}"
    known = to_json(decode_as(ClusterConfig, config.encode("utf-8", "surrogateescape")))
    wanted = to_json(cluster.config)
    data = _data(cluster, overlaid(json.loads(config), known, wanted))
    if wanted == known:
        data["config"] = config
    changed: dict[str, str | None] = {
        key: _encoded(text) for key, text in data.items() if before.get(key) != text
    }
    changed |= {key: None for key in _OPTIONAL if key in before and key not in data}
    annotations = dict(cluster.annotations)
    if cluster.refresh_requested_at:
        annotations[REFRESH] = cluster.refresh_requested_at
    metadata = {
        "labels": _difference(labels_of(secret), cluster.labels, HIDDEN_LABELS),
        "annotations": _difference(annotations_of(secret), annotations, HIDDEN_ANNOTATIONS | {REFRESH}),
    }
    patch: Manifest = {"data": changed} if changed else {}
    if metadata := {key: value for key, value in metadata.items() if value}:
        patch["metadata"] = metadata
    return patch


def is_ours(secret: Manifest) -> bool:
    """Whether the API made the Secret; one that somebody wrote is only let go of."""
    return annotations_of(secret).get(MANAGED_BY) == OURS


def _data(cluster: Cluster, config: Any) -> dict[str, str]:
    data = {
        "server": cluster.server,
        "name": cluster.name,
        "config": json.dumps(config, separators=(",", ":")),
    }
    if cluster.namespaces:
        data["namespaces"] = ",".join(cluster.namespaces)
    if cluster.shard is not None:
        data["shard"] = str(cluster.shard)
    if cluster.cluster_resources:
        data["clusterResources"] = "true"
    if cluster.project:
        data["project"] = cluster.project
    return data


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _visible(values: Mapping[str, str], hidden: frozenset[str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in hidden}


def _difference(
    before: Mapping[str, str], after: Mapping[str, str], hidden: frozenset[str]
) -> dict[str, str | None]:
    """A merge patch of labels or annotations that leaves alone what clients do not see."""
    changed: dict[str, str | None] = {key: text for key, text in after.items() if before.get(key) != text}
    gone = {key: None for key in before if key not in after and key not in hidden}
    return changed | gone
