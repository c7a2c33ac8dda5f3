"""From settings and application to the rules of a comparison (sync.md 1.4, 5.1)."""

import time
from types import SimpleNamespace
from typing import Any, cast

from tests.reconcile.test_decisions import application
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, rules_of
from tiphys.resources.identity import ResourceKey
from tiphys.resources.project import AppProject
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}}


def test_the_time_limit_of_jq_is_the_one_of_the_settings() -> None:
    endless = {"group": "*", "kind": "*", "jqPathExpressions": ["def f: f; f"]}
    settings = SettingsStore("argocd", Params(jq_timeout=0.1)).snapshot
    situation = Situation(
        app=application(spec={"ignoreDifferences": [endless]}),
        settings=settings,
        instance="a",
        project=cast(AppProject, None),
        cluster=cast(Any, None),
        tracking=cast(Any, None),
    )
    services = cast(Services, SimpleNamespace(memory=SimpleNamespace(rules={})))
    exclusion = rules_of(services, situation, server_side_diff=False).exclusion(
        ResourceKey("", "ConfigMap", "ns", "a")
    )
    problems: list[str] = []
    began = time.monotonic()
    assert exclusion.apply(CONFIG, (), problems) == CONFIG
    assert time.monotonic() - began < 0.9  # the default is a second
    assert len(problems) == 1
