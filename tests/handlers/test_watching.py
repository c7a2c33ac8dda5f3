"""What the watch of our own kinds asks of Kopf."""

import asyncio

import kopf
import pytest

from tiphys.handlers.watching import EverybodyElse, operator_settings


def test_no_trace_in_objects_of_users() -> None:
    settings = operator_settings()
    assert not settings.posting.enabled
    body = kopf.Body({"metadata": {"name": "a", "annotations": {"b": "c"}}, "spec": {"d": 1}})
    patch = kopf.Patch()
    settings.persistence.diffbase_storage.store(body=body, patch=patch, essence=kopf.BodyEssence({}))
    assert not patch


async def test_kopf_leaves_no_deadline_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, later = asyncio.get_running_loop(), []
    monkeypatch.setattr(loop, "call_later", lambda *args: later.append(args))
    tasks = await kopf.spawn_tasks(
        registry=kopf.OperatorRegistry(),
        settings=operator_settings(),
        standalone=True,
        clusterwide=True,
        stop_flag=asyncio.Event(),
    )
    with pytest.raises(kopf.LoginError):  # ends at once: nobody is logged in
        await kopf.run_tasks(tasks, ignored=EverybodyElse())
    assert [args for args in later if "SIGKILL" in repr(args)] == []
