"""``tiphys rbac``: asking and checking RBAC policies without a running server (api.md 13)."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from tiphys.access.rbac.compiled import Compiled
from tiphys.access.rbac.enforcer import read_scopes
from tiphys.access.rbac.patterns import GLOB, REGEX
from tiphys.access.rbac.policy import PolicyError, policy_text, read_policy
from tiphys.access.rbac.words import ALIASES, RESOURCES, is_action, whole_object

FILE = click.option(
    "--policy-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A policy as CSV, or a ConfigMap with one.",
)
NAMESPACE = click.option("--namespace", default="", help="Take argocd-rbac-cm of this namespace.")
KUBECONFIG = click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group()
def rbac() -> None:
    """Ask and check RBAC policies."""


@rbac.command()
@click.argument("subject")
@click.argument("action")
@click.argument("resource")
@click.argument("object", default="")
@FILE
@NAMESPACE
@KUBECONFIG
@click.option("--default-role", default="", help="Instead of the policy's own policy.default.")
@click.option("--use-builtin-policy/--no-use-builtin-policy", default=True, help="With the built-in roles.")
@click.option("--strict/--no-strict", default=True, help="Refuse words that no policy knows.")
@click.option("--quiet", "-q", is_flag=True, help="Only the exit status.")
def can(
    subject: str,
    action: str,
    resource: str,
    object: str,
    policy_file: Path | None,
    namespace: str,
    kubeconfig: Path | None,
    default_role: str,
    use_builtin_policy: bool,
    strict: bool,
    quiet: bool,
) -> None:
    """Whether SUBJECT (a user, a group or a role) may do ACTION with OBJECT of RESOURCE.

    Prints Yes or No; the exit status says the same (0 or 1).
    """
    data = _policy(policy_file, namespace, kubeconfig)
    resource = ALIASES.get(resource, resource)
    if strict and resource not in RESOURCES:
        raise click.UsageError(f"there is no resource {resource!r}; there are {', '.join(RESOURCES)}")
    if strict and not is_action(action):
        raise click.UsageError(f"there is no action {action!r}")
    mode = REGEX if data.get("policy.matchMode") == REGEX else GLOB
    with _told():
        compiled = Compiled(
            read_policy(policy_text(data)),
            default_role or data.get("policy.default", ""),
            mode,
            lambda name: None,
            builtin=use_builtin_policy,
        )
    is_allowed = compiled.permits(subject, (), resource, action)(whole_object(resource, object))
    if not quiet:
        click.echo("Yes" if is_allowed else "No")
    raise SystemExit(0 if is_allowed else 1)


@rbac.command()
@FILE
@NAMESPACE
@KUBECONFIG
def validate(policy_file: Path | None, namespace: str, kubeconfig: Path | None) -> None:
    """Whether a policy can be used."""
    data = _policy(policy_file, namespace, kubeconfig)
    mode = REGEX if data.get("policy.matchMode") == REGEX else GLOB
    with _told():
        Compiled(read_policy(policy_text(data)), "", mode, lambda name: None)
        read_scopes(data.get("scopes", ""))
    click.echo("Policy is valid.")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except PolicyError as error:
        click.echo(f"Policy is invalid: {error}")
        raise SystemExit(1) from None


def _policy(file: Path | None, namespace: str, kubeconfig: Path | None) -> Mapping[str, str]:
    """The data of an ``argocd-rbac-cm``.

    Raises:
        click.UsageError: both or none of the places are given, or it holds no policy.
    """
    if (file is None) == (not namespace):
        raise click.UsageError("give either --policy-file or --namespace")
    if file is None:
        return asyncio.run(_of_cluster(namespace, kubeconfig))
    text = file.read_text(errors="replace")
    if "kind:" not in text and not text.lstrip().startswith("{"):
        return {"policy.csv": text}
    from tiphys.sources.yamlgo import YamlError, iterate_documents

    try:
        documents = list(iterate_documents(text.encode(), str(file)))
    except YamlError as error:
        raise click.UsageError(f"{file}: {error}") from None
    data = documents[0].get("data") if len(documents) == 1 else None
    if not isinstance(data, dict):
        raise click.UsageError(f"{file}: neither a policy nor a ConfigMap")
    return {str(key): str(value) for key, value in data.items()}


async def _of_cluster(namespace: str, kubeconfig: Path | None) -> Mapping[str, str]:
    from tiphys.kube.client import ClusterClient
    from tiphys.kube.connections import from_kubeconfig
    from tiphys.kube.errors import KubeError, NotFound
    from tiphys.resources.identity import GVK
    from tiphys.settings.store import RBAC

    client = ClusterClient(from_kubeconfig(kubeconfig))
    try:
        return dict((await client.get(GVK("", "v1", "ConfigMap"), namespace, RBAC)).get("data") or {})
    except NotFound:
        return {}
    except KubeError as error:
        raise click.ClickException(str(error)) from None
    finally:
        await client.close()
