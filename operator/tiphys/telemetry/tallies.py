"""Counters and histograms for what happens with every request.

The client library's own take a lock for each of several values and look up their labels by text,
several microseconds that a reconcile pays for each request it makes. Everything here happens on one
thread, so plain numbers do; the families are made of them when somebody scrapes. Elsewhere the
library's own classes are right.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class TallyCounter(Collector):
    """A counter by labels.

    Args:
        name: with or without ``_total``.
        labels: names, separated by spaces.
    """

    def __init__(self, name: str, text: str, labels: str, registry: CollectorRegistry) -> None:
        self._name, self._text, self._labels = name, text, labels.split()
        self._counts: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def inc(self, labels: tuple[str, ...], amount: float = 1.0) -> None:
        """Count ``amount`` more for these label values."""
        self._counts[labels] = self._counts.get(labels, 0.0) + amount

    def clear(self) -> None:
        """Forget all."""
        self._counts.clear()

    def describe(self) -> Iterator[Metric]:
        """The family without samples (the registry learns its names from it)."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """The family as it is now."""
        family = self._family()
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        return CounterMetricFamily(self._name, self._text, labels=self._labels)


class TallyGauge(TallyCounter):
    """A number by labels that also goes down."""

    def set(self, labels: tuple[str, ...], value: float) -> None:
        """It is ``value`` now."""
        self._counts[labels] = value

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._text, labels=self._labels)


class Tally:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # of each bucket alone; the last is beyond all bounds
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class TallyHistogram(Collector):
    """A histogram by labels; the arguments are those of :class:`TallyCounter`, and the buckets'
    upper bounds, ascending."""

    def __init__(
        self, name: str, text: str, labels: str, bounds: tuple[float, ...], registry: CollectorRegistry
    ) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels.split(), bounds
        self._tallies: dict[tuple[str, ...], Tally] = {}
        registry.register(self)

    def of(self, labels: tuple[str, ...]) -> Tally:
        """The series of these label values; keep it, looking it up costs more than counting."""
        found = self._tallies.get(labels)
        if found is None:
            found = self._tallies[labels] = Tally(self._bounds)
        return found

    def clear(self) -> None:
        """Forget all; a series looked up before counts for nothing from now on."""
        self._tallies.clear()

    def describe(self) -> Iterator[Metric]:
        """The family without samples (the registry learns its names from it)."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """The family as it is now."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = (*map(floatToGoString, self._bounds), "+Inf")
        for labels, tally in self._tallies.items():
            buckets, total = [], 0
            for bound, count in zip(bounds, tally.counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, tally.sum)
        yield family
