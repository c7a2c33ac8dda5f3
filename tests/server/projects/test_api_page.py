"""The command lines of ``docs/api.md``, run as they stand there."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from demo.repository import Repository
from tests.server.running import Running

PAGE = Path(__file__).resolve().parents[3] / "docs" / "api.md"
SECONDS = 120.0
SEPARATOR = "--- next ---"


def blocks() -> dict[str, str]:
    """The commands under each heading, numbered where a heading has several."""
    found: dict[str, str] = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE):
        heading = part.partition("\n")[0].lstrip("# ")
        for number, block in enumerate(re.findall(r"```sh\n(.*?)```", part, flags=re.DOTALL)):
            found[f"{heading} ({number})" if number else heading] = block
    return found


async def run(script: str, environment: dict[str, str], folder: Path) -> list[str]:
    """What a shell prints, block by block."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-uc",
        script,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            told, _ = await shell.communicate()
    except TimeoutError:
        shell.kill()
        raise
    return told.decode().split(SEPARATOR)


def objects(text: str) -> list[Any]:
    """The JSON objects that follow each other in a text; other lines are left out."""
    found, decoder, at = [], json.JSONDecoder(), text.find("{")
    while at >= 0:
        value, end = decoder.raw_decode(text, at)
        found.append(value)
        at = text.find("{", end)
    return found


@pytest.mark.controlplane
async def test_the_page_is_true(api: Running, tmp_path: Path) -> None:
    repository = await asyncio.to_thread(Repository.create, tmp_path / "repository")
    commands = blocks()
    place = f"{api.namespace}-guestbook"
    script = f"\necho '{SEPARATOR}'\n".join(commands.values())
    for written, here in (
        ("https://argocd.example.com", api.base),
        ("https://git.example.com/team/guestbook.git", repository.url),
        ("-n argocd", f"-n {api.namespace}"),
        ('"namespace": "guestbook"', f'"namespace": "{place}"'),
    ):
        assert written in script, written
        script = script.replace(written, here)
    environment = {
        "PATH": f"{api.plane.bin}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(api.plane.kubeconfig),
    }
    try:
        texts = await run(script, environment, tmp_path)
    finally:
        await asyncio.to_thread(
            api.plane.kubectl, "delete", "namespace", place, "--wait=false", "--ignore-not-found"
        )
    told = {heading: objects(text) for heading, text in zip(commands, texts, strict=True)}
    assert not [heading for heading, answers in told.items() if any("code" in each for each in answers)], told

    (token,) = told["2. A token for a program"]
    ada = api.acting(token["token"])
    assert (await ada.get("/api/v1/session/userinfo")).json["username"] == "ci"
    assert told["3. Create an application"][0]["metadata"]["name"] == "guestbook"
    (listed,) = told["4. List applications"]
    assert [each["metadata"] for each in listed["items"]] == [{"name": "guestbook"}]
    (compared,) = told["5. One application, compared now"]
    assert compared["status"]["sync"]["status"] == "OutOfSync"
    assert told["6. Sync"][0]["operation"]["sync"]["prune"] is True
    assert told["7. Wait for it (1)"][0]["result"]["application"]["metadata"]["name"] == "guestbook"
    tree, events = told["8. What it deployed"]
    assert "Deployment" in {node["kind"] for node in tree["nodes"]}
    assert "OperationCompleted" in {event["reason"] for event in events["items"]}
    assert told["9. Roll back"][0]["metadata"]["name"] == "guestbook"
    assert told["10. Delete"] == [{}]
    cluster, project, answer = told["Also often used"]
    assert cluster["server"] == "https://kubernetes.default.svc"
    assert project["project"]["metadata"]["name"] == "default"
    assert answer == {"value": "yes"}
