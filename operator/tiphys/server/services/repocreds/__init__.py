"""``RepoCredsService``: credentials for every repository whose URL begins with theirs (api.md 9).

Their RBAC object is the URL under ``repositories`` (for pushing ``write-repositories``); the Secrets
are of the same form as repositories' (``repositories.stored``). A client sees URL, user name and type.
"""

from tiphys.server.services.repocreds.service import RepoCredsService

__all__ = ["RepoCredsService"]
