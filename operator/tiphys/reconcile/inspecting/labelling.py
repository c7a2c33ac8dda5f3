"""The Kubernetes version of a cluster as a label of its Secret, where the Secret asks for it
(health-and-resources.md 11): generators of ApplicationSets select clusters by it.

Looked at every few seconds for the clusters that this process follows; a request goes out only where
the label and the version differ.
"""

import asyncio
from collections.abc import Callable

from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import KubeError
from tiphys.live.cluster import CacheState
from tiphys.reconcile.clusters import ClusterPool
from tiphys.resources.identity import GVK, Manifest
from tiphys.settings.clusters import Cluster
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

ASKED = "argocd.argoproj.io/auto-label-cluster-info"
VERSION = "argocd.argoproj.io/kubernetes-version"
SECRET = GVK("", "v1", "Secret")


def wanted_label(cluster: Cluster, state: CacheState) -> str:
    """The version that the cluster's Secret should be labelled with; ``""``: nothing is to be done.

    Nothing while the cluster cannot be read: the last version it had stays.
    """
    if cluster.labels.get(ASKED) != "true" or not cluster.secret_name:
        return ""
    if state.error or state.synced_at is None or cluster.labels.get(VERSION) == state.version:
        return ""
    return state.version


class VersionLabels:
    """See the module.

    Args:
        client: of the control cluster.
        seconds: pause between two looks, asked before each.
    """

    def __init__(
        self,
        pool: ClusterPool,
        client: ClusterClient,
        settings: SettingsStore,
        namespace: str,
        seconds: Callable[[], float],
    ):
        self._pool = pool
        self._client = client
        self._settings = settings
        self._namespace = namespace
        self._seconds = seconds

    async def run(self) -> None:
        """Keep the labels right until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._seconds())

    async def look(self) -> None:
        """Write the labels that are not right."""
        for handle in self._pool:
            version = wanted_label(handle.cluster, handle.cache.state)
            if version:
                await self._write(handle.cluster, version)

    async def _write(self, cluster: Cluster, version: str) -> None:
        patch: Manifest = {"metadata": {"labels": {VERSION: version}}}
        try:
            answer = await self._client.patch(
                SECRET, self._namespace, cluster.secret_name, patch, MERGE_PATCH
            )
        except KubeError as error:
            log.warning(
                "the version of a cluster could not be written to its Secret",
                extra={"server": cluster.server, "error": str(error)},
            )
            return
        self._settings.put(answer)
