"""How often a client may ping (api.md 2, keepalive enforcement of the reference's gRPC library).

A ping is a strike when it comes sooner than allowed after the one before: sooner than the minimum while
calls are on the way, or than two hours without any. The third strike ends the connection. Whatever we
send of calls forgives all strikes, so the probes that clients make while they receive never count.
"""

from tiphys.server.grpc.limits import Limits

_STRIKES = 2


class PingRule:
    """The pings of one connection."""

    __slots__ = ("_forgiven", "_last", "_limits", "_strikes")

    def __init__(self, limits: Limits):
        self._limits = limits
        self._last = float("-inf")
        self._strikes = 0
        self._forgiven = False

    def sent(self) -> None:
        """Headers or data went to the client."""
        self._forgiven = True

    def allows(self, now: float, has_calls: bool) -> bool:
        """A ping arrived; False: once too often."""
        last, self._last = self._last, now
        if self._forgiven:
            self._forgiven = False
            self._strikes = 0
            return True
        interval = self._limits.ping_interval if has_calls else self._limits.idle_ping_interval
        if last + interval > now:
            self._strikes += 1
        return self._strikes <= _STRIKES
