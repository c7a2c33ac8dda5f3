"""Names that sources of an Application give each other (applications.md 3.1)."""

from __future__ import annotations

import pytest

from tiphys.reconcile.desired import DesiredStateError, _references
from tiphys.resources.application import ApplicationSource
from tiphys.settings.repositories import Repositories
from tiphys.sources.errors import SourceError


def references(*names: str) -> set[str]:
    sources = [ApplicationSource(repo_url="https://git.example/r", path="p", ref=name) for name in names]
    repository = Repositories().lookup("https://git.example/r", "default")
    return set(_references(sources, [repository] * len(names), ["c"] * len(names)))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        pytest.param(("a b", ""), "sources.ref a b cannot contain any special characters except '_' and '-'"),
        pytest.param(("a/b", ""), "sources.ref a/b cannot contain any special characters except '_' and '-'"),
        pytest.param(("a", "a"), "invalid sources: multiple sources had the same `ref` key"),
    ],
)
def test_refused(names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(DesiredStateError) as caught:
        references(*names)
    assert str(caught.value).endswith(problem)
    assert not caught.value.transient
    assert isinstance(caught.value.__cause__, SourceError), "the API tells it, too"


def test_accepted() -> None:
    assert references("values", "", "A_b-9") == {"values", "A_b-9"}
