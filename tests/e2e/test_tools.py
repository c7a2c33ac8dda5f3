"""Kustomize and Helm sources, with the real programs."""

from __future__ import annotations

from tests.e2e.story import Story, config_map

KUSTOMIZATION = "resources: [one.yaml]\n"
CHART = "apiVersion: v2\nname: demo\nversion: 0.1.0\n"
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  namespace: {{ .Release.Namespace }}
  greeting: {{ .Values.greeting | quote }}
"""


def test_a_kustomize_overlay_with_options_of_the_application(story: Story) -> None:
    story.commit(
        {
            "base/one.yaml": config_map("one"),
            "base/kustomization.yaml": KUSTOMIZATION,
            "app/kustomization.yaml": "resources: [../base]\nnamePrefix: over-\n",
        }
    )
    story.create_application(
        source={"kustomize": {"nameSuffix": "-end", "commonLabels": {"team": "blue"}}},
        syncPolicy=story.automated(),
    )
    app = story.wait_synced()
    assert app["status"]["sourceType"] == "Kustomize"
    found = story.object("configmap", "over-one-end")
    assert found is not None
    assert found["metadata"]["labels"]["team"] == "blue"


def test_a_change_of_the_base_reaches_the_overlay(story: Story) -> None:
    story.commit(
        {
            "base/one.yaml": config_map("one", {"key": "old"}),
            "base/kustomization.yaml": KUSTOMIZATION,
            "app/kustomization.yaml": "resources: [../base]\n",
        }
    )
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    story.commit({"base/one.yaml": config_map("one", {"key": "new"})})
    story.refresh()
    story.wait_object("configmap", "one", lambda found: found and found["data"] == {"key": "new"})


def test_a_helm_chart_with_parameters_and_value_files(story: Story) -> None:
    story.commit(
        {
            "app/Chart.yaml": CHART,
            "app/values.yaml": "greeting: default\n",
            "app/values-prod.yaml": "greeting: from-file\n",
            "app/templates/config.yaml": TEMPLATE,
        }
    )
    story.create_application(
        source={"helm": {"releaseName": "rel", "valueFiles": ["values-prod.yaml"]}},
        syncPolicy=story.automated(),
    )
    app = story.wait_synced()
    assert app["status"]["sourceType"] == "Helm"
    found = story.object("configmap", "rel-config")
    assert found is not None
    assert found["data"] == {"namespace": story.namespace, "greeting": "from-file"}
    story.create_application(
        source={
            "helm": {
                "releaseName": "rel",
                "valueFiles": ["values-prod.yaml"],
                "parameters": [{"name": "greeting", "value": "from-parameter"}],
            }
        },
        syncPolicy=story.automated(),
    )
    story.wait_object(
        "configmap", "rel-config", lambda found: found and found["data"]["greeting"] == "from-parameter"
    )


def test_directory_options(story: Story) -> None:
    story.commit(
        {
            "app/one.yaml": config_map("one"),
            "app/deep/two.yaml": config_map("two"),
            "app/deep/skip.yaml": config_map("skipped"),
        }
    )
    story.create_application(
        source={"directory": {"recurse": True, "exclude": "**/skip.yaml"}}, syncPolicy=story.automated()
    )
    story.wait_synced()
    assert story.object("configmap", "one")
    assert story.object("configmap", "two")
    assert story.object("configmap", "skipped") is None
