"""How long ago a stored moment was, whatever the wall clock does meanwhile.

Time limits and pauses are counted from moments that stand in an Application's status, so that they
survive a restart. A wall clock that is set back would stretch them by as much, one that jumps ahead
would end them at once. So the wall clock is asked once, when a moment is first seen (a moment that
lies ahead is now), and from then on a steady clock counts.
"""

from tiphys.resources.identity import AppKey
from tiphys.resources.times import Timestamp, from_timestamp

OPERATION, FINISHED = "operation", "finished"
"""What is counted: since the begin of the operation, and since its end."""


class Elapsed:
    """Remembers of each Application which moment it counts from; losing it costs nothing but precision."""

    def __init__(self) -> None:
        self._begins: dict[AppKey, dict[str, tuple[Timestamp, float]]] = {}

    def since(self, key: AppKey, what: str, moment: Timestamp, *, wall: float, steady: float) -> float:
        """Seconds since ``moment``, never negative.

        Args:
            what: what began then; it is counted anew when it begins at another moment.
            wall, steady: both clocks' seconds now.
        """
        begins = self._begins.setdefault(key, {})
        known = begins.get(what)
        if known is None or known[0] != moment:
            before = max(0.0, wall - from_timestamp(moment).timestamp())
            known = begins[what] = (moment, steady - before)
        return steady - known[1]

    def over(self, key: AppKey, what: str) -> None:
        """What began is over: it may begin again at a moment of the same name, since clocks are set back."""
        self._begins.get(key, {}).pop(what, None)

    def forget(self, key: AppKey) -> None:
        """What is counted for the application is over."""
        self._begins.pop(key, None)
