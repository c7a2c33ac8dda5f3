"""``python -m demo``: what ``make run`` does, step by step.

Ends with 0 when a person ends it (Ctrl-C), or, with ``ONCE=1`` or without a terminal, when every
demo application is Synced and Healthy; with 1 and the reason of each application that is not after
``LIMIT`` seconds (180), or when something did not start; always without leaving anything behind.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from rich.console import Console
from rich.live import Live

from demo.cluster import Refused, given_cluster, local_cluster, remove_applications
from demo.repository import Repository
from demo.watching import read_rows, table_of, unwell
from tests.controlplane.building import CannotGet, ensure_binaries
from tests.controlplane.installation import NAMESPACE, Operator
from tests.controlplane.kubectl import Kubectl, KubectlFailed
from tests.controlplane.processes import ProgramFailed
from tests.controlplane.reporting import Reporter

ROOT_APPLICATION = Path(__file__).with_name("root.yaml")
ROOT_NAME = "demo"
EXPECTED = (ROOT_NAME, "guestbook", "payments", "podinfo", "shop-production", "shop-staging")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster instead of a local one")
    options = parser.parse_args()
    once = os.environ.get("ONCE", "") not in ("", "0") or not sys.stdout.isatty()
    # `kill` ends the demo as tidily as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reporter = Reporter()
    try:
        return run(options.kubeconfig, once=once, reporter=reporter)
    except KeyboardInterrupt:
        reporter.say("Stopped; nothing is left running.")
        return 0 if not once else 130
    except (CannotGet, KubectlFailed, ProgramFailed, Refused) as failure:
        reporter.say(f"make run: {failure}")
        return 1


def run(kubeconfig: Path | None, *, once: bool, reporter: Reporter) -> int:
    with ExitStack() as stack:
        binaries = ensure_binaries(reporter)
        folder = Path(tempfile.mkdtemp(prefix="tiphys-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        kubectl = stack.enter_context(_cluster(kubeconfig, folder, binaries, reporter))
        with reporter.step("making the demo repository"):
            repository = Repository.create(folder / "demo")
        with reporter.step("starting Tiphys under its ServiceAccount"):
            operator = Operator.start(kubectl, binaries, folder / "operator")
        stack.callback(operator.stop)
        if kubeconfig is not None:
            stack.callback(remove_applications, kubectl, ROOT_NAME, reporter)
        with reporter.step("applying the root application"):
            kubectl("apply", "-f", "-", stdin=repository.fill_in(ROOT_APPLICATION.read_text()))
        # First of all at the end: a second, impatient Ctrl-C must not leave anything running.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        _say_what_next(reporter, kubectl, repository, operator)
        if once:
            return _wait(kubectl, operator, reporter)
        return _show(kubectl, operator, repository)


def _cluster(
    kubeconfig: Path | None, folder: Path, binaries: Path, reporter: Reporter
) -> AbstractContextManager[Kubectl]:
    if kubeconfig is None:
        return local_cluster(folder / "cluster", binaries, reporter)
    agreed = os.environ.get("YES", "") not in ("", "0")
    return given_cluster(kubeconfig, folder, binaries, reporter, agreed=agreed)


def _say_what_next(reporter: Reporter, kubectl: Kubectl, repository: Repository, operator: Operator) -> None:
    password = initial_password(kubectl)
    reporter.say(
        f"""
Tiphys runs. In another terminal:

  export KUBECONFIG={kubectl.kubeconfig}
  kubectl get applications -n {NAMESPACE}

Change something, commit, and watch it arrive (kubectl: {kubectl.program}):

  cd {repository.folder}
  sed -i 's/replicas: 3/replicas: 5/' plain/deployment.yaml && git commit -qam 'Five replicas'
  kubectl scale deployment guestbook -n demo-guestbook --replicas=1    # and see it healed

The API (its certificate is self-made), for curl and the argocd command line:

  TOKEN=$(curl -sk https://{operator.api_address}/api/v1/session -H 'Content-Type: application/json' \\
    -d '{{"username": "admin", "password": "{password}"}}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
  curl -sk https://{operator.api_address}/api/v1/applications -H "Authorization: Bearer $TOKEN"
  argocd login {operator.api_address} --insecure --username admin --password {password}

Log: {operator.program.log_file}
Metrics: {operator.metrics_url}/metrics
"""
    )


def initial_password(kubectl: Kubectl) -> str:
    """Of the account admin, as the first start made it; a word for a person where it is gone."""
    name = "argocd-initial-admin-secret"
    if not kubectl.exists("secret", name, "-n", NAMESPACE):
        return "YOURS"
    encoded = kubectl.json("get", "secret", "-n", NAMESPACE, name)["data"]["password"]
    return base64.b64decode(encoded).decode()


def _wait(kubectl: Kubectl, operator: Operator, reporter: Reporter) -> int:
    """Until all is well (0) or the time is over (1, with reasons)."""
    limit = float(os.environ.get("LIMIT", "180"))
    end = time.monotonic() + limit
    with reporter.step("waiting until all applications are Synced and Healthy") as step:
        while True:  # once at least: nobody looked is not the same as all is well
            _check(operator)
            reasons = unwell(read_rows(kubectl, NAMESPACE), EXPECTED)
            if not reasons or time.monotonic() >= end:
                break
            step.update(f"{len(EXPECTED) - len(reasons)} of {len(EXPECTED)}")
            time.sleep(0.5)
    Console(width=140).print(table_of(read_rows(kubectl, NAMESPACE), "Applications"))
    for name, reason in reasons.items():
        reporter.say(f"{name}: {reason}")
    if reasons:
        reporter.say(f"{len(reasons)} of {len(EXPECTED)} not well after {limit:.0f} s")
    return 1 if reasons else 0


def _show(kubectl: Kubectl, operator: Operator, repository: Repository) -> int:
    """The live table, until Ctrl-C."""
    title = f"Applications of {repository.folder} (Ctrl-C ends)"
    with Live(refresh_per_second=4, console=Console()) as live:
        while True:
            _check(operator)
            live.update(table_of(read_rows(kubectl, NAMESPACE), title))
            time.sleep(0.7)


def _check(operator: Operator) -> None:
    program = operator.program
    if program.process.poll() is not None:
        raise ProgramFailed("tiphys", f"ended with code {program.process.returncode}", program.log_file)


if __name__ == "__main__":
    sys.exit(main())
