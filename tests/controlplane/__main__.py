"""``python -m tests.controlplane up|down|build``: a control plane for the hands of a developer.

``up`` keeps running after the command ends; point the tests at it for fast turns:
``TIPHYS_CONTROL_PLANE=DIR pytest …``, and kubectl with ``KUBECONFIG=DIR/kubeconfig``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tests.controlplane.building import ensure_binaries
from tests.controlplane.plane import ControlPlane


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "build"))
    parser.add_argument("--dir", type=Path, help="folder of the control plane")
    options = parser.parse_args()
    if options.command == "build":
        print(ensure_binaries())
        return
    if options.dir is None:
        parser.error(f"{options.command} needs --dir")
    if options.command == "down":
        ControlPlane.attach(options.dir).stop()
        shutil.rmtree(options.dir)
        return
    plane = ControlPlane.start(options.dir, ensure_binaries(), owned=False, progress=print)
    print(f"{plane.server} is ready: export KUBECONFIG={plane.kubeconfig}")


if __name__ == "__main__":
    main()
