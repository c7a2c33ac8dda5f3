"""What a request to sync or roll back comes to: checks in their order, the operation, the audit text."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tiphys.resources.application import Application, decode, to_json
from tiphys.resources.messages.application import ApplicationRollbackRequest, ApplicationSyncRequest
from tiphys.resources.project import AppProject
from tiphys.resources.project import decode as decode_project
from tiphys.server.api.failures import ApiFailure, Code, permission_denied
from tiphys.server.services.applications.ordering import (
    Resolved,
    SyncRules,
    admit,
    order,
    order_rollback,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SHA = "a" * 40


def app(*, metadata: Any = None, status: Any = None, **spec: Any) -> Application:
    given = {"source": {"repoURL": "https://g/r", "path": "p", "targetRevision": "main"}, **spec}
    return decode(
        {
            "metadata": {"name": "web", "namespace": "argocd", **(metadata or {})},
            "spec": {"destination": {"server": "https://k"}, **given},
            "status": status or {},
        }
    )


def project(**spec: Any) -> AppProject:
    return decode_project({"metadata": {"name": "default"}, "spec": spec})


def request(**fields: Any) -> ApplicationSyncRequest:
    return msgspec.convert({"name": "web", **fields}, ApplicationSyncRequest)


def may(*actions: str) -> Callable[[str], None]:
    def enforce(action: str) -> None:
        if action not in actions:
            raise permission_denied(f"no {action}")

    return enforce


AUTOMATED = {"syncPolicy": {"automated": {}}}
SEVERAL = {
    "source": None,
    "sources": [
        {"repoURL": "https://g/a", "path": "p", "targetRevision": "main"},
        {"repoURL": "https://g/b", "chart": "c", "targetRevision": "1.*"},
    ],
}
CLOSED = {"syncWindows": [{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}]}
BROKEN = {"syncWindows": [{"kind": "deny", "schedule": "x", "duration": "1h", "applications": ["*"]}]}
SIGNED = {"signatureKeys": [{"keyID": "4AEE18F83AFDEB23"}]}
DELETING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}

Case = tuple[Application, AppProject, ApplicationSyncRequest, SyncRules, Callable[[str], None]]
RULES = SyncRules()
STRICT = SyncRules(override_for_revision=True)


@pytest.mark.parametrize(
    ("case", "code", "text"),
    [
        pytest.param(
            (app(), project(**CLOSED), request(), RULES, may()),
            Code.PERMISSION_DENIED,
            "cannot sync: blocked by sync window",
            id="2-window-before-rbac",
        ),
        pytest.param(
            (app(), project(**BROKEN), request(), RULES, may("sync")),
            Code.PERMISSION_DENIED,
            "cannot sync: invalid sync window: ",
            id="2-bad-window",
        ),
        pytest.param(
            (app(metadata=DELETING), project(), request(manifests=["{}"]), RULES, may()),
            Code.PERMISSION_DENIED,
            "no sync",
            id="3-rbac",
        ),
        pytest.param(
            (app(metadata=DELETING), project(), request(manifests=["{}"]), RULES, may("sync")),
            Code.PERMISSION_DENIED,
            "no override",
            id="4-local-needs-override",
        ),
        pytest.param(
            (
                app(metadata=DELETING, **AUTOMATED),
                project(),
                request(manifests=["{}"]),
                RULES,
                may("sync", "override"),
            ),
            Code.FAILED_PRECONDITION,
            "cannot use local sync when Automatic Sync Policy is enabled unless for dry run",
            id="4-local-and-automated",
        ),
        pytest.param(
            (app(metadata=DELETING), project(), request(revision="v1"), STRICT, may("sync")),
            Code.FAILED_PRECONDITION,
            "application is deleting",
            id="5-deleting",
        ),
        pytest.param(
            (app(**AUTOMATED), project(), request(revision="v1"), STRICT, may("sync")),
            Code.PERMISSION_DENIED,
            "no override",
            id="6-revision-needs-override",
        ),
        pytest.param(
            (app(**AUTOMATED), project(), request(revision="v1"), RULES, may("sync")),
            Code.FAILED_PRECONDITION,
            "Cannot sync to v1: auto-sync currently set to main",
            id="6-revision-and-automated",
        ),
        pytest.param(
            (
                app(**AUTOMATED, **SEVERAL),
                project(),
                request(sourcePositions=[2], revisions=["2.0.0"]),
                RULES,
                may("sync"),
            ),
            Code.FAILED_PRECONDITION,
            "Cannot sync source https://g/b to 2.0.0: auto-sync currently set to 1.*",
            id="6-revision-of-a-source-and-automated",
        ),
        pytest.param(
            (app(**SEVERAL), project(), request(sourcePositions=[3], revisions=["x"]), RULES, may("sync")),
            Code.UNKNOWN,
            "source position is out of range",
            id="6-position",
        ),
        pytest.param(
            (app(**SEVERAL), project(), request(sourcePositions=[0], revisions=["x"]), RULES, may("sync")),
            Code.UNKNOWN,
            "source position is out of range",
            id="6-position-zero",
        ),
        pytest.param(
            (app(**SEVERAL), project(), request(sourcePositions=[1]), RULES, may("sync")),
            Code.UNKNOWN,
            "source position is out of range",
            id="6-position-without-revision",
        ),
    ],
)
def test_a_sync_is_refused(case: Case, code: Code, text: str) -> None:
    with pytest.raises(ApiFailure) as failure:
        admit(*case, NOW)
    assert failure.value.code is code
    assert failure.value.message.startswith(text)


@pytest.mark.parametrize(
    ("application", "asked", "rules", "wanted"),
    [
        pytest.param(app(), request(), RULES, ["main"], id="the-spec's"),
        pytest.param(app(), request(revision="v1"), RULES, ["v1"], id="another"),
        pytest.param(app(**AUTOMATED), request(revision="main"), STRICT, ["main"], id="the-same-is-none"),
        pytest.param(app(**AUTOMATED), request(revision="v1", dryRun=True), RULES, ["v1"], id="dry-run"),
        pytest.param(
            app(source={"repoURL": "https://g/r", "path": "p"}, **AUTOMATED),
            request(revision="HEAD"),
            STRICT,
            ["HEAD"],
            id="HEAD-is-the-default",
        ),
        pytest.param(
            app(syncPolicy={"automated": {"enabled": False}}),
            request(revision="v1"),
            RULES,
            ["v1"],
            id="automation-switched-off",
        ),
        pytest.param(
            app(**SEVERAL),
            request(sourcePositions=[2], revisions=["2.0.0"]),
            RULES,
            ["main", "2.0.0"],
            id="positions-count-from-1",
        ),
    ],
)
def test_revisions_to_resolve(
    application: Application, asked: ApplicationSyncRequest, rules: SyncRules, wanted: list[str]
) -> None:
    found = admit(application, project(), asked, rules, may("sync"), NOW)
    assert [each.revision for each in found] == wanted  # api.md 8.2 "Sync" 6


def test_local_manifests_need_no_revision() -> None:
    found = admit(app(), project(), request(manifests=["{}"]), RULES, may("sync", "override"), NOW)
    assert found == ()


@pytest.mark.parametrize(
    ("given", "asked", "rules", "text"),
    [
        pytest.param(
            project(),
            request(syncOptions={"items": ["Replace=true"]}),
            SyncRules(replace_allowed=False),
            "sync with replace was disabled on the API Server level via the server configuration",
            id="7-replace",
        ),
        pytest.param(
            project(**SIGNED),
            request(manifests=["{}"]),
            RULES,
            "Cannot use local manifests when source integrity is enforced",
            id="8-integrity",
        ),
    ],
)
def test_an_admitted_sync_is_refused(
    given: AppProject, asked: ApplicationSyncRequest, rules: SyncRules, text: str
) -> None:
    with pytest.raises(ApiFailure) as failure:
        order(app(), given, asked, rules, (), "ada")
    assert (failure.value.code, failure.value.message) == (Code.FAILED_PRECONDITION, text)


SOURCE = {"repoURL": "https://g/r", "path": "p", "targetRevision": "main"}


@pytest.mark.parametrize(
    ("application", "asked", "resolved", "operation", "told"),
    [
        pytest.param(
            app(),
            request(prune=True, dryRun=True, strategy={"apply": {"force": True}}),
            [Resolved(SHA, f"main ({SHA})")],
            {
                "sync": {
                    "revision": SHA,
                    "prune": True,
                    "dryRun": True,
                    "syncStrategy": {"apply": {"force": True}},
                    "source": SOURCE,
                },
                "initiatedBy": {"username": "ada"},
                "retry": {},
            },
            f"initiated sync to main ({SHA})",
            id="one-source",
        ),
        pytest.param(
            app(syncPolicy={"syncOptions": ["A=true"], "retry": {"limit": 3}}),
            request(resources=[{"kind": "Job", "name": "j"}], infos=[{"name": "why", "value": "x"}]),
            [Resolved(SHA, SHA)],
            {
                "sync": {
                    "revision": SHA,
                    "resources": [{"kind": "Job", "name": "j"}],
                    "source": SOURCE,
                    "syncOptions": ["A=true"],
                },
                "initiatedBy": {"username": "ada"},
                "info": [{"name": "why", "value": "x"}],
                "retry": {"limit": 3},
            },
            f"initiated partial sync to {SHA}",
            id="options-and-retry-of-the-spec",
        ),
        pytest.param(
            app(syncPolicy={"syncOptions": ["A=true"], "retry": {"limit": 3}}),
            request(syncOptions={"items": []}, retryStrategy={"limit": 1}),
            [Resolved(SHA, SHA)],
            {
                "sync": {"revision": SHA, "source": SOURCE},
                "initiatedBy": {"username": "ada"},
                "retry": {"limit": 1},
            },
            f"initiated sync to {SHA}",
            id="the-request's-replace-the-spec's",
        ),
        pytest.param(
            app(**SEVERAL),
            request(),
            [Resolved(SHA, "main"), Resolved("1.2.3", "1.* (1.2.3)")],
            {
                "sync": {"revisions": [SHA, "1.2.3"], "sources": SEVERAL["sources"]},
                "initiatedBy": {"username": "ada"},
                "retry": {},
            },
            "initiated sync to main,1.* (1.2.3)",
            id="several-sources",
        ),
        pytest.param(
            app(),
            request(manifests=['{"kind":"X"}']),
            [],
            {
                "sync": {"source": SOURCE, "manifests": ['{"kind":"X"}']},
                "initiatedBy": {"username": "ada"},
                "retry": {},
            },
            "initiated sync locally",
            id="local",
        ),
    ],
)
def test_operations(
    application: Application,
    asked: ApplicationSyncRequest,
    resolved: list[Resolved],
    operation: dict[str, Any],
    told: str,
) -> None:
    ordered = order(application, project(), asked, RULES, resolved, "ada")
    assert to_json(ordered.operation) == operation  # api.md 8.2 "Operation written"
    assert ordered.told == told


HISTORY = [
    {"id": 0, "revision": "old", "deployedAt": "2026-01-01T00:00:00Z", "source": {"repoURL": ""}},
    {"id": 4, "revision": SHA, "deployedAt": "2026-01-02T00:00:00Z", "source": SOURCE},
]


def rollback(number: int | None) -> ApplicationRollbackRequest:
    return ApplicationRollbackRequest(name="web", id=number, prune=True)


@pytest.mark.parametrize(
    ("application", "number", "code", "text"),
    [
        pytest.param(
            app(metadata=DELETING, **AUTOMATED),
            4,
            Code.FAILED_PRECONDITION,
            "application is deleting",
            id="deleting",
        ),
        pytest.param(
            app(**AUTOMATED),
            9,
            Code.FAILED_PRECONDITION,
            "rollback cannot be initiated when auto-sync is enabled",
            id="automated",
        ),
        pytest.param(
            app(status={"history": HISTORY}),
            9,
            Code.INVALID_ARGUMENT,
            "application argocd/web does not have deployment with id 9",
            id="no-such-deployment",
        ),
        pytest.param(
            app(status={"history": HISTORY}),
            None,
            Code.FAILED_PRECONDITION,
            "cannot rollback to revision deployed with Argo CD v0.11 or lower. sync to revision instead.",
            id="too-old",
        ),
    ],
)
def test_a_rollback_is_refused(application: Application, number: int | None, code: Code, text: str) -> None:
    with pytest.raises(ApiFailure) as failure:
        order_rollback(application, rollback(number), "ada")
    assert (failure.value.code, failure.value.message) == (code, text)


def test_a_rollback_brings_back_a_deployment_without_hooks() -> None:
    given = app(status={"history": HISTORY}, syncPolicy={"syncOptions": ["A=true"], "retry": {"limit": 3}})
    ordered = order_rollback(given, rollback(4), "ada")
    assert to_json(ordered.operation) == {
        "sync": {
            "revision": SHA,
            "prune": True,
            "syncStrategy": {"apply": {}},
            "source": SOURCE,
            "syncOptions": ["A=true"],
        },
        "initiatedBy": {"username": "ada"},
        "retry": {},
    }
    assert ordered.told == "initiated rollback to 4"
