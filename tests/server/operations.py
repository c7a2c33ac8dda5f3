"""Every method of the API: a request about a team's things, and what api.md 7 says who is refused.

A request is one message in its JSON form, with placeholders of :meth:`World.names`; :func:`rest` and
:func:`proto` send it in the one way or the other.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tests.server.grpc.client import content, rpcs
from tiphys.resources.gojson import loads
from tiphys.resources.wire.codec import encode
from tiphys.server.api.rpc import Method, Route
from tiphys.server.openapi.declared import declared_methods

MASKED = "permission denied"
LIST = "shows nothing"
LOGIN = "for all who are logged in"
OPEN = "for all"


class Case(msgspec.Struct, frozen=True):
    """A method.

    Attributes:
        refusal: what a caller without any right hears: ``D resource, action, object`` in the detailed
            style, else one of the words above.
        done: statuses that the admin may get; other than 200 where it asks too much of the tests' world.
    """

    message: Mapping[str, Any]
    refusal: str
    done: tuple[int, ...] = (200,)


_APP = {"name": "{app}"}
_NODE = {
    "name": "{app}",
    "namespace": "{dest}",
    "resourceName": "{w}-map",
    "version": "v1",
    "group": "",
    "kind": "ConfigMap",
}
_SPEC = {
    "project": "team-{w}",
    "source": {"repoURL": "{repo}", "path": "one", "targetRevision": "main"},
    "destination": {"server": "https://kubernetes.default.svc", "namespace": "{dest}"},
}
_REVISION = {"name": "{app}", "revision": "main"}
_SET = {"name": "{w}-set"}
_NEW_SET = {
    "metadata": {"name": "{w}-new"},
    "spec": {
        "generators": [{"list": {"elements": []}}],
        "template": {"metadata": {"name": "x"}, "spec": _SPEC},
    },
}
_CLUSTER = {"id": {"type": "server", "value": "https://{w}.invalid:6443"}}
_NEW_CLUSTER = {
    "server": "https://{w}.invalid:6443",
    "name": "{w}-cluster",
    "project": "team-{w}",
    "config": {"bearerToken": "marmoset-sent"},
}
_PROJECT = {"metadata": {"name": "team-{w}"}, "spec": {"sourceRepos": ["*"]}}
_NEW_PROJECT = {"metadata": {"name": "team-{w}-new"}, "spec": {}}
_REPO = {"repo": "{repo}", "appProject": "team-{w}"}
_NEW_REPO = {"repo": "{repo}", "project": "team-{w}", "username": "me", "password": "marmoset-sent"}
_CREDS = {"url": "{url}", "username": "me", "password": "marmoset-sent"}
_HOST = {"hostNamePattern": "{w}.example.org"}
_KEY = {"keyID": "D56C4FCA57A46444"}
_TOKEN = {"project": "team-{w}", "role": "deploy"}

_APPLICATION: dict[str, Case] = {
    "List": Case({}, LIST),
    "Create": Case(
        {"application": {"metadata": {"name": "{app}-new"}, "spec": _SPEC}, "validate": False},
        "D applications, create, team-{w}/{app}-new",
    ),
    "Get": Case(_APP, MASKED),
    "Update": Case(
        {"application": {"metadata": {"name": "{app}"}, "spec": _SPEC}, "validate": False},
        "D applications, update, team-{w}/{app}",
    ),
    "UpdateSpec": Case({"name": "{app}", "spec": _SPEC, "validate": False}, MASKED),
    "Patch": Case(
        {"name": "{app}", "patch": '{"metadata":{"labels":{"a":"b"}}}', "patchType": "merge"}, MASKED
    ),
    "Sync": Case({"name": "{app}", "dryRun": True}, MASKED),
    "Rollback": Case({"name": "{app}", "id": 0}, MASKED, (200, 400)),
    "TerminateOperation": Case(_APP, MASKED, (200, 400)),
    "GetManifests": Case(_APP, MASKED),
    "GetManifestsWithFiles": Case({"query": {"name": "{app}", "checksum": "x"}}, MASKED, (400, 500)),
    "ManagedResources": Case({"applicationName": "{app}"}, MASKED),
    "ResourceTree": Case({"applicationName": "{app}"}, MASKED),
    "WatchResourceTree": Case({"applicationName": "{app}"}, MASKED),
    "Watch": Case({}, LIST),
    "ServerSideDiff": Case({"appName": "{app}"}, MASKED),
    "ListResourceEvents": Case(_APP, MASKED),
    "GetApplicationSyncWindows": Case(_APP, MASKED),
    "RevisionMetadata": Case(_REVISION, MASKED, (200, 400)),
    "RevisionChartDetails": Case(_REVISION, MASKED, (500,)),
    "GetOCIMetadata": Case(_REVISION, MASKED, (400, 500)),
    "GetResource": Case(_NODE, MASKED),
    "PatchResource": Case({**_NODE, "patch": "{}", "patchType": "application/merge-patch+json"}, MASKED),
    "ListResourceActions": Case(_NODE, MASKED),
    "RunResourceAction": Case({**_NODE, "action": "restart"}, MASKED, (400, 403, 404, 500)),
    "RunResourceActionV2": Case({**_NODE, "action": "restart"}, MASKED, (400, 403, 404, 500)),
    "PodLogs": Case({"name": "{app}", "namespace": "{dest}", "podName": "{w}-pod"}, MASKED),
    "ListLinks": Case(_APP, MASKED),
    "ListResourceLinks": Case(_NODE, MASKED),
    # Last: what is deleted is no part of the Application until it is compared again.
    "DeleteResource": Case(_NODE, MASKED),
    "Delete": Case(_APP, MASKED),
}

_APPSET: dict[str, Case] = {
    "List": Case({}, LIST),
    "Watch": Case({}, LIST),
    "Get": Case(_SET, "D applicationsets, get, {w}-set"),
    "ResourceTree": Case(_SET, "D applicationsets, get, {w}-set"),
    "ListResourceEvents": Case(_SET, "D applicationsets, get, {w}-set"),
    "Create": Case({"applicationset": _NEW_SET}, "D applicationsets, create, team-{w}/{w}-new"),
    "Generate": Case({"applicationSet": _NEW_SET}, "D applicationsets, create, team-{w}/{w}-new", (200, 501)),
    "Delete": Case(_SET, "D applicationsets, delete, {w}-set"),
}

_PROJECTS: dict[str, Case] = {
    "List": Case({}, LIST),
    "Create": Case({"project": _NEW_PROJECT}, "D projects, create, team-{w}-new"),
    "Update": Case({"project": _PROJECT}, "D projects, update, team-{w}", (200, 400)),
    "CreateToken": Case({**_TOKEN, "id": "one"}, "D projects, update, team-{w}"),
    "DeleteToken": Case({**_TOKEN, "iat": 0, "id": "one"}, "D projects, update, team-{w}"),
    "ListLinks": Case({"name": "team-{w}"}, "unauthorized access to project team-{w}"),
    **{
        name: Case({"name": "team-{w}"}, "D projects, get, team-{w}")
        for name in ("Get", "GetDetailedProject", "GetGlobalProjects", "ListEvents", "GetSyncWindowsState")
    },
    "Delete": Case({"name": "team-{w}"}, "D projects, delete, team-{w}", (200, 400)),
}

# No cluster of the tests' teams can be reached.
_CLUSTERS: dict[str, Case] = {
    "List": Case({}, LIST),
    "Create": Case(
        {"cluster": _NEW_CLUSTER}, "D clusters, create, team-{w}/https://{w}.invalid:6443", (500,)
    ),
    "Get": Case(_CLUSTER, MASKED),
    "Update": Case({**_CLUSTER, "cluster": _NEW_CLUSTER}, MASKED, (500,)),
    "RotateAuth": Case(_CLUSTER, MASKED, (400, 500)),
    "InvalidateCache": Case(_CLUSTER, MASKED),
    "Delete": Case(_CLUSTER, MASKED),
}


def _repositories(resource: str, word: str) -> dict[str, Case]:
    scoped = "team-{w}/{repo}"
    return {
        f"List{word}Repositories": Case({}, LIST),
        f"Get{word}": Case(_REPO, MASKED),
        f"Create{word}Repository": Case({"repo": _NEW_REPO}, f"D {resource}, create, {scoped}", (200, 400)),
        f"Update{word}Repository": Case({"repo": _NEW_REPO}, f"D {resource}, update, {scoped}"),
        f"Validate{word}Access": Case(
            {"repo": "{repo}", "project": "team-{w}"}, f"D {resource}, create, {scoped}"
        ),
        f"Delete{word}Repository": Case(_REPO, MASKED),
    }


_REPOSITORIES: dict[str, Case] = {
    "List": Case({}, LIST),
    "Create": Case({"repo": _NEW_REPO}, "D repositories, create, team-{w}/{repo}", (200, 400)),
    "Update": Case({"repo": _NEW_REPO}, "D repositories, update, team-{w}/{repo}"),
    "ListRefs": Case(_REPO, "D repositories, get, {repo}"),
    "ListOCITags": Case(_REPO, "D repositories, get, {repo}", (400, 500, 501)),
    "ListApps": Case({**_REPO, "appName": "{app}"}, "D repositories, get, {repo}"),
    "GetHelmCharts": Case(_REPO, "D repositories, get, {repo}", (400, 500, 501)),
    "GetAppDetails": Case(
        {"source": _SPEC["source"], "appName": "{app}", "appProject": "team-{w}"},
        "D repositories, get, {repo}",
    ),
    **_repositories("write-repositories", "Write"),
    **_repositories("repositories", ""),
    "Delete": Case(_REPO, MASKED, (200, 403)),
}
_REPOSITORIES["Get"] = Case(_REPO, MASKED)


def _templates(resource: str, word: str) -> dict[str, Case]:
    url = "{url}"
    return {
        f"List{word}RepositoryCredentials": Case({}, LIST),
        f"Create{word}RepositoryCredentials": Case(
            {"creds": _CREDS}, f"D {resource}, create, {url}", (200, 400)
        ),
        f"Update{word}RepositoryCredentials": Case({"creds": _CREDS}, f"D {resource}, update, {url}"),
        f"Delete{word}RepositoryCredentials": Case({"url": url}, f"D {resource}, delete, {url}"),
    }


_CERTIFICATE = {
    "serverName": "{w}.example.org",
    "certType": "ssh",
    "certSubType": "ed25519",
    "certData": "eHh4",
}

CASES: dict[str, Case] = {
    "/account.AccountService/CanI": Case(
        {"resource": "applications", "action": "get", "subresource": "team-{w}/{app}"}, LOGIN
    ),
    "/account.AccountService/ListAccounts": Case({}, LIST),
    "/account.AccountService/GetAccount": Case({"name": "{w}"}, "D accounts, get, {w}"),
    "/account.AccountService/UpdatePassword": Case(
        {"name": "{w}", "currentPassword": "marmoset-wrong", "newPassword": "marmoset-new"},
        "D accounts, update, {w}",
        (400,),
    ),
    "/account.AccountService/CreateToken": Case(
        {"name": "{w}", "id": "one", "expiresIn": 60}, "D accounts, update, {w}"
    ),
    "/account.AccountService/DeleteToken": Case({"name": "{w}", "id": "one"}, "D accounts, update, {w}"),
    "/session.SessionService/GetUserInfo": Case({}, OPEN),
    "/session.SessionService/Create": Case({"username": "{w}", "password": "marmoset-wrong"}, OPEN, (401,)),
    "/cluster.SettingsService/Get": Case({}, OPEN),
    "/cluster.SettingsService/GetPlugins": Case({}, LOGIN),
    "/version.VersionService/Version": Case({}, OPEN),
    **{f"/application.ApplicationService/{name}": case for name, case in _APPLICATION.items()},
    **{f"/applicationset.ApplicationSetService/{name}": case for name, case in _APPSET.items()},
    **{f"/cluster.ClusterService/{name}": case for name, case in _CLUSTERS.items()},
    **{f"/repository.RepositoryService/{name}": case for name, case in _REPOSITORIES.items()},
    **{
        f"/repocreds.RepoCredsService/{name}": case
        for resource, word in (("repositories", ""), ("write-repositories", "Write"))
        for name, case in _templates(resource, word).items()
    },
    "/certificate.CertificateService/ListCertificates": Case(_HOST, "D certificates, get, "),
    "/certificate.CertificateService/CreateCertificate": Case(
        {"certificates": {"items": [_CERTIFICATE]}}, "D certificates, create, ", (400, 500)
    ),
    "/certificate.CertificateService/DeleteCertificate": Case(_HOST, "D certificates, delete, "),
    "/gpgkey.GPGKeyService/List": Case({}, "D gpgkeys, get, "),
    "/gpgkey.GPGKeyService/Get": Case(_KEY, "D gpgkeys, get, ", (500,)),
    "/gpgkey.GPGKeyService/Create": Case({"publickey": {"keyData": "x"}}, "D gpgkeys, create, ", (400, 500)),
    "/gpgkey.GPGKeyService/Delete": Case(_KEY, "D gpgkeys, delete, ", (200, 404, 500)),
    **{
        f"/notification.NotificationService/List{name}": Case({}, LOGIN)
        for name in ("Triggers", "Services", "Templates")
    },
    **{f"/project.ProjectService/{name}": case for name, case in _PROJECTS.items()},
    "/session.SessionService/Delete": Case({}, OPEN),
}

METHODS: dict[str, Method] = {method.path: method for method in declared_methods()}


class Request(msgspec.Struct, frozen=True):
    """A request over REST."""

    verb: str
    path: str
    params: tuple[tuple[str, str], ...]
    body: Any


def message_of(case: Case, names: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """The message with the placeholders filled in, and top-level fields besides."""
    return {**_filled(case.message, names), **more}


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: _filled(item, names) for key, item in value.items()}
    return [_filled(item, names) for item in value] if isinstance(value, list | tuple) else value


def rest(route: Route, message: Mapping[str, Any]) -> Request:
    """The message on a route: what the path takes, the body, the rest in the query."""
    left = copy.deepcopy(dict(message))
    path = route.path
    for variable in re.findall(r"\{([^}]+)\}", path):
        name = variable.partition("=")[0]
        *outer, last = name.split(".")
        holder: Any = left
        for each in outer:
            holder = holder[each]
        value = str(holder[last])
        # A body that is one field keeps what the path has of it.
        if route.body in ("", "*") or route.body != name.split(".")[0]:
            del holder[last]
        safe = "/" if "=**" in variable else ""
        path = path.replace("{" + variable + "}", quote(value, safe=safe))
    if route.body == "*":
        return Request(route.verb, path, (), left)
    body = left.pop(route.body, None) if route.body else None
    return Request(route.verb, path, tuple(_flat(left)), body)


def reachable(route: Route, names: Mapping[str, str]) -> dict[str, str]:
    """The names as far as a route can have them: repositories to push to whose URL has slashes cannot be
    named in a path (api.md 1)."""
    if route.path.startswith("/api/v1/write-") and "{" in route.path:
        return {**names, "repo": names["w"], "url": names["w"]}
    return dict(names)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            found += [(prefix + key, each) for each in value]
        else:
            found.append((prefix + key, json.dumps(value) if not isinstance(value, str) else value))
    return found


def proto(method: Method, message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with the names of protobuf fields, for the gRPC client."""
    data = encode(loads(method.request, json.dumps(message).encode()))
    found: dict[str, Any] = content(rpcs()[method.path[1:]].request.FromString(data))
    return found
