"""Whose webhook it is, whether it is genuine, and what it says (sources.md 22.1, 22.3).

One :class:`Provider` for each sender, asked in the reference's order. An empty secret means that
nobody is checked, except for Harbor, which is known by its secret alone. Pure: headers and body in,
an :class:`Event` out, or None for what is genuine and means nothing to us (a ping, a tag deleted).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiphys.server.webhooks.events import ArtifactPush, Event, Push, WebhookRefused, failed

Headers = Mapping[str, str]
"""Names in lower case."""

Secrets = Mapping[str, str]
"""Key of argocd-secret → value, references resolved."""

Payload = Any


class Provider(msgspec.Struct, frozen=True):
    """One kind of sender.

    Attributes:
        claims: whether a request is this sender's.
        verify: raises WebhookRefused unless the body is genuine.
        read: what the payload says; raises LookupError, TypeError or WebhookRefused when it is not
            what the sender sends.
    """

    name: str
    claims: Callable[[Headers, Secrets], bool]
    verify: Callable[[Headers, bytes, Secrets], None]
    read: Callable[[Headers, Payload], Event | None]


def provider_of(headers: Headers, secrets: Secrets) -> Provider:
    """Whose webhook this is.

    Raises:
        WebhookRefused: nobody's.
    """
    for provider in PROVIDERS:
        if provider.claims(headers, secrets):
            return provider
    raise WebhookRefused(400, "Unknown webhook event")


def event_of(provider: Provider, headers: Headers, payload: Payload) -> Event | None:
    """What a genuine payload says.

    Raises:
        WebhookRefused: it does not have the shape it should have, or the event is not one of ours.
    """
    try:
        return provider.read(headers, payload)
    except (LookupError, TypeError, AttributeError, ValueError):
        raise failed() from None


def _same(one: str, two: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), two.encode("utf-8", "replace"))


def _signed(header: str, key: str, prefix: str) -> Callable[[Headers, bytes, Secrets], None]:
    def verify(headers: Headers, body: bytes, secrets: Secrets) -> None:
        secret = secrets.get(key, "")
        if secret:
            wanted = prefix + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            if not _same(headers.get(header, ""), wanted):
                raise failed()

    return verify


def _registry_signed(headers: Headers, body: bytes, secrets: Secrets) -> None:
    try:
        _signed("x-hub-signature-256", "webhook.github.secret", "sha256=")(headers, body, secrets)
    except WebhookRefused:
        raise WebhookRefused(401, "Unauthorized") from None


def _equal(header: str, key: str) -> Callable[[Headers, bytes, Secrets], None]:
    def verify(headers: Headers, body: bytes, secrets: Secrets) -> None:
        secret = secrets.get(key, "")
        if secret and not _same(headers.get(header, ""), secret):
            raise failed()

    return verify


def _azure_verified(headers: Headers, body: bytes, secrets: Secrets) -> None:
    user = secrets.get("webhook.azuredevops.username", "")
    password = secrets.get("webhook.azuredevops.password", "")
    if not user and not password:
        return
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        given = ""
    if scheme.lower() != "basic" or not _same(given, f"{user}:{password}"):
        raise failed()


def _branch(ref: str) -> str:
    """The part of a ref after its second slash."""
    parts = ref.split("/", 2)
    return parts[2] if len(parts) == 3 else ref


def _files(commits: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for commit in commits or ():
        for kind in ("added", "modified", "removed"):
            found.update(dict.fromkeys(commit.get(kind) or ()))
    return tuple(found)


def _github(headers: Headers, payload: Payload) -> Event | None:
    match headers.get("x-github-event"):
        case "ping":
            return None
        case "push":
            return _github_like(payload)
    raise failed()


def _github_like(payload: Payload) -> Push:
    repository, ref = payload["repository"], payload["ref"]
    # A forced push tells the new commits only, not what went with the old ones.
    complete = not payload.get("forced")
    return Push(
        urls=(repository["html_url"],),
        revision=_branch(ref),
        before=payload.get("before") or "",
        after=payload.get("after") or "",
        touches_default=_branch(ref) == repository.get("default_branch"),
        files=_files(payload.get("commits")) if complete else None,
    )


def _gogs(headers: Headers, payload: Payload) -> Event | None:
    if headers.get("x-gogs-event") != "push":
        raise failed()
    return _github_like(payload)


def _gitlab(headers: Headers, payload: Payload) -> Event | None:
    event = headers.get("x-gitlab-event")
    if event not in ("Push Hook", "Tag Push Hook", "System Hook"):
        raise failed()
    if event == "System Hook" and payload.get("object_kind") not in ("push", "tag_push"):
        return None
    project, commits = payload["project"], payload.get("commits") or ()
    complete = payload.get("total_commits_count", 0) <= len(commits)
    return Push(
        urls=(project["web_url"],),
        revision=_branch(payload["ref"]),
        before=payload.get("before") or "",
        after=payload.get("after") or "",
        touches_default=_branch(payload["ref"]) == project.get("default_branch"),
        files=_files(commits) if complete else None,
    )


def _azure(headers: Headers, payload: Payload) -> Event | None:
    if payload["eventType"] != "git.push":
        raise failed()
    resource = payload["resource"]
    update = resource["refUpdates"][0]
    return Push(
        urls=(resource["repository"]["remoteUrl"],),
        revision=_branch(update["name"]),
        before=update.get("oldObjectId") or "",
        after=update.get("newObjectId") or "",
        touches_default=update["name"] == resource["repository"].get("defaultBranch"),
    )


def _bitbucket(headers: Headers, payload: Payload) -> Event | None:
    if headers.get("x-event-key") != "repo:push":
        raise failed()
    change = payload["push"]["changes"][0]
    new, old = change.get("new"), change.get("old")
    if new is None:
        return None  # the branch was deleted
    return Push(
        urls=(payload["repository"]["links"]["html"]["href"],),
        revision=new["name"],
        before=((old or {}).get("target") or {}).get("hash") or "",
        after=(new.get("target") or {}).get("hash") or "",
        full_name=payload["repository"].get("full_name") or "",
    )


def _bitbucket_server(headers: Headers, payload: Payload) -> Event | None:
    match headers.get("x-event-key"):
        case "diagnostics:ping":
            return None
        case "repo:refs_changed":
            links = payload["repository"]["links"]["clone"]
            urls = tuple(link["href"] for link in links if link.get("name") in ("http", "ssh"))
            return Push(urls=urls, revision=_branch(payload["changes"][0]["ref"]["id"]))
    raise failed()


def _ghcr(headers: Headers, payload: Payload) -> Event | None:
    package = payload.get("package") or {}
    if payload.get("action") != "published" or str(package.get("package_type")).lower() != "container":
        return None
    tag = ((package.get("package_version") or {}).get("container_metadata") or {}).get("tag") or {}
    if not tag.get("name"):
        return None
    owner = package.get("namespace") or (package.get("owner") or {}).get("login") or ""
    return ArtifactPush("ghcr.io", f"{owner}/{package['name']}", tag["name"])


def _harbor(headers: Headers, payload: Payload) -> Event | None:
    if payload.get("type") != "PUSH_ARTIFACT":
        return None
    data = payload["event_data"]
    for resource in data.get("resources") or ():
        if resource.get("tag"):
            address = resource.get("resource_url") or ""
            host = urlsplit(address if "://" in address else f"//{address}").netloc
            return ArtifactPush(host, data["repository"]["repo_full_name"], resource["tag"])
    return None


def _has(header: str) -> Callable[[Headers, Secrets], bool]:
    return lambda headers, secrets: header in headers


def _is_harbor(headers: Headers, secrets: Secrets) -> bool:
    secret = secrets.get("webhook.harbor.secret", "")
    return bool(secret) and _same(headers.get("authorization", ""), secret)


def _nothing(headers: Headers, body: bytes, secrets: Secrets) -> None:
    return


PROVIDERS = (
    Provider("azuredevops", _has("x-vss-activityid"), _azure_verified, _azure),
    Provider("gogs", _has("x-gogs-event"), _signed("x-gogs-signature", "webhook.gogs.secret", ""), _gogs),
    Provider(
        "ghcr",
        lambda headers, secrets: headers.get("x-github-event") == "package",
        _registry_signed,
        _ghcr,
    ),
    Provider(
        "github",
        _has("x-github-event"),
        _signed("x-hub-signature-256", "webhook.github.secret", "sha256="),
        _github,
    ),
    Provider("gitlab", _has("x-gitlab-event"), _equal("x-gitlab-token", "webhook.gitlab.secret"), _gitlab),
    Provider("bitbucket", _has("x-hook-uuid"), _equal("x-hook-uuid", "webhook.bitbucket.uuid"), _bitbucket),
    Provider(
        "bitbucketserver",
        _has("x-event-key"),
        _signed("x-hub-signature", "webhook.bitbucketserver.secret", "sha256="),
        _bitbucket_server,
    ),
    Provider("harbor", _is_harbor, _nothing, _harbor),
)

SECRET_KEYS = (
    "webhook.azuredevops.username",
    "webhook.azuredevops.password",
    "webhook.gogs.secret",
    "webhook.github.secret",
    "webhook.gitlab.secret",
    "webhook.bitbucket.uuid",
    "webhook.bitbucketserver.secret",
    "webhook.harbor.secret",
)
