"""Everything about callers, put together: what the composition root makes one of.

``start`` makes what the first start has to (operations.md 1.3); ``run`` keeps the shared state of
sessions stored until it is cancelled. Settings come from the store, and changes of them are taken
over at once.
"""

from collections.abc import Callable
from datetime import datetime

from tiphys.access.accounts import Accounts
from tiphys.access.authenticator import Authenticator
from tiphys.access.first_start import prepare
from tiphys.access.oidc.sso import SingleSignOn
from tiphys.access.rbac.enforcer import Enforcer
from tiphys.access.sessions import Sessions
from tiphys.kube.client import ClusterClient
from tiphys.resources.project import AppProject
from tiphys.settings.store import SettingsChange, SettingsStore

ProjectListener = Callable[[AppProject | None, AppProject | None], None]


class Access:
    """See the module.

    Args:
        project: the AppProject of a name in the control plane's namespace, or None.
        listen: has changes of projects told (``Store.listen``); returns how to stop it.
        clock: the present moment (aware, UTC).

    Attributes:
        authenticator: who calls.
        enforcer: what they may do.
        accounts, sessions: local accounts and their sessions.
        sso: single sign-on.
    """

    def __init__(
        self,
        settings: SettingsStore,
        project: Callable[[str], AppProject | None],
        listen: Callable[[ProjectListener], Callable[[], None]],
        client: ClusterClient,
        namespace: str,
        clock: Callable[[], datetime],
    ):
        self._settings = settings
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self.accounts = Accounts(settings, client, namespace, clock)
        self.sessions = Sessions(settings, client, namespace, clock, self.accounts, project)
        self.sso = SingleSignOn(settings, self.sessions, clock)
        self.enforcer = Enforcer(project)
        self.enforcer.use(settings.snapshot.rbac)
        self.enforcer.explains = settings.snapshot.params.server_rbac_debug
        self.authenticator = Authenticator(
            settings, self.sessions, self.enforcer, self.sso, lambda: clock().timestamp()
        )
        self._stop = [settings.subscribe(self._settings_changed), listen(self.enforcer.project_changed)]

    async def start(self) -> None:
        """Make the signing key and the admin's password where there are none yet, and learn which tokens
        were revoked; call it when the settings were read, and before the first token is checked.

        Raises:
            KubeError: Kubernetes refuses or is away.
        """
        await prepare(self._settings, self._client, self._namespace, self.sessions.passwords, self._clock)
        await self.sessions.shared.load()

    async def run(self) -> None:
        """Keep sessions stored, until cancelled; then close connections."""
        try:
            await self.sessions.shared.run()
        finally:
            await self.sso.close()

    def close(self) -> None:
        """Listen to nothing any more and let threads end."""
        for stop in self._stop:
            stop()
        self._stop.clear()
        self.sessions.passwords.close()

    def _settings_changed(self, change: SettingsChange) -> None:
        if change.new.rbac is not change.old.rbac:
            self.enforcer.use(change.new.rbac)
        self.enforcer.explains = change.new.params.server_rbac_debug
