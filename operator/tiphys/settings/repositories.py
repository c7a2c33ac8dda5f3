"""Repositories and their credentials: what the Secrets say, and which apply to a URL.

``reading.py`` turns Secrets labelled ``repository``, ``repo-creds``, ``repository-write`` and
``repo-write-creds`` into ``Repository`` values (sources.md 18); ``Repositories.lookup`` answers
what a source with a URL in a project may use: its own Secret, else credentials of the longest
URL prefix, else nothing (sources.md 18.3). ``sources`` hands the credentials to git, helm and
registries; nothing here prints one.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import msgspec

from tiphys.settings.secrecy import digest_of, redacted
from tiphys.settings.urls import normalize_git_url, without_credentials

__all__ = ["Repositories", "Repository", "normalize_git_url", "without_credentials"]

_SECRET_FIELDS = frozenset(
    {
        "password",
        "bearer_token",
        "ssh_private_key",
        "tls_client_cert_data",
        "tls_client_cert_key",
        "github_app_private_key",
        "gcp_service_account_key",
        "azure_service_principal_client_secret",
    }
)

_CREDENTIAL_FIELDS = (
    "username",
    "password",
    "bearer_token",
    "ssh_private_key",
    "tls_client_cert_data",
    "tls_client_cert_key",
    "github_app_private_key",
    "github_app_id",
    "github_app_installation_id",
    "github_app_enterprise_base_url",
    "gcp_service_account_key",
    "azure_service_principal_client_id",
    "azure_service_principal_client_secret",
    "azure_service_principal_tenant_id",
    "azure_active_directory_endpoint",
)

_INHERITED_WHEN_EMPTY = (*_CREDENTIAL_FIELDS, "proxy", "no_proxy")
_INHERITED_ALWAYS = (
    "enable_oci",
    "insecure_oci_force_http",
    "force_http_basic_auth",
    "use_azure_workload_identity",
)


class Repository(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A repository, or (as a template) the credentials of every URL that starts with ``url``."""

    url: str
    type: str = "git"
    """``git``, ``helm`` or ``oci``."""
    type_given: bool = False
    """Whether the Secret says the type; a template's type counts only if not."""
    name: str = ""
    project: str = ""
    username: str = ""
    password: str = ""
    bearer_token: str = ""
    ssh_private_key: str = ""
    tls_client_cert_data: str = ""
    tls_client_cert_key: str = ""
    github_app_id: int = 0
    github_app_installation_id: int = 0
    github_app_private_key: str = ""
    github_app_enterprise_base_url: str = ""
    gcp_service_account_key: str = ""
    azure_service_principal_client_id: str = ""
    azure_service_principal_client_secret: str = ""
    azure_service_principal_tenant_id: str = ""
    azure_active_directory_endpoint: str = ""
    use_azure_workload_identity: bool = False
    proxy: str = ""
    no_proxy: str = ""
    force_http_basic_auth: bool = False
    enable_oci: bool = False
    insecure_oci_force_http: bool = False
    insecure: bool = False
    """Skips TLS and host key verification."""
    enable_lfs: bool = False
    depth: int = 0
    """Commits to fetch, 0 means all."""
    webhook_manifest_cache_warm_disabled: bool = False
    inherited_creds: bool = False
    secret_name: str = ""
    problem: str = ""
    """Why the Secret could not be read, without its values; empty when it could."""

    def __repr__(self) -> str:
        shown = msgspec.structs.replace(
            self, url=without_credentials(self.url), proxy=without_credentials(self.proxy)
        )
        return redacted(shown, _SECRET_FIELDS)

    @property
    def normalized_url(self) -> str:
        return normalize_git_url(self.url)

    @property
    def has_own_credentials(self) -> bool:
        """What keeps a template from being applied; a lone GCP key does not count (sources.md 18.3)."""
        return bool(
            self.username
            or self.password
            or self.bearer_token
            or self.ssh_private_key
            or self.tls_client_cert_data
            or self.github_app_private_key
            or self.use_azure_workload_identity
            or self.azure_service_principal_client_secret
        )

    @cached_property
    def credential_digest(self) -> str:
        """Changes when anything that decides about access changes; reveals nothing."""
        return digest_of(
            getattr(self, name)
            for name in (*_INHERITED_WHEN_EMPTY, *_INHERITED_ALWAYS, "insecure", "type", "url", "enable_lfs")
        )

    def inheriting(self, template: "Repository") -> "Repository":
        """This repository with the template's credentials (sources.md 18.3)."""
        changes: dict[str, Any] = {
            name: getattr(template, name) for name in _INHERITED_WHEN_EMPTY if not getattr(self, name)
        }
        changes |= {name: getattr(template, name) for name in _INHERITED_ALWAYS}
        if not self.type_given and template.type_given:
            changes["type"] = template.type
        return msgspec.structs.replace(self, inherited_creds=True, **changes)


_MOST_REMEMBERED = 4096


class Repositories(msgspec.Struct, frozen=True, dict=True):
    """All repositories and credential templates, for reading and for pushing."""

    read: tuple[Repository, ...] = ()
    read_templates: tuple[Repository, ...] = ()
    write: tuple[Repository, ...] = ()
    write_templates: tuple[Repository, ...] = ()
    _index: Mapping[str, tuple[Repository, ...]] | None = None

    @classmethod
    def of(
        cls,
        read: Iterable[Repository] = (),
        read_templates: Iterable[Repository] = (),
        write: Iterable[Repository] = (),
        write_templates: Iterable[Repository] = (),
    ) -> "Repositories":
        """Index repositories; templates are kept longest URL first."""
        read = tuple(read)
        index: dict[str, tuple[Repository, ...]] = {}
        for repository in read:
            url = repository.normalized_url
            index[url] = (*index.get(url, ()), repository)
        return cls(read, _longest_first(read_templates), tuple(write), _longest_first(write_templates), index)

    def lookup(self, url: str, project: str) -> Repository:
        """What a source of this project may use for a URL; ``url`` in the answer is the asked one.

        A Secret of the project wins, then one without a project, then a bare repository; without
        own credentials the longest matching template is applied (sources.md 18.3).
        """
        found = self._found.get((url, project))
        if found is None:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            found = self._found[url, project] = self._look_up(url, project)
        return found

    @cached_property
    def _found(self) -> dict[tuple[str, str], Repository]:
        """Answers of :meth:`lookup`: each look at an application asks a few times."""
        return {}

    def _look_up(self, url: str, project: str) -> Repository:
        normalized = normalize_git_url(url)
        candidates = (
            self._index.get(normalized, ())
            if self._index is not None
            else tuple(repository for repository in self.read if repository.normalized_url == normalized)
        )
        return _with_template(_choose(candidates, url, project), self.read_templates)

    def lookup_write(self, url: str, project: str) -> Repository:
        """As :meth:`lookup`, for pushing."""
        normalized = normalize_git_url(url)
        candidates = tuple(repository for repository in self.write if repository.normalized_url == normalized)
        return _with_template(_choose(candidates, url, project), self.write_templates)

    def complete(self, repository: Repository, *, write: bool = False) -> Repository:
        """The repository with the credentials of the template that applies to it, if it needs any."""
        return _with_template(repository, self.write_templates if write else self.read_templates)

    def in_project(self, project: str) -> tuple[Repository, ...]:
        """Repositories whose Secret says ``project: <project>``."""
        return tuple(repository for repository in self.read if project and repository.project == project)

    def for_charts(self, project: str, permits: Callable[[str], bool]) -> tuple[Repository, ...]:
        """What a chart's dependencies may use: Helm repositories with a name, those of the project
        before common ones, if their URL is permitted (sources.md 9.5)."""
        return tuple(
            _with_template(repository, self.read_templates)
            for wanted in dict.fromkeys((project, ""))
            for repository in self.read
            if repository.type == "helm" and repository.name and repository.project == wanted
            if permits(repository.url)
        )

    def chart_templates(self, permits: Callable[[str], bool]) -> tuple[Repository, ...]:
        """Credentials that a chart's dependencies may use by the beginning of their URL."""
        return tuple(
            template
            for template in self.read_templates
            if template.type in ("helm", "oci") and template.url and permits(template.url)
        )

    def secret_values(self) -> frozenset[str]:
        """Every credential, for the filter that keeps them out of logs."""
        groups = (self.read, self.read_templates, self.write, self.write_templates)
        return frozenset(
            getattr(repository, name) for group in groups for repository in group for name in _SECRET_FIELDS
        ) - {""}


def _longest_first(templates: Iterable[Repository]) -> tuple[Repository, ...]:
    return tuple(sorted(templates, key=lambda template: -len(template.normalized_url)))


def _choose(candidates: tuple[Repository, ...], url: str, project: str) -> Repository:
    for wanted in (project, ""):
        for repository in candidates:
            if repository.project == wanted:
                return msgspec.structs.replace(repository, url=url)
    return Repository(url=url, type="oci" if url.startswith("oci://") else "git")


def _with_template(repository: Repository, templates: tuple[Repository, ...]) -> Repository:
    if repository.has_own_credentials:
        return repository
    normalized = repository.normalized_url
    for template in templates:
        if template.normalized_url and normalized.startswith(template.normalized_url):
            return repository.inheriting(template)
    return repository
