"""Whether a text can name an object of Kubernetes; what cannot never becomes a part of a question."""

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_label(text: str) -> bool:
    """A DNS-1123 label: names of namespaces and containers."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """A DNS-1123 subdomain: names of Applications, projects and Pods."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None
