"""``tiphys dexconfig``: the configuration that Dex is to run with (api.md 12).

For an init container or a side process of Dex: it reads the settings of an installation and writes
what ``access.oidc.dex`` makes of them. To a file in clear, readable by its owner only; to the terminal
with every secret replaced.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from tiphys.telemetry.redaction import HIDDEN

_SECRET_WORDS = ("secret", "password", "bindpw", "token", "hash", "key")


@click.command()
@click.option("--namespace", "-n", default="argocd", show_default=True, help="Of the installation.")
@click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write a file, in clear.")
def dexconfig(namespace: str, kubeconfig: Path | None, out: Path | None) -> None:
    """Print Dex's configuration, made of dex.config and url in argocd-cm."""
    from tiphys.access.oidc.dex import dex_config
    from tiphys.kube.errors import ConnectionSettingsError, KubeError

    try:
        settings = asyncio.run(_settings(namespace, kubeconfig))
        found = dex_config(settings.snapshot)
    except (KubeError, ConnectionSettingsError) as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.ClickException(f"argocd-cm dex.config: {error}") from None
    if found is None:
        raise click.ClickException("dex is not configured: dex.config and url in argocd-cm are needed")
    if out is None:
        click.echo(yaml.safe_dump(hidden(found), sort_keys=False), nl=False)
        return
    with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(found, file, sort_keys=False)


def hidden(tree: Any, name: str = "") -> Any:
    """The tree with the texts replaced whose name says that they are secret."""
    if isinstance(tree, Mapping):
        return {key: hidden(value, str(key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [hidden(value, name) for value in tree]
    lowered = name.lower()
    if isinstance(tree, str) and tree and any(word in lowered for word in _SECRET_WORDS):
        return HIDDEN
    return tree


async def _settings(namespace: str, kubeconfig: Path | None) -> Any:
    import msgspec

    from tiphys.kube.client import ClusterClient
    from tiphys.kube.connections import from_kubeconfig, in_cluster
    from tiphys.resources.identity import GVK
    from tiphys.settings.params import Params
    from tiphys.settings.store import SettingsStore

    in_pod = kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ
    client = ClusterClient(in_cluster() if in_pod else from_kubeconfig(kubeconfig))
    store = SettingsStore(namespace, Params())
    try:
        for kind in ("Secret", "ConfigMap"):
            resource = await client.resource_of(GVK("", "v1", kind))
            async for page in client.list_pages(resource, namespace):
                for item in msgspec.json.decode(page)["items"]:
                    store.put({**item, "kind": kind, "apiVersion": "v1"})
    finally:
        await client.close()
    return store
