"""What a request asks for, and which headers go on (api.md 14)."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from tiphys.access.identity import Identity
from tiphys.server.extensions.asking import Wish, wish_of
from tiphys.server.extensions.headers import Sent, checked_headers, forwarded_headers, returned_headers
from tiphys.server.http.refusals import Refused

GOOD = (("Argocd-Application-Name", "argocd:shop"), ("Argocd-Project-Name", "team"))


def given(*headers: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(headers))


@pytest.mark.parametrize(
    ("path", "extension", "rest"),
    [
        ("/extensions/x", "x", ""),
        ("/extensions/x/", "x", "/"),
        ("/extensions/x/a%2Fb//c", "x", "/a%2Fb//c"),
        ("/extensions/x//evil.example.org/a", "x", "//evil.example.org/a"),
        ("/extensions/x/a..b/...", "x", "/a..b/..."),
        ("/extensions/a%0Ab/c", "a%0Ab", "/c"),
    ],
)
def test_paths(path: str, extension: str, rest: str) -> None:
    assert wish_of("GET", path, given(*GOOD)) == Wish(extension, rest, "argocd", "shop", "team")


APP, PROJECT = '"Argocd-Application-Name"', '"Argocd-Project-Name"'


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/extensions/", 400, "Invalid URL: extension name must be provided"),
        ("/extensions//x", 400, "Invalid URL: extension name must be provided"),
        ("/%65xtensions/x", 400, "Invalid URL: first segment must be /extensions"),
        *(
            (f"/extensions/x/{climbing}", 400, "Invalid URL: no segment may be relative")
            for climbing in (
                "..",
                "../y",
                "a/../../y",
                "./y",
                "%2e%2e/y",
                "..%2fy",
                "..%5cy",
                "..;/y",
                ".%2e;a=b/y",
                "%252e%252e/y",
                "..%252fy",
                "a%2f..",
            )
        ),
        ("/extensions/../x", 400, "Invalid URL: no segment may be relative"),
    ],
)
def test_paths_that_are_refused(path: str, status: int, text: str) -> None:
    with pytest.raises(Refused) as caught:
        wish_of("GET", path, given(*GOOD))
    assert (caught.value.status, caught.value.text) == (status, text)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_methods_that_are_refused(method: str) -> None:
    """A service that reflects would show the secrets that the settings add."""
    with pytest.raises(Refused) as caught:
        wish_of(method, "/extensions/x", given(*GOOD))
    assert caught.value.status == 405


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ((), f"header {APP} must be provided"),
        ((("Argocd-Application-Name", ""), GOOD[1]), f"header {APP} must be provided"),
        ((GOOD[0], *GOOD), f"header {APP} must be provided once"),
        (
            (("Argocd-Application-Name", "shop"), GOOD[1]),
            f"error getting app details: invalid value for {APP} header: "
            "expected format: <namespace>:<app-name>",
        ),
        (
            (("Argocd-Application-Name", "a:b:c"), GOOD[1]),
            f"error getting app details: invalid value for {APP} header: "
            "expected format: <namespace>:<app-name>",
        ),
        ((("Argocd-Application-Name", "A:b"), GOOD[1]), "invalid value for namespace"),
        ((("Argocd-Application-Name", ":b"), GOOD[1]), "invalid value for namespace"),
        ((("Argocd-Application-Name", "a:../b"), GOOD[1]), "invalid value for application name"),
        ((("Argocd-Application-Name", "a:"), GOOD[1]), "invalid value for application name"),
        ((GOOD[0],), f"header {PROJECT} must be provided"),
        ((*GOOD, GOOD[1]), f"header {PROJECT} must be provided once"),
        ((GOOD[0], ("Argocd-Project-Name", "a/b")), "invalid value for project name"),
    ],
)
def test_headers_that_are_refused(headers: tuple[tuple[str, str], ...], text: str) -> None:
    with pytest.raises(Refused) as caught:
        wish_of("GET", "/extensions/x", given(*headers))
    assert (caught.value.status, caught.value.text) == (400, f"Invalid headers: {text}")


WISH = Wish("x", "/", "argocd", "shop", "team")
ANN = Identity(user_id="id-ann", username="ann@example.org", groups=("dev", "o\r\nps"))
SENT = Sent("cd.example.org", "https", "192.0.2.7")


def test_what_was_checked() -> None:
    assert checked_headers(WISH, "argocd", ANN, "", "https://one") == {
        "Argocd-Application-Name": "argocd:shop",
        "Argocd-Project-Name": "team",
        "Argocd-Namespace": "argocd",
        "Argocd-Target-Cluster-URL": "https://one",
        "Argocd-Username": "ann@example.org",
        "Argocd-User-Id": "id-ann",
        "Argocd-User-Groups": "dev,ops",
    }


def test_what_goes_on() -> None:
    """Nothing that only this connection, or only we, may say; what was checked counts above all."""
    headers = forwarded_headers(
        given(
            *GOOD,
            ("Host", "cd.example.org"),
            ("Authorization", "Bearer a.b.c"),
            ("Cookie", "argocd.token=a.b.c"),
            ("COOKIE", "other=1"),
            ("Grpc-Metadata-Token", "a.b.c"),
            ("Connection", "close, X-Mine, Argocd-Project-Name, X-Forwarded-For"),
            ("X-Mine", "1"),
            ("Argocd-User-Groups", "admins"),
            ("Argocd_User_Groups", "admins"),
            ("argocd-target-cluster-name", "prod"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "x"),
            ("Expect", "100-continue"),
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-Proto", "http"),
            ("X-Key", "theirs"),
            ("Accept", "a"),
            ("Accept", "b"),
        ),
        checked_headers(WISH, "argocd", Identity(user_id="ann", username="ann"), "one", ""),
        [("X-Key", "ours"), ("Authorization", "Basic x")],
        SENT,
        length=12,
    )
    assert sorted(headers.items()) == [
        ("Accept", "a"),
        ("Accept", "b"),
        ("Argocd-Application-Name", "argocd:shop"),
        ("Argocd-Namespace", "argocd"),
        ("Argocd-Project-Name", "team"),
        ("Argocd-Target-Cluster-Name", "one"),
        ("Argocd-User-Id", "ann"),
        ("Argocd-Username", "ann"),
        ("Authorization", "Basic x"),
        ("Content-Length", "12"),
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Host", "cd.example.org"),
        ("X-Forwarded-Proto", "http"),
        ("X-Key", "ours"),
    ]


def test_addresses_on_the_way_are_kept() -> None:
    headers = forwarded_headers(
        given(("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "198.51.100.2")),
        {},
        [],
        SENT,
        length=None,
    )
    assert headers["X-Forwarded-For"] == "198.51.100.1, 198.51.100.2, 192.0.2.7"
    assert headers["X-Forwarded-Proto"] == "https"


def test_what_comes_back() -> None:
    found = returned_headers(
        given(
            ("Content-Length", "5"),
            ("Connection", "X-Private"),
            ("X-Private", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Set-Cookie", " Argocd.token=x"),
            ("Set-Cookie", "theirs=1"),
        )
    )
    assert list(found) == [("Content-Length", "5"), ("Set-Cookie", "theirs=1")]
