"""Messages of the API package ``cluster``."""

from collections.abc import Mapping

import msgspec

from tiphys.resources.messages.clusters import Cluster
from tiphys.resources.messages.overrides import ConfigManagementPlugin, KustomizeOptions, ResourceOverride
from tiphys.resources.shape import ApiObject


class Claim(ApiObject, frozen=True):
    """A claim that the ID token shall hold."""

    essential: bool = False
    value: str = ""
    values: tuple[str, ...] = ()


class ClusterCreateRequest(ApiObject, frozen=True):
    """A cluster to add."""

    cluster: Cluster | None = None
    upsert: bool = False
    """Replace it if its server is known with other content."""


class ClusterID(ApiObject, frozen=True):
    """Which field names a cluster."""

    type: str = ""
    """``server`` (when empty), ``name`` or ``name_escaped``."""
    value: str = ""
    """The server's URL or the name."""


class ClusterQuery(ApiObject, frozen=True):
    """Names a cluster, or selects clusters."""

    server: str = ""
    """URL of the API server."""
    name: str = ""
    id: ClusterID | None = None
    """By server or by name; wins over the other fields."""


class ClusterResponse(ApiObject, frozen=True):
    """Nothing: it is done."""


class ClusterUpdateRequest(ApiObject, frozen=True):
    """A cluster's new content."""

    cluster: Cluster | None = None
    updated_fields: tuple[str, ...] = ()
    """Only these (``name``, ``namespaces``, ``config``, ``shard``, ``labels``…); all when empty."""
    id: ClusterID | None = None
    """Which cluster; the one of ``cluster.server`` when absent."""


class Connector(ApiObject, frozen=True):
    """A login method of Dex."""

    name: str = ""
    type: str = ""
    id: str = ""


class DexConfig(ApiObject, frozen=True):
    """What a login page needs to know of Dex."""

    connectors: tuple[Connector, ...] = ()
    dex_auth_connector_id: str = ""


class GoogleAnalyticsConfig(ApiObject, frozen=True):
    """Usage measurement of the web UI."""

    tracking_id: str = ""
    anonymize_users: bool = False


class Help(ApiObject, frozen=True):
    """Links to help and downloads."""

    chat_url: str = msgspec.field(default="", name="chatUrl")
    chat_text: str = ""
    binary_urls: Mapping[str, str] = msgspec.field(default={}, name="binaryUrls")
    """URLs of the command line by platform, such as ``linux-amd64``."""


class OIDCConfig(ApiObject, frozen=True):
    """How to log in at an OIDC provider; never its secret."""

    name: str = ""
    issuer: str = ""
    client_id: str = ""
    cli_client_id: str = ""
    scopes: tuple[str, ...] = ()
    id_token_claims: Mapping[str, Claim] = {}
    enable_pkce_authentication: bool = msgspec.field(default=False, name="enablePKCEAuthentication")


class Plugin(ApiObject, frozen=True):
    """A config management plugin."""

    name: str = ""


class Settings(ApiObject, frozen=True):
    """Settings that clients need; what strangers see of it is less (api.md 9)."""

    url: str = ""
    dex_config: DexConfig | None = None
    oidc_config: OIDCConfig | None = None
    app_label_key: str = ""
    """Label that marks objects of an application."""
    resource_overrides: Mapping[str, ResourceOverride] = {}
    status_badge_enabled: bool = False
    google_analytics: GoogleAnalyticsConfig | None = None
    kustomize_options: KustomizeOptions | None = None
    help: Help | None = None
    plugins: tuple[Plugin, ...] = ()
    user_logins_disabled: bool = False
    """No account can log in by password."""
    config_management_plugins: tuple[ConfigManagementPlugin, ...] = ()
    kustomize_versions: tuple[str, ...] = ()
    ui_css_url: str = ""
    ui_banner_content: str = ""
    ui_banner_url: str = ""
    password_pattern: str = ""
    """Regular expression of permitted passwords."""
    tracking_method: str = ""
    """``annotation``, ``label`` or ``annotation+label``."""
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
    """The config management plugins."""

    plugins: tuple[Plugin, ...] = ()


class SettingsQuery(ApiObject, frozen=True):
    """Asks for the settings."""
