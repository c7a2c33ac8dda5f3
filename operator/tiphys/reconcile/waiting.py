"""Whoever waits long for something outside (a repository, a cluster, a webhook of it) holds no worker.

A piece of work says what it waits for (:func:`waiting_for`, :func:`begun`, :func:`ended`): a
:class:`Lane`, which is a place and, of a cluster, the kind of object. Once a wait is longer than
``patience``, or at once where others wait long already, its worker is lent to the queue and takes up
another key, while the work goes on. So many at once may wait in one lane, in one place and altogether,
and no more: keys of a full lane stay aside until it has room. A repository that never answers costs the
others a second; a thousand applications on it cost as much as twenty.
"""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

PATIENCE = 1.0
"""Seconds of one wait."""


class Lane(NamedTuple):
    """What is waited for. ``part`` is a kind of object of a cluster; ``""``: the place as such."""

    place: str
    part: str = ""


class Waits:
    """Who waits long, by lane.

    Args:
        workers: of the queue. Once as many wait in a lane, no key is taken up that would; those at work
            by then may come, three times as many in a lane, four times in a place, eight times altogether.
            Whoever comes then waits on a worker.
    """

    def __init__(self, workers: int, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.on_room: Callable[[Lane], None] = lambda lane: None
        """Told whenever somebody waits no more."""
        self._each, self._place, self._most = workers, 4 * workers, 8 * workers
        self._lanes: Counter[Lane] = Counter()
        self._places: Counter[str] = Counter()

    def is_slow(self, lane: Lane) -> bool:
        """Whether somebody waits long there."""
        return self._lanes[lane] > 0

    def is_full(self, lane: Lane) -> bool:
        """Whether nobody else should begin to wait there."""
        return self._lanes[lane] >= self._each or self._places[lane.place] >= self._place

    @property
    def anybody(self) -> bool:
        """Whether somebody waits long anywhere."""
        return bool(self._lanes)

    def room(self, lane: Lane) -> int:
        """How many more may wait there."""
        return max(0, self._each - self._lanes[lane])

    def take(self, lane: Lane) -> bool:
        """Somebody waits long; whether there is room for him beside the workers."""
        if (
            self._lanes[lane] >= 3 * self._each
            or self._places[lane.place] >= self._place
            or self._places.total() >= self._most
        ):
            return False
        self._lanes[lane] += 1
        self._places[lane.place] += 1
        return True

    def give_back(self, lane: Lane) -> None:
        """He waits no more."""
        self._lanes -= Counter((lane,))
        self._places -= Counter((lane.place,))
        self.on_room(lane)


class Work:
    """One piece of work and the worker it holds, until it is lent.

    Args:
        lend: called when it holds the worker no more.
    """

    def __init__(self, waits: Waits, lend: Callable[[], None]) -> None:
        self._waits = waits
        self._lend = lend
        self._clock = asyncio.get_running_loop().time
        self._open: dict[Lane, tuple[int, float]] = {}  # how many waits, since when
        self._timer: asyncio.TimerHandle | None = None  # one for all: most waits are over long before
        self._over = False
        self.lane: Lane | None = None
        """In which it waited long."""

    def begin(self, lane: Lane) -> None:
        """It begins to wait."""
        if self._over or self.lane is not None:
            return
        count, since = self._open.get(lane, (0, 0.0))
        if not count:
            since = self._clock()
            if self._waits.is_slow(lane):
                self._slow(lane)
            elif self._timer is None:
                self._look_at(since + self._waits.patience)
        self._open[lane] = (count + 1, since)

    def end(self, lane: Lane) -> None:
        """It has what it waited for."""
        count, since = self._open.pop(lane, (0, 0.0))
        if count > 1:
            self._open[lane] = (count - 1, since)

    def close(self) -> None:
        """It is done."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._open.clear()
        if self.lane is not None:
            self._waits.give_back(self.lane)

    def _look_at(self, moment: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(moment, self._look)

    def _look(self) -> None:
        """Some wait may be too long now."""
        self._timer = None
        now, patience = self._clock(), self._waits.patience
        due = [lane for lane, (_, since) in self._open.items() if since + patience <= now]
        for lane in due:
            self._slow(lane)
        if self.lane is None and (waits := [s for _, s in self._open.values() if s + patience > now]):
            self._look_at(min(waits) + patience)

    def _slow(self, lane: Lane) -> None:
        if self.lane is None and self._waits.take(lane):
            self.lane = lane
            self._lend()


_work: contextvars.ContextVar[Work | None] = contextvars.ContextVar("work", default=None)


def holding(work: Work) -> contextvars.Token[Work | None]:
    """Everything in this context is done by ``work``."""
    return _work.set(work)


def begun(lane: Lane) -> None:
    """The work of this context begins to wait."""
    if (work := _work.get()) is not None:
        work.begin(lane)


def ended(lane: Lane) -> None:
    """It waits no more."""
    if (work := _work.get()) is not None:
        work.end(lane)


@contextmanager
def waiting_for(lane: Lane) -> Iterator[None]:
    """What is awaited inside is outside of our hands."""
    begun(lane)
    try:
        yield
    finally:
        ended(lane)
