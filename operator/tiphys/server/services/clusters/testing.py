"""Asking an API server for its version, before its cluster is stored (api.md 9 "Cluster")."""

import asyncio

import orjson

from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import Connection, from_cluster
from tiphys.kube.discovery import normalize_version
from tiphys.kube.errors import ClusterUnreachable, ConnectionSettingsError
from tiphys.kube.limits import Limits
from tiphys.server.api.failures import invalid_argument, unknown
from tiphys.settings.clusters import Cluster
from tiphys.settings.urls import without_credentials

SECONDS = 30.0


def client_of(cluster: Cluster, own: Connection) -> ClusterClient:
    """A client for one piece of work; to be closed by the caller. Nothing is repeated: who waits is a
    person.

    Raises:
        ApiFailure: InvalidArgument, nothing can be connected to with these settings.
    """
    try:
        return ClusterClient(from_cluster(cluster, own), limits=Limits(attempts=1))
    except ConnectionSettingsError as error:
        raise invalid_argument(error.why) from None
    except UnicodeDecodeError:
        raise invalid_argument("certificates and keys must be PEM texts") from None


async def server_version(cluster: Cluster, own: Connection) -> str:
    """The version of a cluster's API server as ``v1.2.3``, asked with the cluster's credentials.

    Raises:
        ApiFailure: it does not answer. ApiError: it refuses.
    """
    client = client_of(cluster, own)
    try:
        async with asyncio.timeout(SECONDS):
            answer = await client.raw("GET", "/version", resource="version")
    except TimeoutError:
        raise unknown(f"cluster {cluster.server} does not answer within {SECONDS:.0f} s") from None
    except ClusterUnreachable as error:
        raise unknown(without_credentials(str(error))) from None
    except (ValueError, TypeError):
        # Control characters in a token, NUL in a name: refused on the way to the socket.
        raise invalid_argument("a value of the config holds characters that it may not hold") from None
    finally:
        await client.close()
    try:
        version = orjson.loads(answer.body).get("gitVersion") or ""
    except (orjson.JSONDecodeError, AttributeError):
        raise unknown(f"{cluster.server} does not answer as an API server does") from None
    return normalize_version(version)
