"""``tiphys actions``: what can be done with the objects in a file."""

from pathlib import Path

import click
import msgspec

from tiphys.cli.objects import FILES, SETTINGS, Output, names_of, read_objects, read_settings
from tiphys.health.actions import ActionError, discover_actions


@click.command()
@FILES
@SETTINGS
def actions(files: tuple[str, ...], settings: Path | None) -> None:
    """Print the actions of every object in FILES, one JSON line for each object.

    FILES are YAML or JSON and may hold many objects; "-" reads a stream. No cluster is needed.
    """
    overrides = read_settings(settings)
    output = Output()
    for manifest in read_objects(files, output):
        names = names_of(manifest)
        try:
            found = discover_actions(manifest, overrides)
        except ActionError as error:
            output.complain(f"{names['kind']} {names['name']}: {error}")
            continue
        output.line({**names, "actions": msgspec.to_builtins(found)})
    output.flush()
    if output.failed:
        raise SystemExit(1)
