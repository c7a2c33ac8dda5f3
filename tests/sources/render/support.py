"""A real Git repository to commit to, and short ways to render what is in it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tiphys.resources.source import ApplicationSource
from tiphys.settings.repositories import Repository
from tiphys.sources.git.store import GitStore
from tiphys.sources.rendering import Rendered, Renderer, RenderRequest

ENVIRONMENT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.com",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.com",
}


class Upstream:
    """A repository to commit to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.repository = Repository(url=f"file://{path}")

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.path, env=ENVIRONMENT, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, files: Mapping[str, str | bytes | None], links: Mapping[str, str] | None = None) -> str:
        """Writes files (``None`` deletes) and symbolic links; the new commit."""
        for name, text in files.items():
            place = self.path / name
            if text is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, target in (links or {}).items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


class Bench:
    """Renders sources of one repository."""

    def __init__(self, upstream: Upstream, git: GitStore, renderer: Renderer) -> None:
        self.upstream = upstream
        self.git = git
        self.renderer = renderer
        self.sha = ""

    def commit(self, files: Mapping[str, str | bytes | None], links: Mapping[str, str] | None = None) -> str:
        self.sha = self.upstream.commit(files, links)
        return self.sha

    def request(self, source: Mapping[str, Any], **changes: Any) -> RenderRequest:
        """``source`` in its JSON form, without ``repoURL``."""
        repository = self.upstream.repository
        body = {"repoURL": repository.url, "path": ".", **source}
        values: dict[str, Any] = {
            "repository": repository,
            "source": msgspec.convert(body, ApplicationSource),
            "revision": self.sha,
            "app_name": "app",
            "project": "default",
            "destination_namespace": "prod",
            **changes,
        }
        return RenderRequest(**values)

    async def rendered(self, source: Mapping[str, Any] | None = None, **changes: Any) -> Rendered:
        return await self.renderer.render(self.request(source or {}, **changes))

    async def objects(self, source: Mapping[str, Any] | None = None, **changes: Any) -> list[Any]:
        return [orjson.loads(each) for each in (await self.rendered(source, **changes)).manifests]

    async def names(self, source: Mapping[str, Any] | None = None, **changes: Any) -> list[str]:
        return [each["metadata"]["name"] for each in await self.objects(source, **changes)]


def config_map(name: str, **data: str) -> str:
    lines = "".join(f'  {key}: "{text}"\n' for key, text in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n" + (
        f"data:\n{lines}" if data else ""
    )
