"""Fixtures that every room's tests share.

``control_plane`` is one real Kubernetes control plane for the whole session. Set
``TIPHYS_CONTROL_PLANE=DIR`` to use one that is kept running by ``python -m tests.controlplane up``
(then use namespaces of your own: it may hold other people's objects).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with ``.kubeconfig``, ``.server``, ``.bin`` and ``.kubectl(…)``."""
    kept = os.environ.get("TIPHYS_CONTROL_PLANE")
    if kept:
        yield ControlPlane.attach(Path(kept))
        return
    binaries = Path(os.environ["TIPHYS_BINARIES"])
    with ControlPlane.start(tmp_path_factory.mktemp("plane"), binaries) as plane:
        yield plane
