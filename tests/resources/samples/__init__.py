"""Objects as people write them."""

from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent


def samples() -> list[dict[str, Any]]:
    """Every sample, of all three kinds."""
    return [
        manifest
        for name in ("applications.yaml", "others.yaml")
        for manifest in yaml.safe_load_all((_HERE / name).read_text())
    ]
