"""``RevisionMetadata``, ``RevisionChartDetails``, ``GetOCIMetadata``: what is known of a revision."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.reconcile.verifying import integrity_of
from tiphys.resources.application import ApplicationSource
from tiphys.resources.messages.application import RevisionMetadataQuery
from tiphys.resources.messages.revisions import (
    ChartDetails,
    CommitMetadata,
    OCIMetadata,
    RevisionMetadata,
    RevisionReference,
)
from tiphys.resources.times import Timestamp
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unimplemented, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.access import Reached
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.applications.resources.sourcing import repository_of, source_of
from tiphys.server.state import State
from tiphys.sources.render.request import RenderRequest
from tiphys.sources.yamlgo import YamlError, load_value

_PATH = "/api/v1/applications/{name}/revisions/{revision}"
_CHART_FILE = "Chart.yaml"
_CHART_LIMIT = 1 << 20


class ApplicationRevisions:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._reach = reach

    @rpc("RevisionMetadata", Route("GET", f"{_PATH}/metadata"))
    async def revision_metadata(self, call: Call, request: RevisionMetadataQuery) -> RevisionMetadata:
        """Author, date, tags and message of a commit (sources.md 14.6). Needs ``get``."""
        reached, source = await self._source(call, request)
        repository = repository_of(self._state, reached.project, reached.app, source.repo_url)
        found = await self._state.git.metadata(repository, request.revision or "")
        settings = self._state.settings
        integrity = await integrity_of(
            self._state.git, reached.project, settings, repository, source, request.revision or ""
        )
        return RevisionMetadata(
            author=found.author,
            date=Timestamp(found.date),
            tags=found.tags,
            message=found.message,
            references=tuple(
                RevisionReference(
                    commit=CommitMetadata(
                        author=each.author,
                        date=each.date,
                        subject=each.subject,
                        body=each.body,
                        sha=each.sha,
                        repo_url=each.repo_url,
                    )
                )
                for each in found.references
            ),
            source_integrity_result=integrity,
        )

    @rpc("RevisionChartDetails", Route("GET", f"{_PATH}/chartdetails"))
    async def revision_chart_details(self, call: Call, request: RevisionMetadataQuery) -> ChartDetails:
        """Description, home and maintainers of a chart (sources.md 9.6). Needs ``get``."""
        reached, source = await self._source(call, request)
        if not source.chart:
            raise unknown(f"no chart found for application: {reached.app.metadata.name}")
        repository = repository_of(self._state, reached.project, reached.app, source.repo_url)
        if repository.type == "git":
            repository = msgspec.structs.replace(repository, type="helm")
        asked = RenderRequest(repository=repository, source=source, revision=request.revision or "")
        async with self._state.renderer.inspect(asked) as seen:
            files = seen.roots[""]
            found = await files.find(_CHART_FILE)
            if found is None:
                raise unknown("failed to read the chart: it has no Chart.yaml")
            (text,) = await files.read([found.entry], _CHART_LIMIT)
        return chart_details(text)

    @rpc("GetOCIMetadata", Route("GET", f"{_PATH}/ocimetadata"))
    async def get_oci_metadata(self, call: Call, request: RevisionMetadataQuery) -> OCIMetadata:
        """Needs ``get``; OCI sources are not supported yet."""
        reached, source = await self._source(call, request)
        if not source.repo_url.startswith("oci://"):
            raise unknown(f"no OCI source found for application: {reached.app.metadata.name}")
        raise unimplemented("OCI sources are not supported yet")

    async def _source(self, call: Call, request: RevisionMetadataQuery) -> tuple[Reached, ApplicationSource]:
        reached = await self._reach.app_now(call, "get", request.name, request.app_namespace, request.project)
        return reached, source_of(reached.app, request.source_index, request.version_id)


def chart_details(text: bytes) -> ChartDetails:
    """What a ``Chart.yaml`` says of its chart.

    Raises:
        ApiFailure: Unknown, it cannot be read.
    """
    try:
        value = load_value(text, _CHART_FILE)
    except YamlError as error:
        raise unknown(f"failed to unmarshal chart: {error}") from None
    chart: Mapping[str, Any] = value if isinstance(value, dict) else {}
    maintainers = tuple(
        f"{each.get('name') or ''} <{each.get('email') or ''}>"
        for each in chart.get("maintainers") or ()
        if isinstance(each, dict)
    )
    return ChartDetails(
        description=str(chart.get("description") or ""),
        home=str(chart.get("home") or ""),
        maintainers=maintainers,
    )
