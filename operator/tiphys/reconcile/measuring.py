"""From requests and watch events to metrics, and which application they belong to.

``working_on`` marks a piece of work with its application: requests sent and lines logged inside
carry it. Caches and other long-lived tasks are started in a context of their own, so they count
for nobody. Who sends a request waits for its cluster (``waiting``).
"""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager

from tiphys.kube.transport import Purpose, RequestSample
from tiphys.reconcile.waiting import Lane, begun, ended
from tiphys.resources.application import Application
from tiphys.telemetry.logs import bound
from tiphys.telemetry.metrics import AppLabels, ControllerMetrics

_application: contextvars.ContextVar[AppLabels | None] = contextvars.ContextVar("application", default=None)

_COMMANDS = {"apply": "apply", "patch": "apply", "create": "create", "update": "replace"}
"""Verb of a request → the command of ``argocd_kubectl_exec_total``."""


@contextmanager
def working_on(app: Application, labels: AppLabels) -> Iterator[None]:
    """Count requests and mark log lines inside as the application's."""
    operation = app.operation
    token = _application.set(labels)
    try:
        with bound(
            app=str(app.key),
            project=labels.project,
            revision=revision_text(app),
            operation="delete" if app.metadata.deletion_timestamp else "sync" if operation else "",
        ):
            yield
    finally:
        _application.reset(token)


def revision_text(app: Application) -> str:
    """The revision, or all of them, that the application was last compared with."""
    return app.status.sync.revision or ",".join(app.status.sync.revisions or ())


class RequestMeter:
    """Takes the samples of one cluster's client.

    Args:
        server: the cluster as the settings name it; ``""`` for the control cluster, whose requests
            count for the client metrics only.
    """

    def __init__(self, metrics: ControllerMetrics, server: str = ""):
        self._metrics = metrics
        self._server = server

    def __call__(self, sample: RequestSample) -> None:
        """One attempt of a request ended."""
        if self._server:
            ended(Lane(self._server, sample.resource))
        self._metrics.client.request(
            host=sample.host,
            verb=sample.verb,
            method=sample.method,
            code=sample.code,
            seconds=sample.seconds,
            waited_seconds=sample.waited_seconds,
            sent_bytes=sample.sent_bytes,
            received_bytes=sample.received_bytes,
            retry=sample.attempt > 1,
        )
        app = _application.get()
        if app is None or not self._server:
            return
        self._metrics.app_request(
            app,
            server=self._server,
            code=sample.code,
            verb=sample.verb.capitalize(),
            kind=sample.resource.partition(".")[0],
            namespace=sample.namespace,
            dry_run=sample.dry_run,
        )
        if command := self._command(sample):
            self._metrics.write_finished(command)

    def begin(self, purpose: Purpose) -> None:
        """An attempt begins."""
        if self._server:
            begun(Lane(self._server, purpose.resource))
        if command := self._command(purpose):
            self._metrics.write_started(command)

    def _command(self, request: Purpose | RequestSample) -> str:
        if request.dry_run or not self._server or _application.get() is None:
            return ""
        return _COMMANDS.get(request.verb, "")
