"""``VersionService``: which version of what runs here (api.md 9).

The version begins with that of the reference whose behaviour this is, since clients compare it with
their own; ours follows as build metadata. Anonymous callers get nothing else. The tools are asked
once, when somebody first wants to know; why one could not be asked stands in its field.
"""

import asyncio
import os
import platform
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tiphys.resources.messages.empty import Empty
from tiphys.resources.messages.version import VersionMessage
from tiphys.server.api.calls import Call
from tiphys.server.api.rpc import Route, rpc
from tiphys.sources.processes import Limits, ProcessError, run

COMPATIBLE = "3.6.0"
"""The reference whose behaviour the API has."""

TOOLS: Mapping[str, tuple[str, ...]] = {
    "kustomize_version": ("kustomize", "version"),
    "helm_version": ("helm", "version", "--short"),
    "kubectl_version": ("kubectl", "version", "--client"),
}
_LIMITS = Limits(timeout=10.0, output=64 * 1024)


@cache  # reading what is installed takes a millisecond
def product_version() -> str:
    """``v3.6.0+tiphys.0.1.0``."""
    try:
        return f"v{COMPATIBLE}+tiphys.{version('tiphys')}"
    except PackageNotFoundError:
        return f"v{COMPATIBLE}+tiphys.unknown"


class VersionService:
    """See the module.

    Args:
        tools: the commands that print a version, by field.
    """

    package, service = "version", "VersionService"

    def __init__(self, tools: Mapping[str, tuple[str, ...]] = TOOLS):
        self._tools = tools
        self._known: Mapping[str, str] = {}
        self._asking = asyncio.Lock()

    @rpc("Version", Route("GET", "/api/version"), tolerant=True)
    async def version(self, call: Call, request: Empty) -> VersionMessage:
        """The version; with credentials also the tools and the build."""
        if not (call.identity.is_authenticated or call.identity.is_unrestricted):
            return VersionMessage(version=product_version())
        tools = await self._tool_versions()
        return VersionMessage(
            version=product_version(),
            build_date=os.environ.get("TIPHYS_BUILD_DATE", "1970-01-01T00:00:00Z"),
            git_commit=os.environ.get("TIPHYS_GIT_COMMIT", ""),
            git_tree_state="clean" if os.environ.get("TIPHYS_GIT_COMMIT") else "",
            go_version=f"{platform.python_implementation()} {platform.python_version()}",
            compiler=platform.python_implementation().lower(),
            platform=f"{platform.system().lower()}/{_machine()}",
            jsonnet_version=_jsonnet_version(),
            **tools,
        )

    async def _tool_versions(self) -> Mapping[str, str]:
        async with self._asking:  # whoever comes meanwhile waits for the same answer
            if not self._known:
                names = list(self._tools)
                answers = await asyncio.gather(*(_ask(self._tools[name]) for name in names))
                self._known = dict(zip(names, answers, strict=True))
            return self._known


async def _ask(command: tuple[str, ...]) -> str:
    try:
        done = await run(command, cwd=Path(tempfile.gettempdir()), limits=_LIMITS)
    except ProcessError as error:
        return error.message
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    text = done.output.decode("utf-8", "replace").strip()
    if done.code != 0:
        return done.errors.strip() or f"{command[0]} failed with status {done.code}"
    first = text.splitlines()[0].strip() if text else ""
    return first.removeprefix("Client Version:").strip()


@cache
def _jsonnet_version() -> str:
    try:
        return f"v{version('jsonnet')}"
    except PackageNotFoundError as error:
        return f"jsonnet: {error}"


def _machine() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
