"""Storing projects: every write names the version it was made from, so nobody's edit is lost.

Reads for answers come from the store; what a write is based on is read from the API server. Fields
that our types do not know survive (``overlaying``). Answers are taken in at once, so that the next
call sees them.
"""

from collections.abc import Callable

import msgspec

from tiphys.kube.errors import Conflict
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.resources.project import KIND, AppProject, decode
from tiphys.resources.shape import to_json
from tiphys.server.api.failures import failed_precondition
from tiphys.server.services.one_by_one import OneByOne
from tiphys.server.services.overlaying import overlaid
from tiphys.server.state import State

PROJECT = GVK("argoproj.io", "v1alpha1", KIND)
PLURAL = "appprojects"
MANAGER = "argocd-server"
ATTEMPTS = 5


class Found(msgspec.Struct, frozen=True):
    """A project as the API server has it."""

    manifest: Manifest
    project: AppProject


class Projects:
    """See the module."""

    def __init__(self, state: State):
        self._state = state
        self._turns = OneByOne()

    def all(self) -> list[AppProject]:
        """Every project of the control plane's namespace, by name."""
        namespace = self._state.namespace
        mine = [project for project in self._state.projects if project.metadata.namespace == namespace]
        return sorted(mine, key=lambda project: project.name)

    async def get(self, name: str) -> AppProject:
        """A project as it is known; one that is not known (yet) is asked for.

        Raises:
            NotFound: there is none.
        """
        held = self._state.projects.get(AppKey(self._state.namespace, name))
        return held if held is not None else (await self.read(name)).project

    async def read(self, name: str) -> Found:
        """A project as the API server has it now.

        Raises:
            NotFound: there is none.
        """
        manifest = await self._state.client.get(PROJECT, self._state.namespace, name)
        return Found(manifest, self._taken(manifest))

    async def create(self, project: AppProject) -> AppProject:
        """Store a new project.

        Raises:
            AlreadyExists, Invalid: by the API server. ApiFailure: it names another namespace.
        """
        body = self._addressed(project)
        return self._taken(await self._state.client.create(body, field_manager=MANAGER))

    async def replace(self, found: Found, project: AppProject) -> AppProject:
        """Store ``project`` in place of what was found, at the version that ``project`` names.

        Raises:
            Conflict: it is not the version stored. Invalid: it names none, or breaks the schema.
        """
        wanted = self._addressed(project)
        body = overlaid(found.manifest, to_json(found.project), wanted)
        return self._taken(await self._state.client.replace(body, field_manager=MANAGER))

    async def change(self, name: str, decide: Callable[[AppProject], AppProject | None]) -> AppProject | None:
        """Read, decide and store, again when another replica was faster; None: nothing to change.

        Raises:
            NotFound: there is none. Conflict: others were faster each time.
        """
        async with self._turns.of(name):
            for attempt in range(1, ATTEMPTS + 1):
                found = await self.read(name)
                changed = decide(found.project)
                if changed is None:
                    return None
                try:
                    return await self.replace(found, changed)
                except Conflict:
                    if attempt == ATTEMPTS:
                        raise
        raise AssertionError("unreachable")

    async def delete(self, project: AppProject) -> None:
        """Delete a project; with a finalizer it stays until nobody uses it.

        Raises:
            NotFound: it is gone already.
        """
        namespace, uid = self._state.namespace, project.metadata.uid
        answer = await self._state.client.delete(
            PROJECT, namespace, project.name, propagation_policy="", uid=uid or None
        )
        if answer.get("kind") == KIND and (answer.get("metadata") or {}).get("finalizers"):
            self._taken(answer)
        else:
            self._state.forget(PLURAL, AppKey(namespace, project.name), uid)

    def _addressed(self, project: AppProject) -> Manifest:
        namespace = project.metadata.namespace or self._state.namespace
        if namespace != self._state.namespace:
            raise failed_precondition(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        body: Manifest = to_json(project)
        body |= {"apiVersion": f"{PROJECT.api_version}", "kind": KIND}
        body["metadata"] = {**body["metadata"], "namespace": namespace}
        return body

    def _taken(self, manifest: Manifest) -> AppProject:
        self._state.take(PLURAL, manifest)
        return decode(manifest)
