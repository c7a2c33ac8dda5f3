"""Messages of the API package ``cluster``; each message defined once (``wire/`` has the numbers)."""

from collections.abc import Mapping

import msgspec

from tiphys.resources.messages.clusters import Cluster
from tiphys.resources.messages.overrides import ConfigManagementPlugin, KustomizeOptions, ResourceOverride
from tiphys.resources.shape import ApiObject


class Claim(ApiObject, frozen=True):
    """Part of ``OIDCConfig``."""

    essential: bool = False
    value: str = ""
    values: tuple[str, ...] = ()


class ClusterCreateRequest(ApiObject, frozen=True):
    """Request of ``ClusterService.Create``."""

    cluster: Cluster | None = None
    upsert: bool = False


class ClusterID(ApiObject, frozen=True):
    """Part of ``ClusterQuery``, ``ClusterUpdateRequest``."""

    type: str = ""
    value: str = ""


class ClusterQuery(ApiObject, frozen=True):
    """Request of ``ClusterService.List``, ``ClusterService.Get``, ``ClusterService.Delete`` and others."""

    server: str = ""
    name: str = ""
    id: ClusterID | None = None


class ClusterResponse(ApiObject, frozen=True):
    """Answer of ``ClusterService.Delete``, ``ClusterService.RotateAuth``."""


class ClusterUpdateRequest(ApiObject, frozen=True):
    """Request of ``ClusterService.Update``."""

    cluster: Cluster | None = None
    updated_fields: tuple[str, ...] = ()
    id: ClusterID | None = None


class Connector(ApiObject, frozen=True):
    """Part of ``DexConfig``."""

    name: str = ""
    type: str = ""
    id: str = ""


class DexConfig(ApiObject, frozen=True):
    """Part of ``Settings``."""

    connectors: tuple[Connector, ...] = ()
    dex_auth_connector_id: str = ""


class GoogleAnalyticsConfig(ApiObject, frozen=True):
    """Part of ``Settings``."""

    tracking_id: str = ""
    anonymize_users: bool = False


class Help(ApiObject, frozen=True):
    """Part of ``Settings``."""

    chat_url: str = msgspec.field(default="", name="chatUrl")
    chat_text: str = ""
    binary_urls: Mapping[str, str] = msgspec.field(default={}, name="binaryUrls")


class OIDCConfig(ApiObject, frozen=True):
    """Part of ``Settings``."""

    name: str = ""
    issuer: str = ""
    client_id: str = ""
    cli_client_id: str = ""
    scopes: tuple[str, ...] = ()
    id_token_claims: Mapping[str, Claim] = {}
    enable_pkce_authentication: bool = msgspec.field(default=False, name="enablePKCEAuthentication")


class Plugin(ApiObject, frozen=True):
    """Part of ``Settings``, ``SettingsPluginsResponse``."""

    name: str = ""


class Settings(ApiObject, frozen=True):
    """Answer of ``SettingsService.Get``."""

    url: str = ""
    dex_config: DexConfig | None = None
    oidc_config: OIDCConfig | None = None
    app_label_key: str = ""
    resource_overrides: Mapping[str, ResourceOverride] = {}
    status_badge_enabled: bool = False
    google_analytics: GoogleAnalyticsConfig | None = None
    kustomize_options: KustomizeOptions | None = None
    help: Help | None = None
    plugins: tuple[Plugin, ...] = ()
    user_logins_disabled: bool = False
    config_management_plugins: tuple[ConfigManagementPlugin, ...] = ()
    kustomize_versions: tuple[str, ...] = ()
    ui_css_url: str = ""
    ui_banner_content: str = ""
    ui_banner_url: str = ""
    password_pattern: str = ""
    tracking_method: str = ""
    ui_banner_permanent: bool = False
    ui_banner_position: str = ""
    status_badge_root_url: str = msgspec.field(default="", name="statusBadgeRootUrl")
    exec_enabled: bool = False
    controller_namespace: str = ""
    apps_in_any_namespace_enabled: bool = False
    impersonation_enabled: bool = False
    installation_id: str = ""
    additional_urls: tuple[str, ...] = msgspec.field(default=(), name="additionalUrls")
    hydrator_enabled: bool = False
    sync_with_replace_allowed: bool = False
    ui_login_button_text: str = ""
    resource_view_enabled: bool = False


class SettingsPluginsResponse(ApiObject, frozen=True):
    """Answer of ``SettingsService.GetPlugins``."""

    plugins: tuple[Plugin, ...] = ()


class SettingsQuery(ApiObject, frozen=True):
    """Request of ``SettingsService.Get``, ``SettingsService.GetPlugins``."""
