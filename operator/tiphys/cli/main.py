"""``tiphys``: one program for all roles."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import click

from tiphys import app
from tiphys.kube.errors import ConnectionSettingsError, KubeError
from tiphys.settings.params import parameter_flags
from tiphys.telemetry.logs import configure

ROLES = ("controller",)
DEFAULT_NAMESPACE = "argocd"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_version("tiphys"), message="%(prog)s %(version)s")
def main() -> None:
    """Tiphys, a GitOps operator for Kubernetes."""


def _parameters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds a flag for each parameter of the roles (one table: settings/params.py)."""
    for flag in reversed(parameter_flags()):
        command = click.option(f"--{flag}", default=None, metavar="VALUE", hidden=True)(command)
    return command


@main.command(context_settings={"ignore_unknown_options": False})
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Cluster to work in; default: the cluster of the pod, else the usual kubeconfig.",
)
@click.option(
    "--namespace",
    "-n",
    default=None,
    help=f"Control-plane namespace [default: $ARGOCD_NAMESPACE or the pod's, else {DEFAULT_NAMESPACE}].",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="Role to run; may be repeated [default: all].",
)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    envvar="TIPHYS_CACHE_DIR",
    help="Folder for repositories; may be deleted at any time.",
)
@_parameters
def run(
    kubeconfig: Path | None, namespace: str | None, roles: tuple[str, ...], cache_dir: Path | None, **flags: str | None
) -> None:
    """Run the operator until SIGTERM."""
    given = {name.replace("_", "-"): value for name, value in flags.items() if value is not None}
    configure(
        level=given.get("loglevel") or os.environ.get("ARGOCD_APPLICATION_CONTROLLER_LOGLEVEL") or "info",
        format=given.get("logformat") or os.environ.get("ARGOCD_APPLICATION_CONTROLLER_LOGFORMAT") or "json",
    )
    options = app.RunOptions(
        namespace=namespace or os.environ.get("ARGOCD_NAMESPACE") or app.pod_namespace() or DEFAULT_NAMESPACE,
        kubeconfig=kubeconfig,
        cache=cache_dir or Path(tempfile.gettempdir()) / "tiphys",
        flags=given,
        environ=dict(os.environ),
    )
    try:
        asyncio.run(app.run(options))
    except (ConnectionSettingsError, KubeError) as error:
        raise click.ClickException(str(error)) from None
