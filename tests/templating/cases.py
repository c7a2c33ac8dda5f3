"""The answers of Go (see oracle/README.md)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = Path(__file__).parent / "cases"


def cases(name: str) -> list[Any]:
    """A parameter for each case of a file: the case, and the data it runs over."""
    content = yaml.load((CASES / name).read_text(), yaml.CSafeLoader)
    return [
        pytest.param(case, case.get("data", content["data"]), id=f"{number}-{case['text'][:40]!r}")
        for number, case in enumerate(content["cases"])
    ]
