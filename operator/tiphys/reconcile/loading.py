"""The two halves of a comparison fetched and put together: the desired state, and the live one.

Looks, operations and deletions all come here; what fails is given back as conditions.
"""

import msgspec

from tiphys.compare.targets import TargetError
from tiphys.projects.impersonation import ImpersonationError
from tiphys.projects.validate import source_problems
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.clusters import ClusterHandle
from tiphys.reconcile.desired import Desired, DesiredRequest, DesiredStateError, UnverifiedSources
from tiphys.reconcile.local import LocalManifestError, local_desired
from tiphys.reconcile.pairs import Comparison, ComparisonInputs
from tiphys.reconcile.refresh import namespace_metadata_differs
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import IgnoreRuleError, Situation, rules_of
from tiphys.reconcile.syncing import client_for
from tiphys.reconcile.verifying import demanded
from tiphys.resources.application import ApplicationSource
from tiphys.sources.errors import SourceError


async def desired_request(
    situation: Situation,
    handle: ClusterHandle,
    *,
    sources: tuple[ApplicationSource, ...],
    revisions: tuple[str, ...],
    max_age: float | None,
    no_cache: bool,
) -> DesiredRequest:
    """What a desired state of a situation is made of."""
    return DesiredRequest(
        app=situation.app,
        instance=situation.instance,
        sources=sources,
        revisions=revisions,
        settings=situation.settings,
        tracking=situation.tracking,
        server=situation.cluster.server,
        discovery=await handle.client.discovery(),
        max_age=max_age,
        project=situation.project,
        no_cache=no_cache,
    )


async def desired_of(services: Services, request: DesiredRequest, manifests: tuple[str, ...]) -> Desired:
    """The desired state of the sources, or of the manifests of a local sync.

    Raises:
        LocalManifestError, DesiredStateError, TargetError.
    """
    return local_desired(request, manifests) if manifests else await services.desired.load(request)


async def load_desired(
    services: Services,
    situation: Situation,
    handle: ClusterHandle,
    *,
    sources: tuple[ApplicationSource, ...],
    revisions: tuple[str, ...],
    max_age: float | None,
    no_cache: bool,
    manifests: tuple[str, ...] = (),
) -> tuple[Desired | None, list[tuple[str, str]]]:
    """The desired state, or None with the condition that says why not.

    ``manifests`` are those of a local sync: they stand for what the sources would render.
    ``max_age``: seconds that the repository's last answer may be old; None: as long as its cycle.
    Nothing is loaded from where the project permits nothing: operations bring sources of their own, and
    what is being deleted was not looked at before.
    """
    if forbidden := source_problems(sources, situation.project):
        return None, [(kinds.INVALID_SPEC_ERROR, text) for text in forbidden]
    request = await desired_request(
        situation, handle, sources=sources, revisions=revisions, max_age=max_age, no_cache=no_cache
    )
    try:
        if manifests and any(demanded(request.project, request.settings, source) for source in sources):
            text = "Cannot use local manifests when source integrity is enforced"
            return None, [(kinds.COMPARISON_ERROR, text)]
        desired = await desired_of(services, request, manifests)
    except LocalManifestError as error:
        return None, [(kinds.COMPARISON_ERROR, f"Failed to load local manifests: {error}")]
    except UnverifiedSources as error:
        services.memory.first_error.pop(situation.app.key, None)
        return None, [(kinds.COMPARISON_ERROR, problem) for problem in error.problems]
    except SourceError as error:
        return None, [(kinds.COMPARISON_ERROR, f"Failed to load target state: {error}")]
    except DesiredStateError as error:
        if error.transient:
            services.memory.first_error.setdefault(situation.app.key, services.steady())
        else:
            services.memory.first_error.pop(situation.app.key, None)
        return None, [(kinds.COMPARISON_ERROR, f"Failed to load target state: {error}")]
    except TargetError as error:
        return None, [(kinds.COMPARISON_ERROR, f"Failed to normalize target state: {error}")]
    services.memory.first_error.pop(situation.app.key, None)
    return desired, []


async def compare_now(
    services: Services,
    situation: Situation,
    handle: ClusterHandle,
    desired: Desired | None,
    found: list[tuple[str, str]],
    *,
    no_cache: bool = False,
) -> Comparison:
    """Compare with the live state as the cache has it at this moment."""
    app, loaded = situation.app, desired
    try:
        rules = rules_of(services, situation, server_side_diff=services.options.server_side_diff)
    except IgnoreRuleError as error:
        text = f"Failed to compare desired state to live state: {error}"
        found = [*found, (kinds.COMPARISON_ERROR, text)]
        bare = msgspec.structs.replace(
            situation,
            app=msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, ignore_differences=())),
        )
        rules = rules_of(services, bare, server_side_diff=False)
        desired = None
    dry_runner = handle.client
    if rules.server_side_diff:
        # dry runs are made as whom the sync would write (sync.md 7)
        try:
            dry_runner = client_for(situation, handle, enforced=situation.settings.impersonation_enforced)
        except ImpersonationError as error:
            found, desired = [*found, (kinds.UNKNOWN_ERROR, str(error))], None
    comparison = await services.comparer.compare(
        ComparisonInputs(
            app=app,
            instance=situation.instance,
            project=situation.project,
            cluster=situation.cluster,
            client=handle.client,
            dry_runner=dry_runner,
            cache=handle.cache,
            desired=desired,
            rules=rules,
            tracking=situation.tracking,
            namespace_metadata_differs=namespace_metadata_differs(app),
            control_namespace=situation.settings.control_namespace,
            found=tuple(found),
            no_cache=no_cache,
            persist_health=services.options.persist_health,
        )
    )
    if loaded is None or desired is not None:
        return comparison
    # What could not be compared was loaded all the same.
    return msgspec.structs.replace(comparison, revisions=loaded.revisions, source_types=loaded.source_types)
