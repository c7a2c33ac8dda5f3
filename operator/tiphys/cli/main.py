"""``tiphys``: one program for all roles."""

import asyncio
import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version as package_version
from pathlib import Path

import click

from tiphys.settings.rows import CONTROLLER, SERVER

ROLES = (CONTROLLER, SERVER)
"""The roles that ``run`` has; one process runs all of them unless told otherwise."""
DEFAULT_NAMESPACE = "argocd"


COMMANDS = {
    name: f"tiphys.cli.{name}:{name}"
    for name in ("action", "actions", "dexconfig", "health", "openapi", "rbac")
}
"""Commands with files of their own, imported when they are called: ``run`` needs much that they do not."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


_COLLECTIONS = (10_000, 20, 50)
"""New objects, and collections of the younger generations, between two looks for garbage. Little here is in
cycles, and work on a thousand applications makes many objects that stay a while: with Python's own numbers
the looks took 6 % of creating 500 applications, with these 2.5 %, and no more memory."""


@contextmanager
def _without_collections() -> Iterator[None]:
    """What imports make stays: looking for garbage among it would cost a sixth of their time, and later
    again at each full collection."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*_COLLECTIONS)
        gc.enable()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_version("tiphys"), message="%(prog)s %(version)s")
def main() -> None:
    """Tiphys, a GitOps operator for Kubernetes."""


def parse_parameters(arguments: tuple[str, ...], roles: tuple[str, ...]) -> dict[str, str]:
    """``--flag value``, ``--flag=value`` and bare ``--flag`` (true) of the roles' parameters.

    Raises:
        click.UsageError: an argument that no role has.
    """
    from tiphys.settings.params import flag_names

    known = flag_names(roles)
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in known:
            raise click.UsageError(f"No such option: {name}")
        if not equals:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        found[name] = value
    return found


@main.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
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
@click.pass_context
def run(
    context: click.Context,
    kubeconfig: Path | None,
    namespace: str | None,
    roles: tuple[str, ...],
    cache_dir: Path | None,
) -> None:
    """Run the operator until SIGTERM.

    Takes every flag of the reference's components for the roles that run, for example
    --status-processors 20 or --metrics-port 8082.
    """
    with _without_collections():
        from tiphys import app
    from tiphys.kube.errors import ConnectionSettingsError, KubeError
    from tiphys.telemetry.logs import LogOptionError, configure

    roles = roles or ROLES
    given = parse_parameters(tuple(context.args), roles)
    environ = dict(os.environ)
    try:
        redact = configure(
            level=given.get("--loglevel") or environ.get("ARGOCD_APPLICATION_CONTROLLER_LOGLEVEL") or "info",
            style=given.get("--logformat")
            or environ.get("ARGOCD_APPLICATION_CONTROLLER_LOGFORMAT")
            or "json",
        )
    except LogOptionError as error:
        raise click.UsageError(str(error)) from None
    options = app.RunOptions(
        namespace=namespace or os.environ.get("ARGOCD_NAMESPACE") or app.pod_namespace() or DEFAULT_NAMESPACE,
        kubeconfig=kubeconfig,
        cache=cache_dir or Path(tempfile.gettempdir()) / "tiphys",
        flags=given,
        environ=environ,
        roles=roles,
        redact=redact,
    )
    try:
        asyncio.run(app.run(options))
    except (ConnectionSettingsError, KubeError) as error:
        raise click.ClickException(str(error)) from None
