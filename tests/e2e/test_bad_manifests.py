"""What a repository with bad content gets: one sentence that names the file or object, and no harm.

Each case is an Application with automatic sync and pruning that was well, until one commit broke it.
It says what is wrong, loses nothing, leaves its neighbour alone, and is well again once mended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.e2e.neighbours import Neighbour
from tests.e2e.story import Story, conditions, config_map, operation_state, results, sync_status

pytestmark = pytest.mark.timeout(120)


class Case(msgspec.Struct, frozen=True):
    """Files that break an Application (below its folder; None: removed), and what it then says.

    Attributes:
        condition: type of the condition.
        texts: what its message contains.
        start: further files of the time when all was well.
    """

    files: dict[str, str | None]
    condition: str
    texts: tuple[str, ...]
    start: dict[str, str] = {}


def manifest(**parts: Any) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", **parts})


CHART = {"Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n"}
CASES = {
    "malformed YAML in one file": Case(
        {"broken.yaml": config_map("broken") + "  data: [\n"},
        "ComparisonError",
        ("Failed to load target state", 'Failed to unmarshal "broken.yaml"', "line"),
    ),
    "malformed second document": Case(
        {"broken.yaml": config_map("fine") + "---\n{{ oops }}\n"},
        "ComparisonError",
        ('Failed to unmarshal "broken.yaml"', "document 2"),
    ),
    "a manifest without kind": Case(
        {"kindless.yaml": "apiVersion: v1\nmetadata:\n  name: kindless\n"},
        "ComparisonError",
        ('Failed to unmarshal "kindless.yaml"', "Object 'Kind' is missing"),
    ),
    "a manifest without name": Case(
        {"nameless.yaml": manifest(metadata={"labels": {"a": "b"}})},
        "ComparisonError",
        ("nameless.yaml", "name"),
    ),
    "metadata that is a list": Case(
        {"odd.yaml": manifest(metadata=[{"name": "odd"}])},
        "ComparisonError",
        ("odd.yaml", "metadata"),
    ),
    "a missing path": Case({"keep.yaml": None}, "ComparisonError", ("app path does not exist",)),
    "a Helm chart that fails": Case(
        {"templates/keep.yaml": '{{ fail "the cure is a better chart" }}'},
        "ComparisonError",
        ("helm template", "templates/keep.yaml", "the cure is a better chart"),
        start={**CHART, "templates/keep.yaml": config_map("keep-NAME")},
    ),
}


class Ward:
    """One repository with a folder and an Application for each case."""

    def __init__(self, story: Story, cases: dict[str, Case]):
        self.story = story
        self._cases = cases
        self._numbers = {name: number for number, name in enumerate(cases)}
        self._start: dict[str, str | None] = {}
        for name, case in cases.items():
            files = {"keep.yaml": config_map(self.kept(name))} if not case.start else case.start
            for file, text in files.items():
                self._start[f"{self.app(name)}/{file}"] = text.replace("keep-NAME", self.kept(name))
        story.commit(self._start)
        for name in cases:
            story.create_application(
                self.app(name),
                source={"path": self.app(name)},
                syncPolicy=story.automated(prune=True, selfHeal=True),
            )
        self.uids: dict[str, str] = {}
        for name in cases:
            story.wait_synced(name=self.app(name))
            kept = story.object("configmap", self.kept(name))
            assert kept is not None
            self.uids[name] = kept["metadata"]["uid"]

    def app(self, name: str) -> str:
        return f"{self.story.name}-{self._numbers[name]}"

    def kept(self, name: str) -> str:
        return f"keep-{self._numbers[name]}"

    def fall_ill(self) -> None:
        """All break with one commit."""
        files: dict[str, str | None] = {}
        for name, case in self._cases.items():
            files |= {f"{self.app(name)}/{file}": text for file, text in case.files.items()}
        self.story.commit(files)

    def recover(self) -> str:
        """All are mended with one commit."""
        files = dict(self._start)
        for name, case in self._cases.items():
            for file in case.files:
                files.setdefault(f"{self.app(name)}/{file}", None)
        return self.story.commit(files)

    def lost_nothing(self, name: str) -> None:
        """The object that was there before is the same one."""
        kept = self.story.object("configmap", self.kept(name))
        assert kept is not None
        assert kept["metadata"]["uid"] == self.uids[name]


@pytest.fixture(scope="module")
def ward(
    operator: Operator, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    story = Story(control_plane.kubectl, folder / "repository", "ward")
    made = Ward(story, CASES)
    made.fall_ill()
    yield made
    story.clean_up()


@pytest.mark.parametrize("name", CASES)
def test_the_condition_names_it_and_nothing_is_lost(name: str, ward: Ward, neighbour: Neighbour) -> None:
    case = CASES[name]
    app = ward.story.wait_condition(case.condition, case.texts[0], name=ward.app(name))
    (message,) = [c["message"] for c in conditions(app) if c["type"] == case.condition]
    for text in case.texts:
        assert text in message
    assert str(ward.story.repository) not in message.replace(f"file://{ward.story.repository}", "")
    assert sync_status(app) == "Unknown"
    assert operation_state(app)["phase"] == "Succeeded"  # the sync of the time when all was well
    ward.lost_nothing(name)
    neighbour.still_syncs()


def test_all_are_well_again_once_mended(ward: Ward) -> None:
    commit = ward.recover()
    for name in CASES:
        app = ward.story.wait_synced(name=ward.app(name))
        assert not conditions(app)
        ward.lost_nothing(name)
    assert commit


def test_a_symlink_out_of_the_repository(story: Story, neighbour: Neighbour) -> None:
    """As in the reference, it keeps every Application of that repository from its commit."""
    story.commit({"app/keep.yaml": config_map("keep")})
    story.create_application(syncPolicy=story.automated(prune=True))
    story.wait_synced()
    os.symlink("/etc/passwd", story.repository / "app" / "link.yaml")
    story.commit({})
    app = story.wait_condition(
        "ComparisonError", "repository contains out-of-bounds symlinks. file: app/link.yaml"
    )
    assert sync_status(app) == "Unknown"
    assert story.object("configmap", "keep")
    neighbour.still_syncs()
    story.commit({"app/link.yaml": None})
    assert not conditions(story.wait_synced())


def test_duplicates_are_told_and_the_last_one_counts(story: Story, neighbour: Neighbour) -> None:
    story.commit(
        {
            "app/a.yaml": config_map("twin", {"from": "a"}),
            "app/b.yaml": config_map("twin", {"from": "b"}),
            "app/c.yaml": config_map("single"),
        }
    )
    story.create_application(syncPolicy=story.automated())
    story.wait_condition(
        "RepeatedResourceWarning",
        f"/ConfigMap/{story.namespace}/twin appeared 2 times among application resources.",
    )
    story.wait_synced()
    twin = story.object("configmap", "twin")
    assert twin is not None
    assert twin["data"] == {"from": "b"}
    (result,) = [r for r in operation_state(story.get())["syncResult"]["resources"] if r["name"] == "twin"]
    assert result["message"] == "configmap/twin created", "written once"
    neighbour.still_syncs()


def test_an_unknown_kind_is_named_and_the_sync_writes_nothing(story: Story, neighbour: Neighbour) -> None:
    strange = yaml.safe_dump(
        {"apiVersion": "example.org/v1", "kind": "Strange", "metadata": {"name": "thing"}}
    )
    story.commit({"app/thing.yaml": strange, "app/other.yaml": config_map("other")})
    story.create_application()
    story.sync()
    state = story.wait_operation("Failed")
    result = results(state)["Strange/thing"]
    assert result["status"] == "SyncFailed"
    for text in ("example.org/Strange", "thing", 'Make sure the "Strange" CRD is installed'):
        assert text in result["message"]
    assert "one or more synchronization tasks are not valid" in state["message"]
    assert story.object("configmap", "other") is None
    neighbour.still_syncs()


def test_a_refused_object_names_the_field(story: Story, neighbour: Neighbour) -> None:
    refused = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "refused"},
            "spec": {"ports": [{"port": 99999999}]},
        }
    )
    story.commit({"app/refused.yaml": refused, "app/other.yaml": config_map("other")})
    story.create_application()
    story.sync()
    state = story.wait_operation("Failed")
    result = results(state)["Service/refused"]
    assert result["status"] == "SyncFailed"
    assert 'Service "refused" is invalid: [spec.ports[0].port: Invalid value: 99999999' in result["message"]
    neighbour.still_syncs()
    # The cure: the field mended, the sync goes through.
    story.commit({"app/refused.yaml": refused.replace("99999999", "80")})
    story.sync()
    story.wait_operation("Succeeded")
    story.wait_synced()


def test_a_refused_secret_names_the_field_and_hides_the_value(story: Story, neighbour: Neighbour) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "refused"}}
    values = {"first": 4711471147, "second": ["s3cret-word\n  .inner"], "third": 4711471147}
    story.commit({"app/secret.yaml": yaml.safe_dump({**secret, "stringData": values})})
    story.create_application()
    story.sync(syncOptions=["ServerSideApply=true"])
    state = story.wait_operation("Failed")
    message = results(state)["Secret/refused"]["message"]
    for field in ("first", "second", "third"):
        assert f".data.{field}: expected string, got another type" in message
    text = str(story.get()["status"])
    assert "4711471147" not in text
    assert "s3cret-word" not in text
    neighbour.still_syncs()
