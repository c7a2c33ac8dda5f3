"""``tiphys action``: what an action would create or patch; nothing is sent anywhere."""

from datetime import UTC, datetime
from pathlib import Path

import click

from tiphys.cli.objects import FILES, SETTINGS, Output, names_of, read_objects, read_settings
from tiphys.health.actions import PATCH, ActionError, merge_patch, run_action


@click.command()
@click.argument("name")
@FILES
@click.option("--param", "params", multiple=True, metavar="K=V", help="A parameter; may be repeated.")
@SETTINGS
def action(name: str, files: tuple[str, ...], params: tuple[str, ...], settings: Path | None) -> None:
    """Run the action NAME on every object in FILES and print what it would do.

    One JSON line each: {"operation":"create","resource":…} or {"operation":"patch",…,"patch":…}
    with the merge patch. No cluster is needed, nothing is changed.
    """
    values: dict[str, str] = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not key or not equals:
            raise click.UsageError(f"--param wants K=V, not {param!r}")
        values[key] = value
    overrides = read_settings(settings)
    output = Output()
    for manifest in read_objects(files, output):
        names = names_of(manifest)
        try:
            impacted = run_action(manifest, name, values, overrides, now=datetime.now(UTC))
        except ActionError as error:
            output.complain(f"{names['kind']} {names['name']}: {error}")
            continue
        for each in impacted:
            if each.operation == PATCH:
                patch = merge_patch(manifest, each.manifest)
                output.line({"operation": PATCH, **names_of(each.manifest), "patch": patch})
            else:
                output.line({"operation": each.operation, "resource": each.manifest})
    output.flush()
    if output.failed:
        raise SystemExit(1)
