"""Whose webhook, genuine or not, and what it says (sources.md 22.1, 22.3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from tiphys.server.webhooks.events import ArtifactPush, Event, Push, WebhookRefused
from tiphys.server.webhooks.payloads import event_of, provider_of

COMMITS = [{"added": ["a"], "modified": ["b", "a"], "removed": ["c"]}, {"modified": ["d"]}]
GITHUB: dict[str, Any] = {
    "ref": "refs/heads/feature/x",
    "before": "1" * 40,
    "after": "2" * 40,
    "repository": {"html_url": "https://github.com/org/repo", "default_branch": "main"},
    "commits": COMMITS,
}
GITLAB: dict[str, Any] = {
    "object_kind": "push",
    "ref": "refs/heads/main",
    "before": "1",
    "after": "2",
    "project": {"web_url": "https://gitlab.com/org/repo", "default_branch": "main"},
    "commits": COMMITS,
    "total_commits_count": 2,
}
AZURE: dict[str, Any] = {
    "eventType": "git.push",
    "resource": {
        "repository": {"remoteUrl": "https://dev.azure.com/o/p/_git/r", "defaultBranch": "refs/heads/main"},
        "refUpdates": [{"name": "refs/heads/main", "oldObjectId": "1", "newObjectId": "2"}],
    },
}
BITBUCKET: dict[str, Any] = {
    "repository": {
        "links": {"html": {"href": "https://bitbucket.org/org/repo"}},
        "full_name": "org/repo",
    },
    "push": {
        "changes": [{"new": {"name": "main", "target": {"hash": "2"}}, "old": {"target": {"hash": "1"}}}]
    },
}
STASH: dict[str, Any] = {
    "repository": {
        "links": {
            "clone": [
                {"name": "http", "href": "https://stash/scm/p/r.git"},
                {"name": "ssh", "href": "ssh://git@stash:7999/p/r.git"},
                {"name": "other", "href": "x"},
            ]
        }
    },
    "changes": [{"ref": {"id": "refs/heads/main"}}],
}
GHCR: dict[str, Any] = {
    "action": "published",
    "package": {
        "name": "chart",
        "namespace": "org",
        "package_type": "CONTAINER",
        "package_version": {"container_metadata": {"tag": {"name": "1.2.3"}}},
    },
}
HARBOR: dict[str, Any] = {
    "type": "PUSH_ARTIFACT",
    "event_data": {
        "repository": {"repo_full_name": "team/chart"},
        "resources": [{"tag": ""}, {"tag": "1.0.0", "resource_url": "harbor.example.com/team/chart:1.0.0"}],
    },
}


def github_push(**changes: Any) -> Push:
    known: dict[str, Any] = {
        "urls": ("https://github.com/org/repo",),
        "revision": "feature/x",
        "before": "1" * 40,
        "after": "2" * 40,
        "touches_default": False,
        "files": ("a", "b", "c", "d"),
    }
    return Push(**(known | changes))


@pytest.mark.parametrize(
    ("headers", "payload", "event"),
    [
        pytest.param({"x-github-event": "push"}, GITHUB, github_push(), id="github"),
        pytest.param(
            {"x-github-event": "push"},
            GITHUB | {"ref": "refs/heads/main"},
            github_push(revision="main", touches_default=True),
            id="github-default-branch",
        ),
        pytest.param(
            {"x-github-event": "push"}, GITHUB | {"forced": True}, github_push(files=None), id="github-forced"
        ),
        pytest.param({"x-github-event": "ping"}, {}, None, id="github-ping"),
        pytest.param({"x-gogs-event": "push", "x-github-event": "push"}, GITHUB, github_push(), id="gogs"),
        pytest.param(
            {"x-gitlab-event": "Push Hook"},
            GITLAB,
            Push(("https://gitlab.com/org/repo",), "main", "1", "2", True, ("a", "b", "c", "d")),
            id="gitlab",
        ),
        pytest.param(
            {"x-gitlab-event": "Push Hook"},
            GITLAB | {"total_commits_count": 21},
            Push(("https://gitlab.com/org/repo",), "main", "1", "2", True, None),
            id="gitlab-more-commits-than-told",
        ),
        pytest.param(
            {"x-gitlab-event": "Tag Push Hook"},
            GITLAB | {"ref": "refs/tags/v1"},
            Push(("https://gitlab.com/org/repo",), "v1", "1", "2", False, ("a", "b", "c", "d")),
            id="gitlab-tag",
        ),
        pytest.param(
            {"x-gitlab-event": "System Hook"}, {"object_kind": "project_create"}, None, id="gitlab-system"
        ),
        pytest.param(
            {"x-vss-activityid": "1"},
            AZURE,
            Push(("https://dev.azure.com/o/p/_git/r",), "main", "1", "2", True, None),
            id="azure",
        ),
        pytest.param(
            {"x-hook-uuid": "u", "x-event-key": "repo:push"},
            BITBUCKET,
            Push(("https://bitbucket.org/org/repo",), "main", "1", "2", True, None, "org/repo"),
            id="bitbucket",
        ),
        pytest.param(
            {"x-hook-uuid": "u", "x-event-key": "repo:push"},
            BITBUCKET | {"push": {"changes": [{"new": None, "old": {"name": "gone"}}]}},
            None,
            id="bitbucket-branch-deleted",
        ),
        pytest.param(
            {"x-event-key": "repo:refs_changed"},
            STASH,
            Push(("https://stash/scm/p/r.git", "ssh://git@stash:7999/p/r.git"), "main"),
            id="bitbucket-server",
        ),
        pytest.param({"x-event-key": "diagnostics:ping"}, {}, None, id="bitbucket-server-ping"),
        pytest.param(
            {"x-github-event": "package"}, GHCR, ArtifactPush("ghcr.io", "org/chart", "1.2.3"), id="ghcr"
        ),
        pytest.param({"x-github-event": "package"}, GHCR | {"action": "updated"}, None, id="ghcr-update"),
        pytest.param(
            {"authorization": "harbor-secret"},
            HARBOR,
            ArtifactPush("harbor.example.com", "team/chart", "1.0.0"),
            id="harbor",
        ),
        pytest.param({"authorization": "harbor-secret"}, {"type": "PULL_ARTIFACT"}, None, id="harbor-pull"),
    ],
)
def test_what_it_says(headers: dict[str, str], payload: Any, event: Event | None) -> None:
    provider = provider_of(headers, {"webhook.harbor.secret": "harbor-secret"})
    provider.verify(headers, json.dumps(payload).encode(), {})
    assert event_of(provider, headers, payload) == event


BODY = b'{"ref":"x"}'


def mac(secret: str) -> str:
    return hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


AZURE_SECRETS = {"webhook.azuredevops.username": "u", "webhook.azuredevops.password": "p"}


@pytest.mark.parametrize(
    ("headers", "secrets", "refused"),
    [
        pytest.param(
            {"x-github-event": "push", "x-hub-signature-256": "sha256=" + mac("s")},
            {"webhook.github.secret": "s"},
            None,
            id="github",
        ),
        pytest.param(
            {"x-github-event": "push", "x-hub-signature-256": "sha256=" + mac("other")},
            {"webhook.github.secret": "s"},
            (400, "Webhook processing failed"),
            id="github-wrong",
        ),
        pytest.param(
            {"x-github-event": "push"},
            {"webhook.github.secret": "s"},
            (400, "Webhook processing failed"),
            id="github-none",
        ),
        pytest.param(
            {"x-github-event": "package"}, {"webhook.github.secret": "s"}, (401, "Unauthorized"), id="ghcr"
        ),
        pytest.param(
            {"x-gogs-event": "push", "x-gogs-signature": mac("s")},
            {"webhook.gogs.secret": "s"},
            None,
            id="gogs",
        ),
        pytest.param(
            {"x-gitlab-event": "Push Hook", "x-gitlab-token": "s"},
            {"webhook.gitlab.secret": "s"},
            None,
            id="gitlab",
        ),
        pytest.param(
            {"x-gitlab-event": "Push Hook", "x-gitlab-token": "ü"},
            {"webhook.gitlab.secret": "s"},
            (400, "Webhook processing failed"),
            id="gitlab-wrong",
        ),
        pytest.param({"x-hook-uuid": "u"}, {"webhook.bitbucket.uuid": "u"}, None, id="bitbucket"),
        pytest.param(
            {"x-hook-uuid": "v"},
            {"webhook.bitbucket.uuid": "u"},
            (400, "Webhook processing failed"),
            id="bitbucket-wrong",
        ),
        pytest.param(
            {"x-event-key": "repo:refs_changed", "x-hub-signature": "sha256=" + mac("s")},
            {"webhook.bitbucketserver.secret": "s"},
            None,
            id="bitbucket-server",
        ),
        pytest.param(
            {"x-vss-activityid": "1", "authorization": basic("u", "p")}, AZURE_SECRETS, None, id="azure"
        ),
        pytest.param(
            {"x-vss-activityid": "1", "authorization": basic("u", "q")},
            AZURE_SECRETS,
            (400, "Webhook processing failed"),
            id="azure-wrong",
        ),
        pytest.param(
            {"x-vss-activityid": "1", "authorization": "Basic %%%"},
            AZURE_SECRETS,
            (400, "Webhook processing failed"),
            id="azure-no-base64",
        ),
    ],
)
def test_whether_it_is_genuine(
    headers: dict[str, str], secrets: dict[str, str], refused: tuple[int, str] | None
) -> None:
    provider = provider_of(headers, secrets)
    try:
        provider.verify(headers, BODY, secrets)
        found = None
    except WebhookRefused as error:
        found = (error.status, error.text)
    assert found == refused


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        pytest.param({}, {}, id="nobody"),
        pytest.param({"authorization": ""}, {"webhook.harbor.secret": ""}, id="harbor-without-secret"),
        pytest.param({"authorization": "x"}, {"webhook.harbor.secret": "y"}, id="harbor-wrong"),
    ],
)
def test_unknown_sender(headers: dict[str, str], secrets: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused, match="Unknown webhook event"):
        provider_of(headers, secrets)


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        pytest.param({"x-github-event": "push"}, [], id="a-list"),
        pytest.param({"x-github-event": "push"}, {"ref": 1, "repository": {"html_url": "x"}}, id="a-number"),
        pytest.param({"x-github-event": "push"}, {}, id="empty"),
        pytest.param({"x-github-event": "issues"}, GITHUB, id="another-event"),
        pytest.param({"x-gitlab-event": "Issue Hook"}, GITLAB, id="another-gitlab-event"),
        pytest.param({"x-hook-uuid": "u", "x-event-key": "pullrequest:created"}, {}, id="a-pull-request"),
    ],
)
def test_payloads_of_another_shape(headers: dict[str, str], payload: Any) -> None:
    with pytest.raises(WebhookRefused, match="Webhook processing failed"):
        event_of(provider_of(headers, {}), headers, payload)
