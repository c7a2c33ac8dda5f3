"""Evaluates one Jsonnet file; runs as a process of its own, so that it can be limited and killed.

Standard input: ``{"root", "file", "libraries", "ext", "ext_code", "tla", "tla_code"}`` (paths below
``root``). Standard output: the JSON, or nothing and the error on standard error. Imports are looked
for beside the importing file, then in the libraries, and never outside of ``root``. Imports nothing
of ours: the process starts with this file alone.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def importer(root: str, libraries: list[str]) -> Callable[[str, str], tuple[str, bytes]]:
    """The import callback: folder of the importing file and import path to place and content."""

    def load(folder: str, path: str) -> tuple[str, bytes]:
        for base in (folder, *(os.path.join(root, library) for library in libraries)):
            real = os.path.realpath(os.path.join(base, path))
            if real != root and not real.startswith(root + os.sep):
                continue
            if os.path.isfile(real):
                with open(real, "rb") as file:
                    return real, file.read()
        raise RuntimeError(
            f"couldn't open import {json.dumps(path)}: no match locally or in the library paths"
        )

    return load


def main() -> int:
    """Exit code: 0, or 1 with the error on standard error."""
    try:
        import _jsonnet  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        sys.stderr.write("the Python package jsonnet is not installed")
        return 1
    job: dict[str, Any] = json.load(sys.stdin)
    root = os.path.realpath(job["root"])
    place = os.path.realpath(os.path.join(root, job["file"]))
    try:
        with open(place, encoding="utf-8") as file:
            text = file.read()
        output = _jsonnet.evaluate_snippet(
            place,
            text,
            import_callback=importer(root, job["libraries"]),
            ext_vars=job["ext"],
            ext_codes=job["ext_code"],
            tla_vars=job["tla"],
            tla_codes=job["tla_code"],
        )
    except (RuntimeError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(str(error))
        return 1
    sys.stdout.write(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
