"""Words for tests of ClusterService: the plane is as many clusters as its URL has spellings."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from tests.server.projects.house import House

SERVICE = "ClusterService"
MASKED = ("PermissionDenied", "permission denied")
IN_CLUSTER = "https://kubernetes.default.svc"
_spellings = ("".join(each) for each in itertools.product(*((c, c.upper()) for c in "localhost")))


def server_of(shop: House) -> str:
    """One more URL of the plane."""
    return f"https://{next(_spellings)}:{shop.plane.server.rpartition(':')[2]}"


def config_of(shop: House, token: str = "") -> dict[str, Any]:
    ca = base64.b64encode(shop.plane.ca_file.read_bytes()).decode()
    config: dict[str, Any] = {"tlsClientConfig": {"caData": ca}}
    return config | ({"bearerToken": token} if token else {})
