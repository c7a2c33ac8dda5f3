"""What dashboards ask of the process under Go's names (operations.md 2): the nearest things we have.

``go_goroutines`` counts asyncio tasks, ``go_memstats_…_alloc_bytes`` is resident memory. Computed when
somebody scrapes.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from resource import getpagesize

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_STATM = Path("/proc/self/statm")


class RuntimeCollector(Collector):
    """See the module."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("go_goroutines", "asyncio tasks (no goroutines).", tasks())
        yield GaugeMetricFamily("go_threads", "Threads.", threading.active_count())
        resident = resident_bytes()
        yield GaugeMetricFamily("go_memstats_alloc_bytes", "Resident memory.", resident)
        yield GaugeMetricFamily("go_memstats_heap_alloc_bytes", "Resident memory.", resident)


def tasks() -> int:
    """Tasks of the running loop; 0 outside of one."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


def resident_bytes() -> int:
    """Resident memory; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * getpagesize()
    except (OSError, IndexError, ValueError):
        return 0
