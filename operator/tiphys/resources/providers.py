"""Where the scmProvider and pullRequest generators look: one struct per provider.

The fields of ``applicationset.md`` 18 and 19. Credentials are references to Secrets, never the
credentials themselves.
"""

from tiphys.resources.shape import ApiObject, Mandatory, always, no_reference


class SecretRef(ApiObject, frozen=True):
    """A key of a Secret."""

    secret_name: Mandatory[str] = always(str)
    key: Mandatory[str] = always(str)


class ConfigMapKeyRef(ApiObject, frozen=True):
    """A key of a ConfigMap."""

    config_map_name: Mandatory[str] = always(str)
    key: Mandatory[str] = always(str)


class BasicAuthBitbucketServer(ApiObject, frozen=True):
    """A user name and the Secret with its password."""

    username: Mandatory[str] = always(str)
    password_ref: Mandatory[SecretRef | None] = always(no_reference)


class BearerTokenBitbucket(ApiObject, frozen=True):
    """The Secret with a token."""

    token_ref: Mandatory[SecretRef | None] = always(no_reference)


class BearerTokenBitbucketCloud(ApiObject, frozen=True):
    """The Secret with a token."""

    token_ref: Mandatory[SecretRef | None] = always(no_reference)


class TagFilter(ApiObject, frozen=True):
    """A tag that a repository must have."""

    key: Mandatory[str] = always(str)
    value: str = ""


class SCMProviderGeneratorAWSCodeCommit(ApiObject, frozen=True):
    """Repositories of AWS CodeCommit."""

    tag_filters: tuple[TagFilter, ...] = ()
    role: str = ""
    region: str = ""
    all_branches: bool = False


class SCMProviderGeneratorAzureDevOps(ApiObject, frozen=True):
    """Repositories of Azure DevOps."""

    organization: Mandatory[str] = always(str)
    api: str = ""
    team_project: Mandatory[str] = always(str)
    access_token_ref: Mandatory[SecretRef | None] = always(no_reference)
    all_branches: bool = False


class SCMProviderGeneratorBitbucket(ApiObject, frozen=True):
    """Repositories of Bitbucket Cloud."""

    owner: Mandatory[str] = always(str)
    user: Mandatory[str] = always(str)
    app_password_ref: Mandatory[SecretRef | None] = always(no_reference)
    all_branches: bool = False


class SCMProviderGeneratorBitbucketServer(ApiObject, frozen=True):
    """Repositories of Bitbucket Server."""

    project: Mandatory[str] = always(str)
    api: Mandatory[str] = always(str)
    basic_auth: BasicAuthBitbucketServer | None = None
    all_branches: bool = False
    bearer_token: BearerTokenBitbucket | None = None
    insecure: bool = False
    ca_ref: ConfigMapKeyRef | None = None


class SCMProviderGeneratorFilter(ApiObject, frozen=True):
    """Which repositories and branches count; all given conditions must hold."""

    repository_match: str | None = None
    paths_exist: tuple[str, ...] = ()
    paths_do_not_exist: tuple[str, ...] = ()
    label_match: str | None = None
    branch_match: str | None = None


class SCMProviderGeneratorGitea(ApiObject, frozen=True):
    """Repositories of Gitea."""

    owner: Mandatory[str] = always(str)
    api: Mandatory[str] = always(str)
    token_ref: SecretRef | None = None
    all_branches: bool = False
    insecure: bool = False
    exclude_archived_repos: bool = False


class SCMProviderGeneratorGithub(ApiObject, frozen=True):
    """Repositories of GitHub."""

    organization: Mandatory[str] = always(str)
    api: str = ""
    token_ref: SecretRef | None = None
    app_secret_name: str = ""
    all_branches: bool = False
    exclude_archived_repos: bool = False


class SCMProviderGeneratorGitlab(ApiObject, frozen=True):
    """Repositories of GitLab."""

    group: Mandatory[str] = always(str)
    include_subgroups: bool = False
    api: str = ""
    token_ref: SecretRef | None = None
    all_branches: bool = False
    insecure: bool = False
    include_shared_projects: bool | None = None
    """Absent means true."""
    topic: str = ""
    ca_ref: ConfigMapKeyRef | None = None
    include_archived_repos: bool = False


class PullRequestGeneratorAzureDevOps(ApiObject, frozen=True):
    """Pull requests of Azure DevOps."""

    organization: Mandatory[str] = always(str)
    project: Mandatory[str] = always(str)
    repo: Mandatory[str] = always(str)
    api: str = ""
    token_ref: SecretRef | None = None
    labels: tuple[str, ...] = ()


class PullRequestGeneratorBitbucket(ApiObject, frozen=True):
    """Pull requests of Bitbucket Cloud."""

    owner: Mandatory[str] = always(str)
    repo: Mandatory[str] = always(str)
    api: str = ""
    basic_auth: BasicAuthBitbucketServer | None = None
    bearer_token: BearerTokenBitbucketCloud | None = None


class PullRequestGeneratorBitbucketServer(ApiObject, frozen=True):
    """Pull requests of Bitbucket Server."""

    project: Mandatory[str] = always(str)
    repo: Mandatory[str] = always(str)
    api: Mandatory[str] = always(str)
    basic_auth: BasicAuthBitbucketServer | None = None
    bearer_token: BearerTokenBitbucket | None = None
    insecure: bool = False
    ca_ref: ConfigMapKeyRef | None = None


class PullRequestGeneratorFilter(ApiObject, frozen=True):
    """Which pull requests count; all given conditions must hold."""

    branch_match: str | None = None
    target_branch_match: str | None = None
    title_match: str | None = None


class PullRequestGeneratorGitLab(ApiObject, frozen=True):
    """Pull requests of GitLab."""

    project: Mandatory[str] = always(str)
    api: str = ""
    token_ref: SecretRef | None = None
    labels: tuple[str, ...] = ()
    pull_request_state: str = ""
    insecure: bool = False
    ca_ref: ConfigMapKeyRef | None = None


class PullRequestGeneratorGitea(ApiObject, frozen=True):
    """Pull requests of Gitea."""

    owner: Mandatory[str] = always(str)
    repo: Mandatory[str] = always(str)
    api: Mandatory[str] = always(str)
    token_ref: SecretRef | None = None
    insecure: bool = False
    labels: tuple[str, ...] = ()


class PullRequestGeneratorGithub(ApiObject, frozen=True):
    """Pull requests of GitHub."""

    owner: Mandatory[str] = always(str)
    repo: Mandatory[str] = always(str)
    api: str = ""
    token_ref: SecretRef | None = None
    app_secret_name: str = ""
    labels: tuple[str, ...] = ()
