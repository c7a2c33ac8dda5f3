"""``tiphys openapi``: the API's description."""

import click


@click.command()
def openapi() -> None:
    """Print the OpenAPI 2.0 document of the REST API, as the server gives it at /swagger.json."""
    from tiphys.server.openapi.declared import declared_methods
    from tiphys.server.openapi.document import render

    click.echo(render(declared_methods()))
