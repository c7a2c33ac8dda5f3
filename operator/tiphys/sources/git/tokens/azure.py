"""A token of Entra ID for Azure DevOps: of a service principal's secret, or of the workload's identity.

The workload's own token goes to the authority that the process's environment names and nowhere else;
only a service principal may bring an endpoint of its own.
"""

import asyncio
from pathlib import Path
from urllib.parse import quote

from tiphys.sources.git.tokens.asking import Asking, Token, seconds_of, text_of

WHAT = "an Azure access token"
PUBLIC = "https://login.microsoftonline.com"
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
"""All rights in Azure DevOps that the identity has."""

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def of_principal(asking: Asking) -> Token:
    """A token of the service principal. Raises SourceError."""
    repository = asking.repository
    return await _token(
        asking,
        repository.azure_active_directory_endpoint or PUBLIC,
        repository.azure_service_principal_tenant_id,
        repository.azure_service_principal_client_id,
        {"client_secret": repository.azure_service_principal_client_secret},
    )


async def of_workload(asking: Asking) -> Token:
    """A token of the identity that Kubernetes gave this process. Raises SourceError."""
    environ = asking.environ
    path, tenant, client = (
        environ.get(name, "") for name in ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID", "AZURE_CLIENT_ID")
    )
    if not (path and tenant and client):
        raise asking.refused(WHAT, "this process has no workload identity (AZURE_FEDERATED_TOKEN_FILE)")
    try:
        own = (await asyncio.to_thread(Path(path).read_text)).strip()
    except (OSError, ValueError):
        raise asking.refused(WHAT, "the workload identity's token cannot be read") from None
    form = {"client_assertion_type": _ASSERTION, "client_assertion": own}
    return await _token(asking, environ.get("AZURE_AUTHORITY_HOST") or PUBLIC, tenant, client, form)


async def _token(asking: Asking, authority: str, tenant: str, client: str, proof: dict[str, str]) -> Token:
    url = f"{authority.rstrip('/')}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    form = {"grant_type": "client_credentials", "client_id": client, "scope": SCOPE, **proof}
    found = await asking.ask(WHAT, "POST", url, form=form, secrets=tuple(proof.values()))
    password = text_of(found, "access_token")
    if not password:
        raise asking.refused(WHAT, "the answer holds none")
    expires = asking.now + (seconds_of(found, "expires_in") or 3600.0)
    return Token(password=password, expires=expires, bearer=True)
