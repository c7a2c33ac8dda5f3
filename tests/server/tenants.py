"""Teams that know nothing of each other, on one running API.

Each :data:`TEAMS` word has a project, an Application with a Secret, an ApplicationSet, a repository (for
reading and for pushing), credential templates and a cluster; every name and URL of them has the word in
it, so whatever one team learns of another has that word, too. ``ghost`` is a team that does not exist: a
question about it must be answered as one about a team that the caller may not see.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.access.building import hashed
from tests.controlplane import ControlPlane
from tests.gitservers import GitRepo
from tests.server.running import Running, running

SERVER = "https://kubernetes.default.svc"
PASSWORD = "marmoset-login"
SECRET = "marmoset"
"""In everything that is to be kept: passwords, tokens, keys, Secrets."""

TEAMS = ("alpha", "bravo", "delta")
"""``alpha`` is the caller's own, ``bravo`` another's, ``delta`` is what the admin works on."""

GHOST = "ghost"
CALLERS = ("anna", "stranger")
RIGHTS = """
p, anna, applications, *, team-alpha/*, allow
p, anna, applicationsets, *, team-alpha/*, allow
p, anna, logs, get, team-alpha/*, allow
p, anna, repositories, *, team-alpha/*, allow
p, anna, write-repositories, *, team-alpha/*, allow
p, anna, clusters, *, team-alpha/*, allow
p, anna, projects, *, team-alpha, allow
"""
SETTINGS = {
    **{f"accounts.{name}": "login, apiKey" for name in (*CALLERS, *TEAMS)},
    "timeout.reconciliation": "0s",
    "statusbadge.enabled": "true",
}


def masks() -> tuple[str, ...]:
    """:data:`SECRET` as it is, and as it stands in base64 wherever it begins."""
    middle = [base64.b64encode(b"x" * begin + SECRET.encode()).decode()[4:-4] for begin in range(3)]
    return (SECRET, *middle)


class World(msgspec.Struct, eq=False):
    """See the module.

    Attributes:
        admin: may do everything; ``anna`` everything in ``team-alpha``; ``stranger`` nothing.
        folder: where the teams' repositories are.
        before: what ``bravo`` had when all was furnished.
    """

    admin: Running
    anna: Running
    stranger: Running
    folder: Path
    before: Any = None

    @property
    def nobody(self) -> Running:
        return self.admin.acting("")

    def names(self, word: str) -> dict[str, str]:
        """What stands for the placeholders of requests."""
        return {
            "w": word,
            "app": f"{word}-{os.getpid()}",
            "ns": self.admin.namespace,
            "dest": f"{self.admin.namespace}-{word}",
            "repo": f"file://{self.folder}/{word}",
            "url": f"https://{word}.example.org/",
        }

    async def stored(self, word: str) -> Any:
        """What a team has, as Kubernetes has it, without what the controllers write."""
        kinds = "applications.argoproj.io,applicationsets.argoproj.io,appprojects.argoproj.io,secrets"
        arguments = ("-n", self.admin.namespace, "get", kinds)
        listed = await asyncio.to_thread(self.admin.plane.kubectl.json, *arguments)
        found = [
            (each["kind"], each["metadata"], each.get("spec"), each.get("data"))
            for each in listed["items"]
            if word in each["metadata"]["name"]
        ]
        for _, metadata, *_ in found:
            metadata.get("annotations", {}).pop("told", None)
            del metadata["resourceVersion"]
            metadata.pop("managedFields", None)
            metadata.pop("generation", None)  # counts writes of the status, too
        return found


@asynccontextmanager
async def world(plane: ControlPlane, folder: Path, namespace: str) -> AsyncIterator[World]:
    """Start it; every team's Application is synced."""
    secret = {f"accounts.{name}.password": hashed(PASSWORD) for name in (*CALLERS, *TEAMS)}
    for word in (*TEAMS, GHOST):
        GitRepo(folder / word).commit({"one/all.yaml": _content(word)})
    async with running(
        plane,
        folder / "cache",
        namespace,
        settings=SETTINGS,
        rbac={"policy.csv": RIGHTS},
        secret=secret,
        flags={"--hydrator-enabled": "true"},
    ) as admin:
        tokens = [await admin.login(name, PASSWORD) for name in CALLERS]
        made = World(admin, *(admin.acting(token) for token in tokens), folder)
        try:
            await asyncio.to_thread(_furnish, made)
            for word in TEAMS:
                await _settle(made, word)
            await asyncio.to_thread(_drift, made)
            made.before = await made.stored("bravo")
            yield made
        finally:
            for word in TEAMS:
                name = made.names(word)["dest"]
                await asyncio.to_thread(plane.kubectl, "delete", "namespace", name, "--wait=false")


def _furnish(made: World) -> None:
    for word in TEAMS:
        made.admin.plane.kubectl("create", "namespace", made.names(word)["dest"])
    # kubectl apply leaves a copy of everything in an annotation, also of the credentials
    made.admin.apply(*(each for word in TEAMS for each in _objects(made.names(word))))
    made.admin.apply(_labelled("in-url", "repository", {"url": f"https://me:{SECRET}@in-url.invalid/x.git"}))


def _drift(made: World) -> None:
    """A live Secret that differs from its target, so that there is a diff to show."""
    place, patch = made.names("delta")["dest"], {"stringData": {"key": f"{SECRET}-changed"}}
    made.admin.plane.kubectl("-n", place, "patch", "secret", "delta-secret", "-p", json.dumps(patch))


async def _settle(made: World, word: str) -> None:
    app = made.names(word)["app"]
    await made.admin.until(f"/api/v1/projects/team-{word}", lambda answer: answer.status == 200)
    path = f"/api/v1/applications/{app}"
    await made.admin.until(path, lambda answer: answer.status == 200)
    answer = await made.admin.call("POST", f"{path}/sync", body={"prune": True})
    assert answer.status == 200, answer.text
    await made.admin.until(
        path,
        lambda answer: (
            answer.json.get("status", {}).get("sync", {}).get("status") == "Synced"
            and "operation" not in answer.json
            and bool(answer.json["status"].get("history"))
        ),
    )


def _content(word: str) -> str:
    """A Secret whose value is to be kept, also in what kubectl left on it, and a ConfigMap."""
    applied = json.dumps({"apiVersion": "v1", "kind": "Secret", "stringData": {"key": f"{SECRET}-{word}"}})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{word}-secret",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied},
        },
        "stringData": {"key": f"{SECRET}-of-{word}"},
    }
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{word}-map"}, "data": {"a": "1"}}
    return f"{json.dumps(secret)}\n---\n{json.dumps(plain)}\n"


def _objects(n: Mapping[str, str]) -> list[dict[str, Any]]:
    word = n["w"]
    project = {
        "sourceRepos": [n["repo"]],
        "destinations": [
            {"server": SERVER, "namespace": n["dest"]},
            {"server": SERVER, "namespace": n["ns"]},
        ],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        "roles": [
            {
                "name": "deploy",
                "policies": [f"p, proj:team-{word}:deploy, applications, get, team-{word}/*, allow"],
            }
        ],
        "syncWindows": [
            {
                "kind": "allow",
                "schedule": "* * * * *",
                "duration": "1h",
                "applications": ["*"],
                "manualSync": True,
            }
        ],
    }
    spec = {
        "project": f"team-{word}",
        "source": {"repoURL": n["repo"], "path": "one", "targetRevision": "main"},
        "destination": {"server": SERVER, "namespace": n["dest"]},
    }
    template = {"metadata": {"name": f"{word}-{{{{n}}}}"}, "spec": spec}
    appset = {"generators": [{"list": {"elements": []}}], "template": template}
    secrets = {
        "repository": {"url": n["repo"], "project": f"team-{word}", "username": word},
        "repository-write": {"url": n["repo"], "project": f"team-{word}", "username": word},
        "repo-creds": {"url": n["url"], "username": word},
        "repo-write-creds": {"url": n["url"], "username": word},
        "cluster": {
            "name": f"{word}-cluster",
            "server": f"https://{word}.invalid:6443",
            "project": f"team-{word}",
            "config": json.dumps({"bearerToken": f"{SECRET}-{word}", "tlsClientConfig": {"insecure": True}}),
        },
    }
    own = "argoproj.io/v1alpha1"
    return [
        {"apiVersion": own, "kind": "AppProject", "metadata": {"name": f"team-{word}"}, "spec": project},
        {"apiVersion": own, "kind": "Application", "metadata": {"name": n["app"]}, "spec": spec},
        {"apiVersion": own, "kind": "ApplicationSet", "metadata": {"name": f"{word}-set"}, "spec": appset},
        *(_labelled(word, kind, data) for kind, data in secrets.items()),
    ]


def _labelled(word: str, kind: str, data: Mapping[str, str]) -> dict[str, Any]:
    hidden = {} if kind == "cluster" else {"password": f"{SECRET}-{word}-{kind}"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{word}-{kind}", "labels": {"argocd.argoproj.io/secret-type": kind}},
        "stringData": {**data, **hidden},
    }
