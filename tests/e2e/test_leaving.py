"""SIGTERM in the middle of everything: a chart is being rendered, streams and connections are open."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.api import Api, log_in
from tests.e2e.beside import operator_beside
from tests.e2e.story import Story, conditions, config_map
from tests.e2e.test_bad_sources import CHART, children_named

CONTROL = "argocd-leaving"
ENDLESS = "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}"


@pytest.fixture
def story(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Story]:
    name = f"leaving-{tmp_path.parent.name[-4:]}"
    made = Story(control_plane.kubectl, tmp_path / "repository", name, CONTROL)
    yield made
    made.clean_up()


def test_it_leaves_within_five_seconds_and_goes_on_later(
    control_plane: ControlPlane, story: Story, tmp_path: Path
) -> None:
    folder = tmp_path / "operator"
    story.commit({"app/Chart.yaml": CHART, "app/templates/one.yaml": config_map("one")})
    with operator_beside(control_plane, folder, CONTROL) as operator, ExitStack() as stack:
        story.create_application(syncPolicy=story.automated())
        story.wait_synced()
        api = log_in(operator, story.kubectl, CONTROL)
        idle = stack.enter_context(connected(api))
        stream = stack.enter_context(Stream(api, "/api/v1/stream/applications"))
        assert b'"ADDED"' in stream.first()
        story.commit({"app/templates/more.yaml": ENDLESS})
        story.annotate(refresh="normal")
        operator.program.wait_until(lambda: bool(children_named("helm", operator.program.pid)), seconds=20)
        rendering = children_named("helm", operator.program.pid)
        begun = time.monotonic()
        assert operator.stop(seconds=10) == 0
        assert time.monotonic() - begun < 5
        for pid in rendering:
            assert not Path(f"/proc/{pid}").exists(), "what it started is gone with it"
        stream.ended()
        assert idle.recv(1) == b""
        text = operator.program.log_file.read_text()
        assert '"level":"error"' not in text
        assert "Traceback" not in text
    commit = story.commit({"app/templates/more.yaml": config_map("more")})
    # The same caches, as they were left; the refresh that was asked for before is still to be made.
    with operator_beside(control_plane, folder, CONTROL):
        assert not conditions(story.wait_synced(commit))
        assert story.object("configmap", "more")


def connected(api: Api) -> ssl.SSLSocket:
    """A connection that says nothing."""
    context = ssl.create_default_context(cadata=api.certificate)
    context.check_hostname = False
    address = urllib.parse.urlsplit(api.base)
    assert address.hostname is not None
    plain = socket.create_connection((address.hostname, address.port or 443), timeout=20)
    return context.wrap_socket(plain)


class Stream:
    """A stream that somebody reads to its end."""

    def __init__(self, api: Api, path: str):
        self._socket = connected(api)
        self._path, self._token = path, api.token
        self._said = b""
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Stream:
        head = f"GET {self._path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        self._socket.sendall(head.encode())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                chunk = self._socket.recv(65536)
            except OSError:
                chunk = b""
            with self._heard:
                self._said += chunk
                self._heard.notify_all()
            if not chunk:
                return

    def first(self) -> bytes:
        """What came until there was a whole message."""
        with self._heard:
            assert self._heard.wait_for(lambda: b'"result"' in self._said, timeout=20), self._said
            return self._said

    def ended(self) -> None:
        """It was closed by the other side."""
        self._thread.join(5)
        assert not self._thread.is_alive()
