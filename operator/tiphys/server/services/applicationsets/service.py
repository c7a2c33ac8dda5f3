"""ApplicationSetService: the methods apart from the stream (api.md 9; applicationset.md 26).

Rights are on the project of the template. A set that the caller may not touch is answered as one that
does not exist. What a set would generate is not known here yet: ``Generate`` and ``dryRun`` say so after
all their checks.
"""

from tiphys.kube.errors import AlreadyExists, ApiError, NotFound
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.applicationset import ApplicationSet, ApplicationSetList, decode
from tiphys.resources.gojson import dumps
from tiphys.resources.identity import AppKey
from tiphys.resources.messages.applicationset import (
    ApplicationSetCreateRequest,
    ApplicationSetDeleteRequest,
    ApplicationSetGenerateRequest,
    ApplicationSetGenerateResponse,
    ApplicationSetGetQuery,
    ApplicationSetListQuery,
    ApplicationSetResponse,
    ApplicationSetTreeQuery,
)
from tiphys.resources.messages.events import EventList
from tiphys.resources.messages.trees import ApplicationSetTree, ResourceNode, ResourceRef
from tiphys.resources.meta import ListMeta
from tiphys.resources.wire.codec import encode
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import (
    ApiFailure,
    failure_of,
    invalid_argument,
    not_found,
    permission_denied,
    unimplemented,
    unknown,
)
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard, app_object, refusal
from tiphys.server.services.applicationsets import rules
from tiphys.server.services.applicationsets.watching import (
    ApplicationSetWatching,
    project_of,
    rbac_object,
    read_selector,
)
from tiphys.server.services.applicationsets.writing import APPLICATION_SET, AppSets
from tiphys.server.services.events import CREATED, DELETED, UPDATED, AuditLog
from tiphys.server.services.events_listing import events_of
from tiphys.server.state import State
from tiphys.server.streams.fanout import FanOut
from tiphys.server.streams.fragments import Codec, Fragments

PATH = "/api/v1/applicationsets"
_NOT_READ = "error getting ApplicationSet: applicationset.argoproj.io"
_NOT_DELETED = "error getting ApplicationSets: applicationsets.argoproj.io"
NOT_YET = "generating Applications comes with the ApplicationSet controller, which is not there yet"


def applicationset_services(state: State, guard: Guard, audit: AuditLog) -> tuple[object, ...]:
    """All methods of ApplicationSetService."""
    fragments: Fragments[ApplicationSet] = Fragments(state.appsets, Codec(dumps, encode))
    feed = FanOut(state.appsets, fragments, "applicationSet")
    return (ApplicationSetService(state, guard, audit), ApplicationSetWatching(state, guard, feed))


class ApplicationSetService:
    """See the module."""

    package, service = "applicationset", "ApplicationSetService"

    def __init__(self, state: State, guard: Guard, audit: AuditLog):
        self._state = state
        self._guard = guard
        self._audit = audit
        self._appsets = AppSets(state)

    # Reading

    @rpc("List", Route("GET", PATH))
    async def list(self, call: Call, request: ApplicationSetListQuery) -> ApplicationSetList:
        """The sets that the caller may read, by name."""
        selector = read_selector(request.selector, "error parsing the selector: ")
        permitted = self._guard.permits(call, "applicationsets", "get")
        projects, control = frozenset(request.projects), self._state.namespace
        found = [
            appset
            for appset in self._state.appsets
            if request.appset_namespace in ("", appset.metadata.namespace)
            and (not projects or project_of(appset) in projects)
            and selector.matches(appset.metadata.labels)
            and is_namespace_enabled(appset.metadata.namespace, self._state.settings)
            and permitted(rbac_object(appset, control))
        ]
        found.sort(key=lambda appset: (appset.metadata.name, appset.metadata.namespace))
        newest = str(self._state.appsets.newest)
        return ApplicationSetList(metadata=ListMeta(resource_version=newest), items=tuple(found))

    @rpc("Get", Route("GET", f"{PATH}/{{name}}"))
    async def get(self, call: Call, request: ApplicationSetGetQuery) -> ApplicationSet:
        """One set."""
        return self._reach(call, request.name, request.appset_namespace)

    @rpc("ResourceTree", Route("GET", f"{PATH}/{{name}}/resource-tree"))
    async def resource_tree(self, call: Call, request: ApplicationSetTreeQuery) -> ApplicationSetTree:
        """The Applications of a set, as its status names them."""
        return tree_of(self._reach(call, request.name, request.appset_namespace))

    @rpc("ListResourceEvents", Route("GET", f"{PATH}/{{name}}/events"))
    async def list_resource_events(self, call: Call, request: ApplicationSetGetQuery) -> EventList:
        """Kubernetes Events about a set."""
        appset = self._reach(call, request.name, request.appset_namespace)
        return await events_of(self._state.client, appset.metadata)

    # Writing

    @rpc("Create", Route("POST", PATH, "applicationset"))
    async def create(self, call: Call, request: ApplicationSetCreateRequest) -> ApplicationSet:
        """A new set; the same once more is no error, another one needs ``upsert``."""
        appset, namespace = await self._admitted(call, request.applicationset)
        if request.dry_run:
            raise unimplemented(NOT_YET)
        try:
            created = await self._appsets.create(appset, namespace)
        except AlreadyExists:
            return await self._create_again(call, appset, namespace, upsert=request.upsert)
        except ApiError as error:
            raise _wrapped(error, "error creating ApplicationSet") from None
        self._audit.applicationset(call, created, CREATED, "created ApplicationSet")
        return created

    async def _create_again(
        self, call: Call, appset: ApplicationSet, namespace: str, *, upsert: bool
    ) -> ApplicationSet:
        manifest = await self._appsets.read(AppKey(namespace, appset.metadata.name))
        stored = decode(manifest)
        if rules.is_same(stored, appset):
            return stored
        if not upsert:
            raise invalid_argument(
                "existing ApplicationSet spec is different, use upsert flag to force update"
            )
        control = self._state.namespace
        self._guard.enforce(call, "applicationsets", "update", rbac_object(appset, control, namespace))
        if project_of(stored) != project_of(appset):
            # Whose the other set is, is told to those who know it.
            known = self._guard.allows(call, "applicationsets", "get", rbac_object(stored, control))
            enforce = self._guard.enforce if known else self._guard.enforce_masked
            enforce(call, "applicationsets", "update", rbac_object(stored, control))
        updated = await self._appsets.merge(manifest, appset)
        self._audit.applicationset(call, updated, UPDATED, "updated ApplicationSets spec")
        return updated

    @rpc("Generate", Route("POST", f"{PATH}/generate", "*"))
    async def generate(
        self, call: Call, request: ApplicationSetGenerateRequest
    ) -> ApplicationSetGenerateResponse:
        """What a set would generate; nothing is stored."""
        await self._admitted(call, request.application_set)
        raise unimplemented(NOT_YET)

    @rpc("Delete", Route("DELETE", f"{PATH}/{{name}}"))
    async def delete(self, call: Call, request: ApplicationSetDeleteRequest) -> ApplicationSetResponse:
        """Delete a set."""
        key = AppKey(request.appset_namespace or self._state.namespace, request.name)
        try:
            appset = decode(await self._appsets.read(key))
        except NotFound:
            raise self._absent(call, "delete", key, _NOT_DELETED) from None
        name = rbac_object(appset, self._state.namespace)
        if not self._guard.allows(call, "applicationsets", "delete", name):
            raise self._absent(call, "delete", key, _NOT_DELETED)
        await self._appsets.delete(appset)
        self._audit.applicationset(call, appset, DELETED, "deleted ApplicationSets")
        return ApplicationSetResponse()

    # Checks

    def _reach(self, call: Call, name: str, namespace: str) -> ApplicationSet:
        """A set that the caller may read.

        Raises:
            ApiFailure: the namespace does not count, there is no such set, or the right is missing.
        """
        namespace = namespace or self._state.namespace
        self._enabled(namespace)
        key, control = AppKey(namespace, name), self._state.namespace
        appset = self._state.appsets.get(key)
        if appset is None or not self._guard.allows(
            call, "applicationsets", "get", rbac_object(appset, control)
        ):
            raise self._absent(call, "get", key, _NOT_READ)
        return appset

    def _absent(self, call: Call, action: str, key: AppKey, text: str) -> ApiFailure:
        """What is said of a set that is not there or not the caller's: that it is not there, to who could
        have a set of this name in some project; everybody else is refused. Neither names its project."""
        permits = self._guard.permits(call, "applicationsets", action)
        control = self._state.namespace
        if any(
            permits(app_object(project.name, key.namespace, key.name, control))
            for project in self._state.projects
        ):
            return not_found(f'{text} "{key.name}" not found')
        return permission_denied(refusal(call.identity, "applicationsets", action, key.name))

    async def _admitted(self, call: Call, appset: ApplicationSet | None) -> tuple[ApplicationSet, str]:
        """A set that may be created by the caller, and its namespace."""
        if appset is None:
            raise unknown("error creating ApplicationSets: ApplicationSets is nil in request")
        rules.validate(appset)
        control = self._state.namespace
        namespace = appset.metadata.namespace or control
        self._enabled(namespace)
        self._guard.enforce(call, "applicationsets", "create", rbac_object(appset, control, namespace))
        project = appset.spec.template.spec.project
        if self._state.projects.get(AppKey(control, project)) is None:
            raise invalid_argument(f"ApplicationSet references project {project} which does not exist")
        return appset, namespace

    def _enabled(self, namespace: str) -> None:
        if not is_namespace_enabled(namespace, self._state.settings):
            raise unknown(f"namespace '{namespace}' is not permitted")


def tree_of(appset: ApplicationSet) -> ApplicationSetTree:
    """A node for each Application of the status, all children of the set (pure)."""
    metadata = appset.metadata
    parent = ResourceRef(
        group=APPLICATION_SET.group,
        version=APPLICATION_SET.version,
        kind=APPLICATION_SET.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
    )
    nodes = [
        ResourceNode(
            group=each.group,
            version=each.version,
            kind=each.kind,
            namespace=metadata.namespace,
            name=each.name,
            parent_refs=(parent,),
            health=each.health,
        )
        for each in appset.status.resources
    ]
    nodes.sort(key=lambda node: f"{node.group}/{node.kind}/{node.namespace}/{node.name}")
    return ApplicationSetTree(nodes=tuple(nodes))


def _wrapped(error: ApiError, prefix: str) -> ApiFailure:
    failure = failure_of(error)
    return ApiFailure(failure.code, f"{prefix}: {failure.message}")
