"""Which proxy counts for a repository (sources.md 9.2, 18.4)."""

from collections.abc import Mapping

import pytest

from tiphys.settings.repositories import Repository
from tiphys.sources.outgoing import bypasses, proxy_environment, proxy_for

ENVIRON = {"HTTPS_PROXY": "http://all:1", "no_proxy": "inside.example"}


@pytest.mark.parametrize(
    ("host", "no_proxy", "straight"),
    [
        ("example.org", "", False),
        ("example.org", "*", True),
        ("example.org", "example.org", True),
        ("a.example.org", "example.org", True),
        ("a.example.org", "x, *.example.org", True),
        ("badexample.org", "example.org", False),
        ("example.org", "example.org:443", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("localhost", "", True),
        ("127.0.0.1", "", True),
    ],
)
def test_hosts_without_proxy(host: str, no_proxy: str, straight: bool) -> None:
    assert bypasses(host, no_proxy) is straight


@pytest.mark.parametrize(
    ("url", "changes", "proxy"),
    [
        ("https://example.org/x", {}, "http://all:1"),
        ("http://example.org/x", {}, None),
        ("https://git.inside.example/x", {}, None),
        ("https://example.org/x", {"proxy": "http://own:2"}, "http://own:2"),
        ("https://inside.example/x", {"proxy": "http://own:2"}, "http://own:2"),
        ("https://example.org/x", {"proxy": "http://own:2", "no_proxy": "example.org"}, None),
    ],
)
def test_a_repositorys_proxy_replaces_the_inherited(
    url: str, changes: Mapping[str, str], proxy: str | None
) -> None:
    assert proxy_for(url, Repository(url=url, **changes), ENVIRON) == proxy


def test_commands_get_the_proxy_in_both_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://all:1")
    assert proxy_environment(None) == {"HTTPS_PROXY": "http://all:1"}
    own = proxy_environment(Repository(url="https://x", proxy="http://own:2", no_proxy="x"))
    assert own == {
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://own:2"),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), "x"),
    }
