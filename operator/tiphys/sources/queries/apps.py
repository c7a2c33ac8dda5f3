"""Which directories of a commit hold a chart or a kustomization (``sources.md`` 3, 16)."""

from collections.abc import Collection, Mapping

from tiphys.settings.repositories import Repository
from tiphys.sources.git.store import GitStore
from tiphys.sources.render.detection import KUSTOMIZATION_NAMES
from tiphys.sources.render.files import Entry
from tiphys.sources.rendering import Renderer

_ROOT = "."


async def list_apps(
    git: GitStore, renderer: Renderer, repository: Repository, revision: str, enabled: Collection[str]
) -> Mapping[str, str]:
    """Directory (``.`` is the root) → ``Helm`` or ``Kustomize``, sorted by directory; of both in one
    directory Kustomize. Plain directories are no applications of their own.

    Args:
        revision: branch, tag, constraint or commit; ``""`` is HEAD.
        enabled: the tools that the settings leave switched on.

    Raises:
        SourceError: the revision cannot be resolved or read.
    """
    sha = await git.resolve(repository, revision)
    found: dict[str, str] = {}
    async with renderer.files(repository, sha) as files:
        for child in await files.below(Entry("", True, files.whole)):
            directory, _, name = child.path.rpartition("/")
            if name in KUSTOMIZATION_NAMES and "kustomize" in enabled:
                found[directory or _ROOT] = "Kustomize"
            elif name.endswith("Chart.yaml") and "helm" in enabled:
                found.setdefault(directory or _ROOT, "Helm")
    return dict(sorted(found.items()))
