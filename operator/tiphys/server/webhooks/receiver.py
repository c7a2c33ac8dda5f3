"""Answers webhooks at once and has the Applications that they concern refreshed (sources.md 22.2, 22.4).

A handler only reads, verifies and queues; workers find the Applications and ask for a refresh by the
annotation, as a user would, so it does not matter where the controllers run. An Application whose last
look is known to have read none of the changed files is left alone.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from tiphys.kube.client import MERGE_PATCH
from tiphys.kube.errors import Conflict, KubeError, NotFound
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.identity import GVK, AppKey
from tiphys.resources.times import go_duration
from tiphys.server.state import State
from tiphys.server.webhooks.bitbucket import BitbucketCloud
from tiphys.server.webhooks.events import Event, Push, WebhookRefused
from tiphys.server.webhooks.matching import Index, Wanted, concerned
from tiphys.server.webhooks.payloads import SECRET_KEYS, event_of, provider_of
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")
QUEUE = 50_000
TRIES = 5
MEGABYTE = 1 << 20
BODY_SECONDS = 60.0
REFRESH = "argocd.argoproj.io/refresh"
HYDRATE = "argocd.argoproj.io/hydrate"


class Webhooks:
    """See the module.

    Args:
        count: told of each accepted event by the repository it names (``argocd_webhook_requests_total``).
        unaffected: whether it is known that a push changes nothing for an Application.
        uniform: a random number of [0, 1), for the jitter of many refreshes.
    """

    def __init__(
        self,
        state: State,
        *,
        count: Callable[[str], None] = lambda repository: None,
        unaffected: Callable[[AppKey, Push], bool] = lambda key, push: False,
        uniform: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        bitbucket: BitbucketCloud | None = None,
    ):
        self._state = state
        self._count = count
        self._unaffected = unaffected
        self._uniform = uniform
        self._sleep = sleep
        self._bitbucket = bitbucket or BitbucketCloud(lambda url: state.settings.repositories.lookup(url, ""))
        self._queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)
        self._index = Index(state.apps)
        self._stop = state.apps.listen(self._index.changed)

    async def handle(self, request: web.Request) -> web.Response:
        """The answer to a request of ``/api/webhook``."""
        try:
            if request.method != "POST":
                raise WebhookRefused(405, "Webhook processing failed")
            event = await self._event(request)
            if event is not None:
                try:
                    self._queue.put_nowait(event)
                except asyncio.QueueFull:
                    raise WebhookRefused(503, "Queue is full, discarding webhook payload") from None
        except WebhookRefused as refused:
            log.info("webhook refused: %s", refused.text)
            return web.Response(status=refused.status, text=f"{refused.text}\n")
        return web.Response()

    async def _event(self, request: web.Request) -> Event | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        secrets = self._secrets()
        provider = provider_of(headers, secrets)
        megabytes = self._limit()
        unreadable = WebhookRefused(
            400, f"Webhook processing failed: payload must be valid JSON under {megabytes} MB"
        )
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(request, megabytes * MEGABYTE)
        except (TimeoutError, ValueError):
            raise unreadable from None
        provider.verify(headers, body, secrets)
        try:
            payload = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise unreadable from None
        return event_of(provider, headers, payload)

    def _secrets(self) -> Mapping[str, str]:
        references = self._state.settings.references
        return {key: references.resolve(references.main.get(key, "").strip()) for key in SECRET_KEYS}

    def _limit(self) -> int:
        text = self._state.settings.raw.get("webhook.maxPayloadSizeMB", "")
        return int(text) if text.isdecimal() and int(text) > 0 else 50

    async def run(self) -> None:
        """Work on what was queued until cancelled."""
        params = self._state.settings.params
        refreshes = asyncio.Semaphore(params.server_webhook_refresh_workers)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(params.server_webhook_parallelism_limit):
                    tasks.create_task(self._work(refreshes))
        finally:
            self._stop()

    async def _work(self, refreshes: asyncio.Semaphore) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._take(event, refreshes)
            except Exception:
                log.exception("a webhook could not be worked on")

    async def _take(self, event: Event, refreshes: asyncio.Semaphore) -> None:
        self._count(event.urls[0] if isinstance(event, Push) and event.urls else "")
        settings = self._state.settings
        if isinstance(event, Push) and event.full_name and self._secrets()["webhook.bitbucket.uuid"]:
            event = await self._bitbucket.completed(event)
        wanted = [
            each
            for each in concerned(event, self._index, self._state.apps.get)
            if is_namespace_enabled(each.key.namespace, settings)
            and not (isinstance(event, Push) and self._unaffected(each.key, event))
        ]
        log.info("webhook: %d applications to refresh", len(wanted), extra={"event": type(event).__name__})
        async with asyncio.TaskGroup() as tasks:
            for number, each in enumerate(wanted):
                tasks.create_task(self._refresh(each, self._delay(number), refreshes))

    def _delay(self, number: int) -> float:
        raw = self._state.settings.raw
        threshold = raw.get("webhook.refresh.jitter.threshold", "")
        if number < (int(threshold) if threshold.isdecimal() else 10):
            return 0.0
        try:
            return go_duration(raw.get("webhook.refresh.jitter", "") or "0") * self._uniform()
        except ValueError:
            return 0.0

    async def _refresh(self, wanted: Wanted, delay: float, refreshes: asyncio.Semaphore) -> None:
        if delay > 0:
            await self._sleep(delay)
        moment = self._state.clock().isoformat(timespec="microseconds").replace("+00:00", "Z")
        annotations = {REFRESH: "normal", f"{REFRESH}-timestamp": moment}
        if wanted.hydrate:
            annotations |= {HYDRATE: "normal", f"{HYDRATE}-timestamp": moment}
        body: dict[str, Any] = {"metadata": {"annotations": annotations}}
        key = wanted.key
        async with refreshes:
            for _ in range(TRIES):
                try:
                    answer = await self._state.client.patch(
                        APPLICATION, key.namespace, key.name, body, MERGE_PATCH
                    )
                except Conflict:
                    continue
                except NotFound:
                    return
                except KubeError as error:
                    log.warning(
                        "an application was not refreshed: %s", error, extra={"application": key.name}
                    )
                    return
                self._state.take("applications", answer)
                return


async def _read(request: web.Request, limit: int) -> bytes:
    """The body; raises ValueError when it is larger than ``limit`` bytes."""
    if (request.content_length or 0) > limit:
        raise ValueError("too large")
    parts, size = [], 0
    async for chunk in request.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > limit:
            raise ValueError("too large")
        parts.append(chunk)
    return b"".join(parts)
