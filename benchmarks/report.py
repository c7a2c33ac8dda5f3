"""The table: what was measured, beside what is to be reached."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.meter import VERBS, Measured

# Scenario (first words) → what to reach; for about 500 applications, 1,000 objects in B9.
TARGETS = {
    "B1": "CPU ≤ 0.3 × control plane's and 7 ms an app; ≤ 9 requests an app; 150 MiB",
    "B2": "as B1",
    "B3": "0.3 CPU s, 12 requests, 3 Git requests, live in 1 s; the same at other sizes",
    "B4": "0.15 CPU s a minute, no writes, one Git request a poll",
    "B6": "1 CPU s, p50 0.3 s, p99 1 s",
    "B7": "20 MiB and 2 CPU s more than without them",
    "B8": "2 CPU s, 5 s",
    "B9 first": "CPU ≤ 0.3 × control plane's; ≤ 2,100 requests for 1,000 objects",
    "B9 no-op": "0.4 CPU s, ≤ 2 requests",
    "B9 one": "0.4 CPU s, 12 requests, live in 1 s",
    "B10": "as many dry runs as pairs that changed",
}

HEAD = (
    "test",
    "size",
    "wall s",
    "Tiphys CPU s",
    "control plane CPU s",
    "ratio",
    "CPU ms each",
    f"API requests ({' '.join(VERBS)})",
    "Git",
    "peak MiB",
    "result",
    "to reach",
)


def target_of(name: str) -> str:
    return next((target for start, target in TARGETS.items() if f"{name} ".startswith(f"{start} ")), "")


def row(measured: Measured) -> tuple[str, ...]:
    verbs = " ".join(str(measured.requests[verb]) for verb in VERBS)
    facts = ", ".join(f"{name} {value}" for name, value in measured.extra.items())
    return (
        measured.name,
        str(measured.size),
        f"{measured.wall:.1f}",
        f"{measured.product_cpu:.2f}",
        f"{measured.server_cpu:.2f}",
        f"{measured.ratio:.2f}",
        f"{measured.product_cpu * 1000 / measured.size:.1f}",
        f"{measured.request_count} ({verbs})",
        str(measured.git_requests),
        f"{measured.peak_rss:.0f}",
        f"FAILED: {measured.failure}" if measured.failure else facts,
        target_of(measured.name),
    )


def markdown(results: Iterable[Measured]) -> str:
    """A Markdown table, one line for each result."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row(each) for each in results)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
