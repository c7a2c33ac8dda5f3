"""``GetManifests`` and ``GetManifestsWithFiles``: what the sources render to, Secrets masked."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, cast

import orjson

from tiphys.compare.masking import mask_secret
from tiphys.reconcile.desired import DesiredStateError, DesiredStates
from tiphys.reconcile.manifests import rendered_files, rendered_manifests
from tiphys.resources.identity import Manifest
from tiphys.resources.messages.application import (
    ApplicationManifestQuery,
    ApplicationManifestQueryWithFilesWrapper,
)
from tiphys.resources.messages.repository import ManifestResponse
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import failure_of, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.checking import checked_sources
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.applications.resources.sourcing import desired_request
from tiphys.server.services.applications.resources.uploads import UploadLimits, receive, unpack
from tiphys.server.state import State


class ApplicationManifests:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._reach = reach

    @rpc("GetManifests", Route("GET", "/api/v1/applications/{name}/manifests"))
    async def get_manifests(self, call: Call, request: ApplicationManifestQuery) -> ManifestResponse:
        """What the sources render to now, or at the revisions that the request names. Needs ``get``.

        Raises:
            ApiFailure: the repository's or the tool's own words; Unknown, a position that no source has.
        """
        if not request.name:
            raise unknown("invalid request: application name is missing")
        reached = self._reach.app(call, "get", request.name, request.app_namespace, request.project)
        spec = reached.app.spec
        # Of a hydrator the dry source is what people mean, unless they name a revision of the other.
        sources = spec.effective_sources() if request.revision else checked_sources(reached.app)
        if spec.has_multiple_sources:
            revisions = [""] * len(sources)
            for position, revision in zip(request.source_positions, request.revisions, strict=False):
                if not 1 <= position <= len(sources):
                    raise unknown("source position is out of range")
                revisions[position - 1] = revision
        else:
            revisions = [request.revision or ""]
        asked = await desired_request(
            self._state,
            self._reach,
            reached,
            sources,
            tuple(revisions),
            no_cache=bool(request.no_cache),
        )
        try:
            found = await rendered_manifests(self._states(), asked)
        except DesiredStateError as error:
            raise failure_of(error.__cause__ or error) from error
        return ManifestResponse(manifests=self._shown(found))

    @rpc("GetManifestsWithFiles", Route("POST", "/api/v1/applications/manifestsWithFiles", body="*"))
    async def get_manifests_with_files(
        self, call: Call, request: AsyncIterator[ApplicationManifestQueryWithFilesWrapper]
    ) -> ManifestResponse:
        """What the first source would render to if its repository held the files that the client sends:
        a query with their checksum, then a gzipped tar in chunks. Needs ``get``.

        Raises:
            ApiFailure: ResourceExhausted, too much was sent; Unknown, what was sent is no such archive
                or leads out of itself.
        """
        async with aclosing(cast(Any, request)) as messages:
            first = await anext(messages, None)
            query = first.query if first is not None else None
            if query is None:
                raise unknown("error getting query: expected a query first")
            if not query.name:
                raise unknown("invalid request: application name is missing")
            reached = self._reach.app(call, "get", query.name, query.app_namespace, query.project)
            sources = reached.app.spec.effective_sources()[:1]
            asked = await desired_request(self._state, self._reach, reached, sources)
            params = self._state.settings.params
            limits = UploadLimits(
                params.streamed_manifest_max_tar_size, params.streamed_manifest_max_extracted_size
            )
            renderer = self._state.renderer
            async with renderer.tools.folder() as folder:
                archive, files = folder / "sent.tar.gz", folder / "files"
                files.mkdir()
                checksum = await receive(messages, archive, limits)
                if checksum != (query.checksum or "").lower():
                    raise unknown("error receiving manifest file stream: the checksum does not match")
                await asyncio.to_thread(unpack, archive, files, limits)
                archive.unlink()
                found = await rendered_files(self._states(), renderer, asked, files, checksum)
        return ManifestResponse(manifests=self._shown(found))

    def _states(self) -> DesiredStates:
        """Made for one request: nothing of it is remembered beside what the controllers remember."""
        return DesiredStates(self._state.git, self._state.renderer)

    def _shown(self, manifests: Iterable[Manifest]) -> tuple[str, ...]:
        hidden = self._state.settings.sensitive_mask_annotations
        masked = (mask_secret(manifest, None, hidden)[0] for manifest in manifests)
        return tuple(orjson.dumps(each, option=orjson.OPT_SORT_KEYS).decode() for each in masked)
