"""The client of one cluster: every verb, as one identity.

A :class:`ClusterClient` finds a kind's URL in the cached discovery (``calls``), sends through the
shared transport, and gives back decoded objects (``reads``, ``writes``). ``impersonating`` makes a
client with the same connections and discovery that acts as somebody else.
"""

from tiphys.kube.reads import Reads
from tiphys.kube.writes import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Writes

__all__ = ["APPLY_PATCH", "JSON_PATCH", "MERGE_PATCH", "STRATEGIC_PATCH", "ClusterClient"]


class ClusterClient(Reads, Writes):
    """Calls to one cluster as one identity; see :class:`tiphys.kube.calls.Calls` for the arguments."""

    def impersonating(self, user: str) -> "ClusterClient":
        """A client that acts as ``user``; closing it is not needed."""
        twin = object.__new__(ClusterClient)
        twin._transport = self._transport
        twin._discovery = self._discovery
        twin._headers = {"Impersonate-User": user}
        return twin
