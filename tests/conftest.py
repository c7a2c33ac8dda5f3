"""Fixtures that every room's tests share.

``control_plane`` is one real Kubernetes control plane for the whole session. Set
``TIPHYS_CONTROL_PLANE=DIR`` to use one that is kept running by ``python -m tests.controlplane up``
(then use namespaces of your own: it may hold other people's objects).

``binaries`` is the folder of real programs (helm, kustomize, kubectl, …); it is in ``PATH``, too.
Tests that use either carry the marker ``controlplane``. What is missing is fetched or built before
the first test, outside of its time limit and with its progress shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.controlplane import ControlPlane
from tests.controlplane.building import ensure_binaries
from tests.controlplane.reporting import Reporter

# How fast examples are made says more about the machine than about the code.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

BINARIES = pytest.StashKey[Path]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "binaries" in fixtures or "control_plane" in fixtures:
            item.add_marker("controlplane")


def pytest_collection_finish(session: pytest.Session) -> None:
    needs_them = any(item.get_closest_marker("controlplane") for item in session.items)
    if not needs_them or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        folder = ensure_binaries(Reporter())
    session.config.stash[BINARIES] = folder
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Path:
    """The folder of real programs: helm, kustomize, kubectl and the control plane's."""
    return pytestconfig.stash[BINARIES]


@pytest.fixture(scope="session")
def control_plane(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with ``.kubeconfig``, ``.server``, ``.bin`` and ``.kubectl(…)``."""
    kept = os.environ.get("TIPHYS_CONTROL_PLANE")
    if kept:
        yield ControlPlane.attach(Path(kept))
        return
    with ControlPlane.start(tmp_path_factory.mktemp("plane"), binaries) as plane:
        yield plane
