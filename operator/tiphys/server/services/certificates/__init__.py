"""``CertificateService``: whom Git and chart repositories are trusted by (api.md 9, ``sources.md`` 19).

Two ConfigMaps: known hosts of SSH (``known_hosts``, one text) and certificates of TLS servers
(``authorities``, a key for each host). Both are edited as values; ``service`` reads, decides, writes.
"""

from tiphys.server.services.certificates.service import CertificateService

__all__ = ["CertificateService"]
