"""Controllers and API server in two processes: the listener of the one, and how the other asks."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime

from tiphys.app.controlling import Controllers
from tiphys.app.foundation import Foundation
from tiphys.reconcile.inspecting.inspector import Inspector
from tiphys.server.inside.remote import RemoteLive
from tiphys.server.inside.service import InsideService
from tiphys.server.port.certificates import Certificates, given_pairs
from tiphys.server.port.listener import ApiPort, PortOptions
from tiphys.settings.store import SettingsStore


async def listen_inside(base: Foundation, controllers: Controllers, closing: AsyncExitStack) -> None:
    """Answer API servers in other processes about live objects; the port stands when this returns."""
    certificates = Certificates(base.settings, base.client, base.options.namespace, _now)
    closing.callback(certificates.close)
    await certificates.start()
    service = InsideService(
        Inspector(controllers.services), base.apps, lambda: _secret_key(base.settings), _now
    )
    port = ApiPort(service.app(), None, certificates, PortOptions(port=base.params.inside_port))
    base.options.on_listening("inside", await closing.enter_async_context(port.serve()))


def ask_inside(base: Foundation, closing: AsyncExitStack) -> RemoteLive:
    """What controllers in another process know."""
    live = RemoteLive(
        base.params.server_controller_address,
        lambda: _secret_key(base.settings),
        lambda: _certificate(base.settings),
        _now,
    )
    closing.push_async_callback(live.close)
    return live


def _secret_key(settings: SettingsStore) -> str:
    return settings.snapshot.references.main.get("server.secretkey", "")


def _certificate(settings: SettingsStore) -> str:
    return next((pair.certificate for _, pair in given_pairs(settings.snapshot)), "")


def _now() -> datetime:
    return datetime.now(UTC)
