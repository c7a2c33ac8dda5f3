"""``workqueue_*`` series under controller-runtime's names (operations.md 2.1).

A queue reports additions, starts and ends; which keys are being worked on is kept here, because
two of the series say how long work has been running.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

QUEUE_BUCKETS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000)
"""Decades from 10 ns to 1,000 s."""


class QueueObserver:
    """One queue's side of the series. ``started`` and ``finished`` come in pairs; which end belongs
    to which start follows from how long the work took."""

    def __init__(self, metrics: "QueueMetrics", name: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._running: list[float] = []
        self._depth = metrics.depth.labels(name)
        self._adds = metrics.adds.labels(name)
        self._waited = metrics.waited.labels(name)
        self._worked = metrics.worked.labels(name)
        self._retries = metrics.retries.labels(name)

    def added(self, depth: int) -> None:
        """A key was added; ``depth`` keys wait now."""
        self._adds.inc()
        self._depth.set(depth)

    def started(self, waited: float, depth: int) -> None:
        """Work on a key began after ``waited`` seconds in the queue."""
        self._waited.observe(max(0.0, waited))
        self._depth.set(depth)
        self._running.append(self._clock())

    def finished(self, worked: float, *, failed: bool) -> None:
        """Work on a key ended after ``worked`` seconds; a failed one is tried again."""
        self._worked.observe(max(0.0, worked))
        if failed:
            self._retries.inc()
        if self._running:
            began = self._clock() - worked
            self._running.remove(min(self._running, key=lambda start: abs(start - began)))

    def running_seconds(self) -> list[float]:
        """How long each piece of work under way has been running."""
        now = self._clock()
        return [now - start for start in self._running]


class QueueMetrics(Collector):
    """All queues of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._observers: dict[str, QueueObserver] = {}
        self.depth = Gauge("workqueue_depth", "Keys that wait.", ["name"], registry=registry)
        self.adds = Counter("workqueue_adds", "Keys added.", ["name"], registry=registry)
        self.retries = Counter("workqueue_retries", "Keys tried again.", ["name"], registry=registry)
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Seconds a key waited.",
            ["name"],
            buckets=QUEUE_BUCKETS,
            registry=registry,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "Seconds the work on a key took.",
            ["name"],
            buckets=QUEUE_BUCKETS,
            registry=registry,
        )
        registry.register(self)

    def observer(self, name: str, clock: Callable[[], float]) -> QueueObserver:
        """The observer of the queue of this name."""
        return self._observers.setdefault(name, QueueObserver(self, name, clock))

    def collect(self) -> Iterator[Metric]:
        """The two running-time series."""
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Seconds of work under way.", labels=["name"]
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds",
            "Seconds of the longest work under way.",
            labels=["name"],
        )
        for name, observer in self._observers.items():
            seconds = observer.running_seconds()
            unfinished.add_metric([name], sum(seconds))
            longest.add_metric([name], max(seconds, default=0.0))
        yield from (unfinished, longest)
