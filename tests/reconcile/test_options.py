"""When an application is looked at without any event (applications.md 7, 26)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.reconcile.options import TOGETHER, ControllerOptions, options_of
from tiphys.reconcile.refresh import Timeouts
from tiphys.settings.model import Settings

DEFAULTS = options_of(Settings(control_namespace="argocd"))


def options(soft: float, hard: float, jitter: float) -> ControllerOptions:
    return msgspec.structs.replace(DEFAULTS, timeouts=Timeouts(soft, hard), jitter=jitter)


@pytest.mark.parametrize(
    ("soft", "hard", "jitter", "earliest", "latest"),
    [
        pytest.param(120, 0, 60, 120.01, 180, id="defaults"),
        pytest.param(120, 0, 0, 120.01, 120.02, id="no-jitter"),
        pytest.param(120, 60, 30, 60.01, 90, id="hard-is-shorter"),
        pytest.param(0, 300, 30, 300.01, 330, id="only-hard"),
        pytest.param(0, 0, 60, None, None, id="polling-is-off"),
    ],
)
def test_the_interval_and_its_jitter(
    soft: float, hard: float, jitter: float, earliest: float | None, latest: float | None
) -> None:
    chosen = options(soft, hard, jitter)
    assert chosen.until_next_look(0.0) == pytest.approx(earliest)
    assert chosen.until_next_look(1.0) == pytest.approx(latest)


def test_applications_spread_over_the_jitter() -> None:
    pauses = [options(120, 0, 60).until_next_look(n / 10) for n in range(11)]
    assert all(pause is not None for pause in pauses)
    assert pauses == sorted(set(pauses))  # type: ignore[type-var]


@given(st.floats(1, 100_000), st.floats(0, 1), st.floats(0, 1e7))
def test_looks_come_together_and_hardly_later(interval: float, fraction: float, now: float) -> None:
    chosen = options(interval, 0, 60)
    pause = chosen.until_next_look(fraction)
    assert pause is not None
    later = chosen.due_together(pause, now)
    step = min(TOGETHER, interval / 20)
    assert pause <= later <= pause + step + 1e-6
    assert (now + later) / step == pytest.approx(round((now + later) / step), abs=1e-5)
