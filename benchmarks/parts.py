"""The benchmarks that need no installation: each makes its own servers and gives its own table.

B11 are lists and watches of the API, B12 calls over gRPC, ``deciding`` health and proofs. They also run
alone: ``python -m benchmarks.calls --help`` and so on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from benchmarks import calls, deciding, lists

Report = Callable[[Sequence[str]], str]

PARTS: dict[str, Report] = {"B11": lists.report, "B12": calls.report, "deciding": deciding.report}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be chosen about them together with the other scenarios."""
    parser.add_argument("--lists", default="2500,6000", help="Applications in B11; the last also in B12")
    parser.add_argument("--calls", type=int, default=6000, help="unary calls of each kind in B11 and B12")
    parser.add_argument("--watchers", type=int, default=1000, help="who watch in B11 and B12")
    parser.add_argument("--seconds", type=float, default=10, help="for how long they do")
    parser.add_argument("--connections", type=int, default=500, help="idle connections in B12")


def arguments(name: str, options: argparse.Namespace) -> list[str]:
    """The command line of one of them."""
    watching = [f"--subscribers={options.watchers}", f"--seconds={options.seconds}"]
    match name:
        case "B11":
            return [*watching, f"--sizes={options.lists}", f"--calls={options.calls}"]
        case "B12":
            size = options.lists.split(",")[-1]
            chosen = [f"--size={size}", f"--calls={options.calls}", f"--connections={options.connections}"]
            return [*watching, *chosen]
        case _:
            return []
