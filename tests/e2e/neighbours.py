"""A healthy application beside the broken ones: whatever happens to them, it goes on."""

from __future__ import annotations

import itertools

from tests.e2e.story import Story, config_map


class Neighbour:
    """An Application with automatic sync that nothing is wrong with."""

    def __init__(self, story: Story):
        self._story = story
        self._versions = itertools.count(1)
        story.commit({"app/well.yaml": config_map("well", {"version": "0"})})
        story.create_application(syncPolicy=story.automated(prune=True, selfHeal=True))
        story.wait_synced()

    def still_syncs(self) -> None:
        """Commit a change, and wait until it is in the cluster and the Application is well."""
        version = str(next(self._versions))
        commit = self._story.commit({"app/well.yaml": config_map("well", {"version": version})})
        self._story.refresh()
        self._story.wait_object(
            "configmap", "well", lambda found: found and found["data"]["version"] == version
        )
        self._story.wait_synced(commit)
