"""What Bitbucket Cloud leaves out of its pushes: the main branch and the changed files (sources.md 22.3).

Asked only when ``webhook.bitbucket.uuid`` is set, so that nobody can make the server ask by an unsigned
request; always at Bitbucket's own address, whatever the payload says. Without an answer in time the push
counts for the default branch, with files unknown.
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from tiphys.server.webhooks.events import Push
from tiphys.settings.repositories import Repository
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

API = "https://api.bitbucket.org/2.0"
SECONDS = 10.0
MAX_PAGES = 20
MAX_BYTES = 16 << 20


class BitbucketCloud:
    """See the module.

    Args:
        credentials: what is known for a repository's URL.
    """

    def __init__(self, credentials: Callable[[str], Repository], api: str = API):
        self._credentials = credentials
        self._api = api

    async def completed(self, push: Push) -> Push:
        """The push with what Bitbucket says of it."""
        repository = "/".join(quote(part, safe="") for part in push.full_name.split("/"))
        headers = _authorization(self._credentials(push.urls[0]))
        try:
            async with asyncio.timeout(SECONDS), aiohttp.ClientSession(headers=headers) as session:
                about = await _get(session, f"{self._api}/repositories/{repository}")
                main = (about.get("mainbranch") or {}).get("name")
                push = msgspec.structs.replace(push, touches_default=main == push.revision)
                if push.before and push.after:
                    files = await self._files(session, repository, push)
                    push = msgspec.structs.replace(push, files=files)
        except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError, TypeError) as error:
            log.warning("Bitbucket cannot be asked about a push: %s", type(error).__name__)
        return push

    async def _files(
        self, session: aiohttp.ClientSession, repository: str, push: Push
    ) -> tuple[str, ...] | None:
        found: dict[str, None] = {}
        spec = f"{quote(push.after, safe='')}..{quote(push.before, safe='')}"
        for page in range(1, MAX_PAGES + 1):
            answer = await _get(
                session, f"{self._api}/repositories/{repository}/diffstat/{spec}?pagelen=100&page={page}"
            )
            for change in answer.get("values") or ():
                for side in ("new", "old"):
                    path = (change.get(side) or {}).get("path")
                    if isinstance(path, str):
                        found[path] = None
            if not answer.get("next"):
                return tuple(found)
        return None  # more than we want to read: not known


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as answer:
        answer.raise_for_status()
        body = await answer.content.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ValueError("too large")
        return msgspec.json.decode(body, type=dict[str, Any])


def _authorization(repository: Repository) -> dict[str, str]:
    if repository.bearer_token:
        return {"Authorization": f"Bearer {repository.bearer_token}"}
    if repository.username and repository.password:
        pair = f"{repository.username}:{repository.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
