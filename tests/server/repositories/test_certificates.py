"""Certificates and known hosts over the API (api.md 9, sources.md 19)."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.gitservers import Authority
from tests.server.repositories.conftest import Place, refused, says
from tests.server.running import Answer, Running
from tiphys.server.services.certificates.authorities import is_host_name
from tiphys.server.services.certificates.known_hosts import HostKey, InvalidHostKey, KnownHosts

LIST = "/api/v1/certificates"
ED = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
ED_OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def ssh(host: str, key: str = ED, kind: str = "ssh-ed25519") -> dict[str, str]:
    return {"serverName": host, "certType": "ssh", "certSubType": kind, "certData": b64(key)}


def tls(host: str, text: str) -> dict[str, str]:
    return {"serverName": host, "certType": "https", "certData": b64(text)}


async def create(api: Running, *items: dict[str, str], **params: str) -> Answer:
    return await api.call("POST", LIST, body={"items": list(items)}, params=params)


async def listed(api: Running, **params: str) -> list[tuple[str, str, str]]:
    items = (await api.get(LIST, params=params)).json["items"] or []
    return [(each["serverName"], each["certType"], each["certSubType"]) for each in items]


@pytest.fixture(autouse=True)
async def clean(request: pytest.FixtureRequest) -> None:
    """Each test over the API begins without any."""
    if "place" in request.fixturenames:
        made: Place = request.getfixturevalue("place")
        await made.admin.call("DELETE", LIST)


async def test_both_kinds(place: Place, authority: Authority, tmp_path: Path) -> None:
    api = place.admin
    answer = await create(api, ssh("[git.example]:2222"), tls("git.example", authority.pem))
    assert answer.status == 200, answer.text
    (tmp_path / "key.pub").write_text(f"ssh-ed25519 {ED}\n")
    shown = await asyncio.to_thread(
        subprocess.check_output, ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], text=True
    )
    items = answer.json["items"]
    assert items[0]["certInfo"] == shown.split()[1]
    assert base64.b64decode(items[1]["certData"]).decode() == authority.pem.strip()
    items = (await api.get(LIST)).json["items"]
    assert [(each["certType"], each["certSubType"], each["certInfo"]) for each in items] == [
        ("ssh", "ssh-ed25519", shown.split()[1]),
        ("https", "ecdsa", "CN=test authority"),
    ]
    held = api.plane.kubectl.json("-n", api.namespace, "get", "configmap", "argocd-tls-certs-cm")
    assert held["data"] == {"git.example": authority.pem}
    held = api.plane.kubectl.json("-n", api.namespace, "get", "configmap", "argocd-ssh-known-hosts-cm")
    assert held["data"] == {"ssh_known_hosts": f"[git.example]:2222 ssh-ed25519 {ED}\n"}


@pytest.mark.parametrize(
    ("params", "left"),
    [
        pytest.param({}, [], id="everything"),
        pytest.param({"hostNamePattern": "*.example"}, ["c.other s"], id="pattern"),
        pytest.param(
            {"hostNamePattern": "?.example", "certType": "ssh"}, ["b.example h", "c.other s"], id="type"
        ),
        pytest.param(
            {"certSubType": "ssh-rsa", "certType": "ssh"},
            ["a.example s", "b.example h", "c.other s"],
            id="kind",
        ),
        pytest.param(
            {"hostNamePattern": "[", "certType": "*"},
            ["a.example s", "b.example h", "c.other s"],
            id="no pattern",
        ),
    ],
)
async def test_listing_and_deleting_select_the_same(
    place: Place, authority: Authority, params: dict[str, str], left: list[str]
) -> None:
    api = place.admin
    await create(api, ssh("a.example"), ssh("c.other"), tls("b.example", authority.pem))
    short = [f"{host} {kind[0]}" for host, kind, _ in await listed(api)]
    chosen = [f"{host} {kind[0]}" for host, kind, _ in await listed(api, **params)]
    removed = (await api.call("DELETE", LIST, params=params)).json["items"] or []
    assert sorted(f"{each['serverName']} {each['certType'][0]}" for each in removed) == sorted(chosen)
    now = [f"{host} {kind[0]}" for host, kind, _ in await listed(api)]
    assert sorted(now) == sorted(left)
    assert sorted(now + chosen) == sorted(short)


async def test_a_bracketed_host_is_meant_as_it_stands(place: Place) -> None:
    await create(place.admin, ssh("[git.example]:2222"), ssh("git.example"))
    for pattern in ("[git.example]:2222", r"\[git.example\]:2222"):
        assert await listed(place.admin, hostNamePattern=pattern) == [
            ("[git.example]:2222", "ssh", "ssh-ed25519")
        ]


async def test_upsert(place: Place, authority: Authority) -> None:  # sources.md 19
    api, other = place.admin, Authority().pem
    first = (ssh("git.example"), tls("git.example", authority.pem))
    await create(api, *first)
    again = await create(api, *first)
    assert (again.status, again.json["items"]) == (200, None)  # nothing new
    assert refused(await create(api, ssh("git.example", ED_OTHER))) == (
        500,
        2,
        "key for 'git.example' (subtype: 'ssh-ed25519') already exists, and upsert was not specified",
    )
    assert refused(await create(api, tls("git.example", other))) == (
        500,
        2,
        "TLS certificate for server 'git.example' already exists, and upsert was not specified",
    )
    changed = await create(api, ssh("git.example", ED_OTHER), tls("git.example", other), upsert="true")
    assert len(changed.json["items"]) == 2
    assert len(await listed(api)) == 2


@pytest.mark.parametrize(
    ("item", "message"),
    [
        pytest.param(tls("no host", "x"), "invalid hostname in request: no host", id="host of TLS"),
        pytest.param(tls("git.example.", "x"), "invalid hostname in request: git.example.", id="absolute"),
        pytest.param(ssh("[no_host]:1"), "invalid hostname in request: [no_host]:1", id="host of SSH"),
        pytest.param({"serverName": "x", "certType": "ftp"}, "unknown certificate type: ftp", id="type"),
        pytest.param(tls("git.example", "nothing"), "no valid PEM data received", id="no PEM"),
        pytest.param(
            tls("git.example", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "no valid X.509 certificate received",
            id="no certificate",
        ),
        pytest.param(
            ssh("git.example", "c2VjcmV0"),
            "no valid SSH host key for git.example: it is not of type ssh-ed25519",
            id="no key",
        ),
    ],
)
async def test_refused_and_nothing_written(place: Place, item: dict[str, str], message: str) -> None:
    answer = await create(place.admin, ssh("good.example"), item)
    assert refused(answer) == (500, 2, message)
    assert await listed(place.admin) == []


async def test_no_body(place: Place) -> None:
    answer = await place.admin.call("POST", LIST)
    assert refused(answer) == (400, 3, "missing payload in request")


async def test_comments_of_people_stay(place: Place) -> None:
    api = place.admin
    text = f"# ours\ngit.example ssh-ed25519 {ED} a comment\n@revoked x ssh-ed25519 {ED}\n"
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-ssh-known-hosts-cm"},
            "data": {"ssh_known_hosts": text},
        }
    )
    await api.until(LIST, lambda answer: len(answer.json["items"] or []) == 1)
    await create(api, ssh("b.example"))
    await api.call("DELETE", LIST, params={"hostNamePattern": "git.example"})
    held = api.plane.kubectl.json("-n", api.namespace, "get", "configmap", "argocd-ssh-known-hosts-cm")
    assert held["data"]["ssh_known_hosts"] == (
        f"# ours\n@revoked x ssh-ed25519 {ED}\nb.example ssh-ed25519 {ED}\n"
    )


@pytest.mark.parametrize(
    ("verb", "body", "action"),
    [("GET", None, "get"), ("POST", {"items": []}, "create"), ("DELETE", None, "delete")],
)
async def test_rights(place: Place, verb: str, body: Any, action: str) -> None:
    answer = await place.dev.call(verb, LIST, body=body)
    assert answer.json["message"].startswith(says("dev", "certificates", action, ""))


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        *((good, True) for good in ("git.example", "10.0.0.1", "a.")),
        *((bad, False) for bad in ("", "-a", "a-", "a..b", "a_b", "a" * 64, "ä", "a b", "*.x")),
    ],
)
def test_host_names(text: str, valid: bool) -> None:
    assert is_host_name(text) is valid


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        (HostKey("h", "ssh-ed25519", ED), True),
        (HostKey("h", "ssh-ed25519", ED + " comment"), True),
        (HostKey("h", "ssh-rsa", ED), False),
        (HostKey("h", "ssh-ed25519", ED[:-8]), False),
        (HostKey("h", "ssh-ed25519", "?"), False),
        (HostKey("h", "ssh-ed25519", ""), False),
        (HostKey("h\nx", "ssh-ed25519", ED), False),
        (HostKey("h", "ssh-ed25519\nx y", ED), False),
    ],
)
def test_host_keys(key: HostKey, valid: bool) -> None:
    if valid:
        key.check()
        return
    with pytest.raises(InvalidHostKey):
        key.check()


def test_a_key_cannot_bring_a_second_line() -> None:
    key = HostKey("h", "ssh-ed25519", f"{ED}\nevil ssh-ed25519 {ED}")
    with pytest.raises(InvalidHostKey):
        key.check()
    assert KnownHosts("").entries == ()
