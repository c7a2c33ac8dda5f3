"""``RepositoryService``: repositories, their Secrets, their connection states, questions to them.

``stored`` is the form of the Secrets (shared with ``repocreds``), ``secrets`` writes them, ``shown``
is what a client may see, ``resolving`` which repository a call means, ``connections`` whether it
answers, ``side`` the methods that exist for reading and for pushing alike, ``querying`` the
questions, and ``service`` the table of methods.
"""

from tiphys.server.services.repositories.service import RepositoryService

__all__ = ["RepositoryService"]
