"""How hard one API server may be pushed: a token bucket and a number of connections.

The server defends itself (API priority and fairness answers 429, the transport waits as told); a
rate limit of our own exists because the reference has one and some people share a small server.
"""

import asyncio

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Limits of one cluster.

    Attributes:
        qps: calls a second on average; 0 is no limit. Watches do not count.
        burst: calls that may go at once; 0 means twice ``qps``.
        connections: calls in flight. Watches have connections of their own, without a limit.
        share: of them about one resource in one namespace; 0 is no limit.
        attempts: tries of one call, the first included, where repeating is safe.
    """

    qps: float = 0.0
    burst: int = 0
    connections: int = 64
    share: int = 40
    attempts: int = 4


class TokenBucket:
    """Lets ``qps`` callers a second through, in order, and ``burst`` at once after a pause."""

    def __init__(self, qps: float, burst: int) -> None:
        self._qps = qps
        self._burst = float(burst or max(1, int(qps * 2)))
        self._tokens = self._burst
        self._at = 0.0

    async def take(self) -> float:
        """Wait for a turn; seconds waited."""
        if self._qps <= 0:
            return 0.0
        now = asyncio.get_running_loop().time()
        self._tokens = (
            min(self._burst, self._tokens + (now - self._at) * self._qps) if self._at else self._burst
        )
        self._at = now
        self._tokens -= 1.0  # below zero: a place in the queue is taken
        if self._tokens >= 0:
            return 0.0
        wait = -self._tokens / self._qps
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self._tokens += 1.0
            raise
        return wait
