"""Git over HTTPS and SSH with credentials from labelled Secrets, and every kind of revision."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.installation import Operator
from tests.e2e.installed import put_secret, secret, setting
from tests.e2e.story import Story, conditions, config_map
from tests.gitservers import Authority, HttpGitServer, SshGitServer

PASSWORD = "correct-horse-battery"
TOKEN = "tok-0123456789abcdef"


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def served(story: Story, server: HttpGitServer) -> str:
    return f"{server.url}/{story.repository.name}"


def test_https_with_user_and_password_and_an_own_authority(
    story: Story, cleanup: ExitStack, operator: Operator
) -> None:
    authority = Authority()
    server = cleanup.enter_context(
        HttpGitServer(story.repository.parent, basic=("ada", PASSWORD), authority=authority)
    )
    url = served(story, server)
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application(source={"repoURL": url}, syncPolicy=story.automated())
    story.wait_condition("ComparisonError", "Failed to load target state")
    # trust the authority: now the server wants to know who we are
    cleanup.enter_context(setting(story.kubectl, {"localhost": authority.pem}, name="argocd-tls-certs-cm"))
    story.wait_condition("ComparisonError", "authentication required")
    name = "repository-basic"
    cleanup.callback(story.kubectl, "delete", "secret", name, "-n", "argocd", "--ignore-not-found")
    put_secret(
        story.kubectl, name, "repository", {"url": url, "username": "ada", "password": "wrong-password"}
    )
    story.wait("tried again", lambda app: any("Basic " in each for each in server.seen_authorization))
    story.wait_condition("ComparisonError", "authentication")
    put_secret(story.kubectl, name, "repository", {"url": url, "username": "ada", "password": PASSWORD})
    app = story.wait_synced(revision)
    assert not conditions(app)
    # rotated: the old password is refused from now on
    server.basic = ("ada", "another-password-9")
    revision = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    story.refresh()  # a user who asks is told at once; polls wait for the grace period
    story.wait_condition("ComparisonError", "authentication")
    put_secret(
        story.kubectl, name, "repository", {"url": url, "username": "ada", "password": "another-password-9"}
    )
    story.wait_synced(revision)
    # removed: who reads the repository then is nobody
    story.kubectl("delete", "secret", name, "-n", "argocd")
    story.refresh()
    story.wait_condition("ComparisonError", "authentication required")
    text = json.dumps(story.get()) + operator.program.log_file.read_text()
    for each in (PASSWORD, "wrong-password", "another-password-9"):
        assert each not in text


def test_a_token_from_a_credential_template(story: Story, cleanup: ExitStack) -> None:
    authority = Authority()
    server = cleanup.enter_context(HttpGitServer(story.repository.parent, bearer=TOKEN, authority=authority))
    cleanup.enter_context(setting(story.kubectl, {"localhost": authority.pem}, name="argocd-tls-certs-cm"))
    template = {"url": server.url, "bearerToken": TOKEN}
    cleanup.enter_context(secret(story.kubectl, "creds-token", "repo-creds", template))
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application(source={"repoURL": served(story, server)}, syncPolicy=story.automated())
    story.wait_synced(revision)
    assert f"Bearer {TOKEN}" in server.seen_authorization


def test_ssh_with_a_key_and_known_hosts(story: Story, cleanup: ExitStack, tmp_path: Path) -> None:
    server = cleanup.enter_context(SshGitServer(tmp_path / "ssh"))
    url = server.url(story.repository)
    known = "argocd-ssh-known-hosts-cm"
    revision = story.commit({"app/one.yaml": config_map("one")})
    repository = {"url": url, "sshPrivateKey": server.private_key}
    cleanup.enter_context(secret(story.kubectl, "repository-ssh", "repository", repository))
    cleanup.enter_context(setting(story.kubectl, {"ssh_known_hosts": server.other_known_hosts}, name=known))
    story.create_application(source={"repoURL": url}, syncPolicy=story.automated())
    story.wait_condition("ComparisonError", "Failed to load target state")
    with setting(story.kubectl, {"ssh_known_hosts": server.known_hosts}, name=known):
        story.wait_synced(revision)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("main", "second"),
        ("HEAD", "second"),
        ("side", "side"),
        ("v1.0.0", "first"),
        ("v2.0.0", "second"),
        ("1.*", "newest-1"),
        (">=1.0.0 <2.0.0", "newest-1"),
        ("~1.0", "newest-1-0"),
        ("*", "second"),
        ("commit", "first"),
        ("refs/heads/side", "side"),
    ],
)
def test_revisions(story: Story, target: str, expected: str) -> None:
    """sources.md 14: branch, tag (plain and annotated), commit, HEAD, ranges."""
    commits = {"first": story.commit({"app/one.yaml": config_map("one", {"key": "first"})})}
    story.git("tag", "v1.0.0")
    commits["newest-1-0"] = story.commit({"app/one.yaml": config_map("one", {"key": "newest-1-0"})})
    story.git("tag", "v1.0.3")
    commits["newest-1"] = story.commit({"app/one.yaml": config_map("one", {"key": "newest-1"})})
    story.git("tag", "-a", "-m", "release", "v1.2.0")
    story.git("checkout", "-q", "-b", "side")
    commits["side"] = story.commit({"app/one.yaml": config_map("one", {"key": "side"})})
    story.git("checkout", "-q", "main")
    commits["second"] = story.commit({"app/one.yaml": config_map("one", {"key": "second"})})
    story.git("tag", "-a", "-m", "release", "v2.0.0")
    if target == "commit":
        target = commits["first"]
    story.create_application(source={"targetRevision": target}, syncPolicy=story.automated())
    app = story.wait_synced(commits[expected])
    found = story.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"key": expected}
    assert app["status"]["sync"]["comparedTo"]["source"]["targetRevision"] == target


def test_a_branch_moves_and_a_tag_does_not(story: Story) -> None:
    first = story.commit({"app/one.yaml": config_map("one")})
    story.git("tag", "v1.0.0")
    pinned = f"{story.name}-pinned"
    story.create_application(syncPolicy=story.automated())
    story.create_application(pinned, source={"targetRevision": "v1.0.0"}, destination=other_namespace(story))
    story.wait_synced(first)
    second = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    story.refresh()
    story.wait_synced(second)
    assert story.get(pinned)["status"]["sync"]["revision"] == first


def other_namespace(story: Story) -> dict[str, Any]:
    return {"server": "https://kubernetes.default.svc", "namespace": "default"}


def test_one_answer_serves_all_applications_of_a_repository(story: Story, cleanup: ExitStack) -> None:
    server = cleanup.enter_context(HttpGitServer(story.repository.parent))
    cleanup.enter_context(setting(story.kubectl, {"timeout.reconciliation": "1h"}))
    names = [f"{story.name}-{number}" for number in range(5)]
    story.commit({f"{name}/one.yaml": config_map(name) for name in names})
    for name in names:
        story.create_application(name, source={"repoURL": served(story, server), "path": name})
    for name in names:
        story.wait("compared", lambda app: app.get("status", {}).get("sync"), name=name)
    begun = time.monotonic()
    asked = [each for each in server.requests if "info/refs" in each]
    assert len(asked) <= 4, f"{asked} within {time.monotonic() - begun:.0f} s"
