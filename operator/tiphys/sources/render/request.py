"""What is asked of the renderer, what it answers, and what stands between: the plan.

A plan is made from a few small reads and knows everything the output depends on (``key_parts``);
only if no render with equal parts is remembered is its ``run`` called. So the content key is a
property of what will be done, not a guess beside it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from tiphys.resources.source import ApplicationSource
from tiphys.settings.model import RenderSettings
from tiphys.settings.repositories import Repository

SourceType: TypeAlias = Literal["", "Directory", "Kustomize", "Helm", "Plugin"]


class RefSource(msgspec.Struct, frozen=True):
    """What a ``$ref`` of a multi-source application names; ``revision`` is resolved."""

    repository: Repository
    revision: str


class RenderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One source of one application.

    ``revision`` is resolved (commit SHA, chart version); ``app_name`` is the instance name
    (``name`` or ``namespace_name``); ``refs`` maps ref names (without ``$``) to sources;
    ``repositories`` are the Helm repositories whose credentials chart dependencies may use, and
    ``templates`` the credentials they may use by the beginning of their URL, the project already
    applied; ``permits_source`` says whether the project allows a URL. ``access_digest`` changes when
    one of these three does.
    """

    repository: Repository
    source: ApplicationSource
    revision: str
    app_name: str = ""
    app_namespace: str = ""
    project: str = ""
    destination_namespace: str = ""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    settings: RenderSettings = RenderSettings()
    refs: Mapping[str, RefSource] = {}
    repositories: tuple[Repository, ...] = ()
    templates: tuple[Repository, ...] = ()
    permits_source: Callable[[str], bool] | None = None
    access_digest: str = ""
    no_cache: bool = False


class Rendered(msgspec.Struct, frozen=True):
    """JSON of each object in order; ``commands`` for people, without secrets or our paths."""

    manifests: tuple[bytes, ...]
    source_type: SourceType
    revision: str
    content_key: str
    commands: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in memory, roughly."""
        return sum(map(len, self.manifests)) + 64 * len(self.manifests) + 512


class Output(msgspec.Struct, frozen=True):
    """What a plan's work gives."""

    manifests: tuple[bytes, ...]
    commands: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """A render about to happen. Equal ``source_type`` and ``key_parts``: equal output."""

    source_type: SourceType
    key_parts: tuple[str, ...]
    run: Callable[[], Awaitable[Output]]
    uses_revision: bool = False
    """Whether the key parts hold the revision itself."""
    everything: bool = False
    """Whether they hold the whole tree, so that the look-ups of the planning do not decide."""

    def key(self) -> str:
        """The content key."""
        text = "\0".join((KEY_FORMAT, self.source_type, *self.key_parts))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


KEY_FORMAT = "1"
"""To be raised when the same input gives another output."""
