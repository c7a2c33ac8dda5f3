"""``SettingsService``: what clients and the UI need to know of the installation (api.md 9).

The login page needs some of it, so it is told to everybody; callers who are logged in get the rest.
"""

from collections.abc import Callable

import msgspec

from tiphys.access.accounts import LOGIN, Accounts
from tiphys.access.oidc.config import base_urls, connectors_of, read_sso
from tiphys.access.passwords import DEFAULT_PATTERN
from tiphys.resources.messages.cluster import (
    Claim,
    Connector,
    DexConfig,
    GoogleAnalyticsConfig,
    Help,
    OIDCConfig,
    Plugin,
    Settings,
    SettingsPluginsResponse,
    SettingsQuery,
)
from tiphys.resources.messages.overrides import (
    KnownTypeField,
    KustomizeOptions,
    OverrideIgnoreDiff,
    ResourceOverride,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.rpc import Route, rpc
from tiphys.settings.model import IgnoreRules
from tiphys.settings.model import ResourceOverride as StoredOverride
from tiphys.settings.model import Settings as Stored

DOWNLOADS = (
    "darwin-amd64",
    "darwin-arm64",
    "windows-amd64",
    "linux-amd64",
    "linux-arm64",
    "linux-ppc64le",
    "linux-s390x",
)


class SettingsService:
    """See the module.

    Args:
        settings: the settings of the moment.
        plugins: names of the config management plugins that run here.
    """

    package, service = "cluster", "SettingsService"

    def __init__(
        self,
        settings: Callable[[], Stored],
        accounts: Accounts,
        plugins: Callable[[], tuple[str, ...]] = lambda: (),
    ):
        self._settings = settings
        self._accounts = accounts
        self._plugins = plugins
        self._for_all: tuple[Stored, Settings] | None = None

    @rpc("Get", Route("GET", "/api/v1/settings"), tolerant=True)
    async def get(self, call: Call, request: SettingsQuery) -> Settings:
        """The settings that the caller may know."""
        stored = self._settings()
        if self._for_all is None or self._for_all[0] is not stored:
            self._for_all = (stored, self._for_everybody(stored))  # YAML is read once a change
        found = self._for_all[1]
        caller = call.identity
        if caller.is_authenticated or caller.is_unrestricted:
            raw = stored.raw
            found = msgspec.structs.replace(
                found,
                ui_banner_content=raw.get("ui.bannercontent", ""),
                ui_banner_url=raw.get("ui.bannerurl", ""),
                ui_banner_permanent=raw.get("ui.bannerpermanent") == "true",
                ui_banner_position=raw.get("ui.bannerposition", ""),
                controller_namespace=stored.control_namespace,
                resource_overrides={key: _override(each) for key, each in stored.overrides.items()},
            )
        if caller.is_authenticated:
            found = msgspec.structs.replace(
                found, password_pattern=stored.raw.get("passwordPattern") or DEFAULT_PATTERN
            )
        return found

    @rpc("GetPlugins", Route("GET", "/api/v1/settings/plugins"))
    async def get_plugins(self, call: Call, request: SettingsQuery) -> SettingsPluginsResponse:
        """The config management plugins."""
        return SettingsPluginsResponse(plugins=tuple(Plugin(name=name) for name in self._plugins()))

    def _for_everybody(self, stored: Stored) -> Settings:
        raw, params = stored.raw, stored.params
        url, more = base_urls(raw)
        chat_url = raw.get("help.chatUrl", "")
        dex, oidc = _sso(stored)
        return Settings(
            url=url,
            additional_urls=more,
            app_label_key=stored.instance_label_key,
            status_badge_enabled=raw.get("statusbadge.enabled") == "true",
            status_badge_root_url=raw.get("statusbadge.url", ""),
            kustomize_options=KustomizeOptions(build_options=stored.rendering.kustomize_build_options),
            google_analytics=GoogleAnalyticsConfig(
                tracking_id=raw.get("ga.trackingid", ""),
                anonymize_users=raw.get("ga.anonymizeusers") != "false",
            ),
            help=Help(
                chat_url=chat_url,
                chat_text=(raw.get("help.chatText") or "Chat now!") if chat_url else "",
                binary_urls={
                    name: found for name in DOWNLOADS if (found := raw.get(f"help.download.{name}", ""))
                },
            ),
            user_logins_disabled=not any(
                account.is_enabled and account.can(LOGIN) for account in self._accounts.all().values()
            ),
            kustomize_versions=tuple(version.name for version in stored.rendering.kustomize_versions),
            ui_css_url=raw.get("ui.cssurl", ""),
            ui_login_button_text=raw.get("ui.loginButtonText", ""),
            tracking_method=stored.tracking_method,
            installation_id=stored.installation_id,
            exec_enabled=raw.get("exec.enabled") == "true",
            apps_in_any_namespace_enabled=bool(params.application_namespaces),
            impersonation_enabled=stored.impersonation_enabled,
            hydrator_enabled=params.hydrator_enabled,
            sync_with_replace_allowed=params.server_sync_with_replace_allowed,
            resource_view_enabled=raw.get("ui.view.resources.disabled") != "true",
            dex_config=dex,
            oidc_config=oidc,
        )


def _sso(stored: Stored) -> tuple[DexConfig | None, OIDCConfig | None]:
    dex = None
    if text := stored.raw.get("dex.config", "").strip():
        try:
            connectors = connectors_of(text)
        except ValueError:
            connectors = []
        dex = DexConfig(
            connectors=tuple(
                Connector(
                    name=str(each.get("name") or ""),
                    type=str(each.get("type") or ""),
                    id=str(each.get("id") or ""),
                )
                for each in connectors
            )
        )
    sso, _ = read_sso(stored)
    if dex is not None and sso is not None and sso.connector_id:
        dex = msgspec.structs.replace(dex, dex_auth_connector_id=sso.connector_id)
    if sso is None or sso.is_dex:
        return dex, None
    config = sso.oidc
    return dex, OIDCConfig(
        name=config.name,
        issuer=config.issuer,
        client_id=config.client_id,
        cli_client_id=config.cli_client_id,
        scopes=config.requested_scopes,
        id_token_claims={
            name: Claim(essential=claim.essential, value=claim.value, values=claim.values)
            for name, claim in config.requested_claims.items()
        },
        enable_pkce_authentication=config.pkce,
    )


def _override(stored: StoredOverride) -> ResourceOverride:
    return ResourceOverride(
        health_lua=stored.health_lua,
        use_open_libs=stored.use_open_libs,
        actions=stored.actions,
        ignore_differences=_rules(stored.ignore_differences),
        ignore_resource_updates=_rules(stored.ignore_resource_updates),
        known_type_fields=tuple(
            KnownTypeField(field=each.field, type=each.type) for each in stored.known_type_fields
        ),
    )


def _rules(stored: IgnoreRules) -> OverrideIgnoreDiff:
    return OverrideIgnoreDiff(
        json_pointers=stored.json_pointers,
        jq_path_expressions=stored.jq_path_expressions,
        managed_fields_managers=stored.managed_fields_managers,
    )
