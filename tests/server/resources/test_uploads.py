"""Unpacking what a client sent, within limits."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.resources.archives import add, link, packed
from tiphys.resources.messages.application import (
    ApplicationManifestQueryWithFilesWrapper,
    FileChunk,
)
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.services.applications.resources import uploads
from tiphys.server.services.applications.resources.uploads import UploadLimits, receive, unpack

LIMITS = UploadLimits(1 << 20, 1 << 20, 50)


def unpacked(folder: Path, archive: bytes, limits: UploadLimits = LIMITS) -> Path:
    (folder / "files").mkdir()
    (folder / "sent.tar.gz").write_bytes(archive)
    unpack(folder / "sent.tar.gz", folder / "files", limits)
    return folder / "files"


async def sent(chunks: Iterable[bytes]) -> AsyncIterator[ApplicationManifestQueryWithFilesWrapper]:
    for chunk in chunks:
        yield ApplicationManifestQueryWithFilesWrapper(chunk=FileChunk(chunk=chunk))


async def test_chunks_are_put_together(tmp_path: Path) -> None:
    digest = await receive(sent([b"ab", b"", b"c"]), tmp_path / "x", LIMITS)
    assert (tmp_path / "x").read_bytes() == b"abc"
    assert digest == hashlib.sha256(b"abc").hexdigest()


async def test_too_many_bytes(tmp_path: Path) -> None:
    with pytest.raises(ApiFailure) as failed:
        await receive(sent([b"x" * 600] * 2), tmp_path / "x", UploadLimits(1000, 0))
    assert failed.value.code is Code.RESOURCE_EXHAUSTED


async def test_a_client_that_goes_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> AsyncIterator[ApplicationManifestQueryWithFilesWrapper]:
        yield ApplicationManifestQueryWithFilesWrapper(chunk=FileChunk(chunk=b"x"))
        await asyncio.Event().wait()

    monkeypatch.setattr(uploads, "IDLE_SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        await receive(silent(), tmp_path / "x", LIMITS)


def test_a_bomb(tmp_path: Path) -> None:
    with pytest.raises(ApiFailure) as failed:
        unpacked(tmp_path, gzip.compress(bytes(8 << 20)))
    assert failed.value.code is Code.RESOURCE_EXHAUSTED
    assert not (tmp_path / "sent.tar.tar").exists()


def test_too_many_files(tmp_path: Path) -> None:
    with pytest.raises(ApiFailure) as failed:
        unpacked(tmp_path, packed(lambda a: [add(a, f"f{n}", b"") for n in range(51)]))
    assert failed.value.code is Code.RESOURCE_EXHAUSTED


def test_a_header_that_asks_for_much_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 2 << 20
    archive = gzip.compress(member.tobuf() + bytes(1 << 12))
    with pytest.raises(ApiFailure, match="a header is too large"):
        unpacked(tmp_path, archive, UploadLimits(0, 0))


def test_what_is_kept(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "./a/run.sh", b"x", mode=0o4755)
        link(archive, "a/here", "run.sh")
        link(archive, "a/later", "../b/file")
        add(archive, "b/file", b"y")

    files = unpacked(tmp_path, packed(fill))
    assert (files / "a/here").read_bytes() == b"x"
    assert (files / "a/later").read_bytes() == b"y"
    assert os.stat(files / "a/run.sh").st_mode & 0o7777 == 0o755


names = st.lists(st.sampled_from(["a", "b", "..", ".", "/", "a/..", "b/c"]), min_size=1, max_size=4).map(
    "/".join
)
members = st.lists(st.tuples(st.sampled_from(["file", "link", "dir"]), names, names), max_size=6)


@given(members)
def test_nothing_leads_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("unpacked")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for kind, name, target in made:
            if kind == "file":
                add(archive, name, b"x")
            elif kind == "link":
                link(archive, name, target)
            else:
                add(archive, name, b"", type=tarfile.DIRTYPE)
    before = sorted(folder.parent.iterdir())
    try:
        files = unpacked(folder, buffer.getvalue())
    except ApiFailure:
        files = None
    assert sorted(folder.parent.iterdir()) == before
    assert sorted(each.name for each in folder.iterdir()) == ["files", "sent.tar.gz"]
    if files is not None:
        for place, folders, found in os.walk(files):
            for each in (*folders, *found):
                assert os.path.realpath(os.path.join(place, each)).startswith(os.path.realpath(files))
