"""The words of policies (api.md 13 "Resources, actions, objects"): data, for questions and checks."""

from collections.abc import Mapping

from tiphys.access.rbac.compiled import PROJECT_SCOPED

RESOURCES = (
    "clusters",
    "projects",
    "applications",
    "applicationsets",
    "repositories",
    "write-repositories",
    "certificates",
    "accounts",
    "gpgkeys",
    "logs",
    "exec",
    "extensions",
)
ACTIONS = ("get", "create", "update", "delete", "sync", "rollback", "override", "action", "invoke")
WITH_PARTS = ("action/", "update/", "delete/")
"""What actions with further parts begin with."""

ALIASES: Mapping[str, str] = {
    "account": "accounts",
    "app": "applications",
    "apps": "applications",
    "application": "applications",
    "cert": "certificates",
    "certs": "certificates",
    "certificate": "certificates",
    "cluster": "clusters",
    "extension": "extensions",
    "gpgkey": "gpgkeys",
    "key": "gpgkeys",
    "log": "logs",
    "proj": "projects",
    "projs": "projects",
    "project": "projects",
    "repo": "repositories",
    "repos": "repositories",
    "repository": "repositories",
}
"""How people may call resources on the command line."""


def is_action(word: str) -> bool:
    """Whether there is such an action."""
    return word in ACTIONS or word.startswith(WITH_PARTS)


def whole_object(resource: str, name: str) -> str:
    """The object a question is about: nothing or ``*`` stands for any object of a resource."""
    if resource in PROJECT_SCOPED and name in ("", "*"):
        return "*/*"
    return name
