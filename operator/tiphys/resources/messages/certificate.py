"""Messages of the API package ``certificate``."""

from tiphys.resources.messages.stored_repositories import RepositoryCertificateList
from tiphys.resources.shape import ApiObject


class RepositoryCertificateCreateRequest(ApiObject, frozen=True):
    """Certificates and host keys to add."""

    certificates: RepositoryCertificateList | None = None
    upsert: bool = False
    """Replace those that are there with other content."""


class RepositoryCertificateQuery(ApiObject, frozen=True):
    """Selects certificates and host keys."""

    host_name_pattern: str = ""
    """A glob; all when empty."""
    cert_type: str = ""
    """``ssh`` or ``https``; both when empty."""
    cert_sub_type: str = ""
    """Kind of key such as ``ssh-rsa``; all when empty."""


class RepositoryCertificateResponse(ApiObject, frozen=True):
    """Nothing (of the reference's description; no method answers it)."""
