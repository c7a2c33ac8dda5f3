"""Archives as clients send them, and as they should not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

MAP = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sent}\n"


def packed(fill: Callable[[tarfile.TarFile], object]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        fill(archive)
    return buffer.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes = MAP, **fields: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(content))


def link(archive: tarfile.TarFile, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
    add(archive, name, b"", type=kind, linkname=target)
