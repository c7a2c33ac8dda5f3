"""NotificationService (api.md 9; operations.md 3.1): names, and nothing else, of what is configured."""

from __future__ import annotations

import pytest

from tests.server.projects.house import House
from tiphys.resources.identity import GVK
from tiphys.server.api.failures import ApiFailure
from tiphys.server.services.notifications import Names, names_of

SERVICE = "NotificationService"


async def test_what_is_configured(shop: House) -> None:
    for method in ("ListTriggers", "ListTemplates", "ListServices"):
        assert await shop.call(f"{SERVICE}/{method}", {}) == {}
    await shop.client.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-notifications-cm", "namespace": shop.namespace},
            "data": {
                "trigger.on-b": "- hidden",
                "trigger.on-a": "[]",
                "template.app.sync": "message: hidden",
                "service.slack": "token: hidden",
                "service.webhook.ci": "url: hidden",
                "context": "a: b",
                "defaultTriggers": "- on-a",
                "defaultTriggers.slack": "- on-a",
            },
        }
    )
    try:
        answers = [
            await shop.call(f"{SERVICE}/{method}", {})
            for method in ("ListTriggers", "ListTemplates", "ListServices")
        ]
    finally:
        await shop.client.delete(GVK("", "v1", "ConfigMap"), shop.namespace, "argocd-notifications-cm")
    assert answers == [
        {"items": [{"name": "on-a"}, {"name": "on-b"}]},
        {"items": [{"name": "app.sync"}]},
        {"items": [{"name": "ci"}, {"name": "slack"}]},
    ]


def test_the_old_form() -> None:
    text = "triggers: [{name: on-a}, 1]\ntemplates: [{name: t}]\n"
    assert names_of({"config.yaml": text}) == Names(("on-a",), ("t",), ())
    for bad in ("{", "- a", "triggers: 1"):
        assert names_of({"config.yaml": bad, "trigger.x": ""}) == Names(("x",))


def test_a_key_of_no_shape() -> None:
    with pytest.raises(ApiFailure, match="invalid service key; expected") as caught:
        names_of({"service.a.b.c": "hidden"})
    assert caught.value.code.title == "Unknown"
    assert "hidden" not in caught.value.message
