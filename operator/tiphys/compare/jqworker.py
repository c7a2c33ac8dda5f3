"""Evaluates jq programs in a process of its own, so that an endless one can be stopped.

Speaks lines of JSON: ``{"program": …, "document": …}`` in, ``{"results": […]}`` or
``{"error": "…"}`` out. Started without environment (``$ENV`` would show it) and with a limit on
memory; the parent kills it when an answer is late. Ends with its standard input.
"""

import resource
import sys
from functools import lru_cache
from typing import Any

import jq
import orjson

MEMORY = 512 << 20


@lru_cache(maxsize=512)
def _compiled(program: str) -> Any:
    return jq.compile(program)


def _first_results(program: str, document: Any) -> list[Any]:
    """At most two: more than one is an error already."""
    results = []
    for result in _compiled(program).input_value(document):
        results.append(result)
        if len(results) == 2:
            break
    return results


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin.buffer:
        request = orjson.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"results": _first_results(request["program"], request["document"])}
        except (ValueError, MemoryError) as error:
            answer = {"error": str(error) or type(error).__name__}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
