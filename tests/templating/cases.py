"""The answers of Go (see oracle/README.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent / "cases"


def cases(name: str) -> list[Any]:
    """A parameter for each case of a file: the case, and the data it runs over."""
    content = json.loads((CASES / name).read_text())
    return [
        pytest.param(case, case.get("data", content["data"]), id=f"{number}-{case['text'][:40]!r}")
        for number, case in enumerate(content["cases"])
    ]
