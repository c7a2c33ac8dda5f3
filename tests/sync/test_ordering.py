"""Order of tasks: phases, waves, kinds, dependencies, waves of prunes (sync.md 9.2, 21.1, 21.2)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sync.builders import crd, create_task, manifest, prune_task
from tiphys.sync.ordering import (
    KIND_RANKS,
    assign_prune_waves,
    first_wave,
    is_multi_step,
    kind_rank,
    sort_tasks,
)
from tiphys.sync.tasks import Phase, Task


@pytest.mark.parametrize(
    ("kind", "rank"),
    [("Namespace", -35), ("APIService", -1), ("Foo", 0), ("ConfigMap", -26), ("Deployment", -8)],
)
def test_ranks_of_kinds(kind: str, rank: int) -> None:
    assert kind_rank(kind) == rank


def test_there_are_35_ranked_kinds() -> None:
    assert sorted(KIND_RANKS.values()) == list(range(-35, 0))


def test_phase_beats_wave_beats_kind_beats_name() -> None:
    expected = [
        create_task("Job", "z", 9, Phase.PRE_SYNC),
        create_task("Foo", "z", -1),
        create_task("ConfigMap", "a"),
        create_task("ConfigMap", "b"),
        create_task("Deployment", "a"),
        create_task("Foo", "a"),
        create_task("ConfigMap", "a", 1),
        create_task("ConfigMap", "a", -5, Phase.POST_SYNC),
        create_task("ConfigMap", "a", -9, Phase.SYNC_FAIL),
    ]
    shuffled = expected[:]
    random.Random(1).shuffle(shuffled)
    assert sort_tasks(shuffled) == expected


def test_namespace_moves_before_the_first_object_in_it_across_phases() -> None:
    hook = create_task("Job", "hook", 3, Phase.PRE_SYNC, namespace="team")
    namespace = create_task("Namespace", "team")
    other = create_task("Namespace", "other")
    assert sort_tasks([namespace, other, hook]) == [namespace, hook, other]
    assert (namespace.order_phase, namespace.wave) == (Phase.PRE_SYNC, 3)
    assert (other.order_phase, other.wave) == (Phase.SYNC, 0)


def test_crd_moves_before_the_first_object_of_its_kind() -> None:
    definition = Task(Phase.SYNC, crd("example.com", "Thing"))
    definition.own_wave = 5
    thing = create_task("Thing", "t", -2, api="example.com/v1")
    config = create_task("ConfigMap", "c")
    assert sort_tasks([definition, thing, config]) == [definition, thing, config]
    assert definition.wave == -2


def test_dependencies_only_ever_move_earlier() -> None:
    namespace = create_task("Namespace", "team", -7)
    member = create_task("ConfigMap", "c", 2, namespace="team")
    assert sort_tasks([member, namespace]) == [namespace, member]
    assert namespace.wave == -7


def test_crd_in_a_namespace_that_is_synced_too() -> None:
    namespace = create_task("Namespace", "team")
    definition = Task(Phase.SYNC, {**crd("e.com", "Thing")}, default_namespace="team")
    thing = create_task("Thing", "t", -1, api="e.com/v1", namespace="team")
    assert sort_tasks([namespace, definition, thing]) == [namespace, definition, thing]


@pytest.mark.parametrize(
    ("prunes", "creates", "expected"),
    [
        pytest.param([0, 1, 2, 3, 4], [], [4, 3, 2, 1, 0], id="only prunes"),
        pytest.param([1, 3, 4], [0, 2], [4, 3, 1], id="creations keep theirs"),
        pytest.param([1, 3, 3, 4, 5], [-1, 3, 5], [5, 4, 4, 3, 1], id="repeated wave"),
    ],
)
def test_prune_waves_are_swapped(prunes: list[int], creates: list[int], expected: list[int]) -> None:
    tasks = [prune_task(f"p{n}", wave) for n, wave in enumerate(prunes)]
    kept = [create_task("ConfigMap", f"c{n}", wave) for n, wave in enumerate(creates)]
    assign_prune_waves([*tasks, *kept], prune_last=False)
    assert [task.wave for task in tasks] == expected
    assert [task.wave for task in kept] == creates


def test_prune_last_of_the_operation_puts_all_prunes_behind() -> None:
    tasks = [prune_task(f"p{wave}", wave) for wave in (1, 2, 3, 4)]
    assign_prune_waves(tasks, prune_last=True)
    assert [task.wave for task in tasks] == [5, 5, 5, 5]


def test_prune_last_of_one_object() -> None:
    tasks = [prune_task(f"p{wave}", wave, "PruneLast=true" if wave == 2 else "") for wave in (1, 2, 3, 4)]
    assign_prune_waves(tasks, prune_last=False)
    assert [task.wave for task in tasks] == [4, 5, 2, 1]


def test_prune_last_is_never_before_wave_one() -> None:
    tasks = [prune_task("p", -3)]
    assign_prune_waves(tasks, prune_last=True)
    assert tasks[0].wave == 1


def test_multi_step_means_another_phase_or_wave() -> None:
    one = create_task("ConfigMap", "a")
    assert not is_multi_step([])
    assert not is_multi_step([one, create_task("Foo", "b")])
    assert is_multi_step([one, create_task("Foo", "b", 1)])
    assert is_multi_step([one, create_task("Foo", "b", 0, Phase.POST_SYNC)])


def test_first_wave_takes_one_phase_and_wave() -> None:
    tasks = sort_tasks([create_task("A", "a", 1), create_task("B", "b", 1), create_task("C", "c", 2)])
    now, later = first_wave(tasks)
    assert [task.key.kind for task in now] == ["A", "B"]
    assert [task.key.kind for task in later] == ["C"]


def test_a_malformed_crd_moves_nothing() -> None:
    broken = Task(Phase.SYNC, manifest("CustomResourceDefinition", "x", api="apiextensions.k8s.io/v1"))
    thing = create_task("Thing", "t", -1)
    assert sort_tasks([broken, thing]) == [thing, broken]


MEMBERS = st.tuples(
    st.sampled_from(["ConfigMap", "Job", "Foo", "Pod"]),
    st.sampled_from(["one", "two"]),
    st.integers(-2, 2),
    st.sampled_from(list(Phase)),
)


@given(st.lists(MEMBERS, max_size=12), st.permutations(["one", "two"]), st.integers(-3, 3))
def test_a_namespace_never_runs_after_what_is_in_it(
    members: list[tuple[str, str, int, Phase]], order: list[str], wave: int
) -> None:
    tasks = [create_task("Namespace", name, wave) for name in order]
    tasks += [
        create_task(kind, f"m{number}", member_wave, phase, namespace=namespace)
        for number, (kind, namespace, member_wave, phase) in enumerate(members)
    ]
    ordered = sort_tasks(tasks)
    assert len(ordered) == len(tasks)
    steps = []
    while ordered:
        now, ordered = first_wave(ordered)
        steps.append(now)
    seen: set[str] = set()
    for now in steps:
        for task in now:
            if task.key.kind == "Namespace":
                seen.add(task.key.name)
            else:
                assert task.key.namespace in seen
