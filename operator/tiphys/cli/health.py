"""``tiphys health``: the health of objects in files, for people who write health checks."""

from pathlib import Path

import click

from tiphys.cli.objects import FILES, SETTINGS, Output, names_of, read_objects, read_settings
from tiphys.health import Health, assess

_NONE = Health()


@click.command()
@FILES
@SETTINGS
def health(files: tuple[str, ...], settings: Path | None) -> None:
    """Print the health of every object in FILES, one JSON line each.

    FILES are YAML or JSON and may hold many objects; "-" reads a stream. An object whose kind
    nothing assesses has an empty status. No cluster is needed.
    """
    overrides = read_settings(settings)
    output = Output()
    for manifest in read_objects(files, output):
        found = assess(manifest, overrides) or _NONE
        output.line({**names_of(manifest), "status": found.status, "message": found.message})
    output.flush()
    if output.failed:
        raise SystemExit(1)
