"""Messages of the API package ``certificate``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.messages.stored_repositories import RepositoryCertificateList
from tiphys.resources.shape import ApiObject


class RepositoryCertificateCreateRequest(ApiObject, frozen=True):
    """Request of ``CertificateService.CreateCertificate``."""

    certificates: RepositoryCertificateList | None = None
    upsert: bool = False


class RepositoryCertificateQuery(ApiObject, frozen=True):
    """Request of ``CertificateService.ListCertificates``, ``CertificateService.DeleteCertificate``."""

    host_name_pattern: str = ""
    cert_type: str = ""
    cert_sub_type: str = ""


class RepositoryCertificateResponse(ApiObject, frozen=True):
    """See the fact sheet of its service."""
