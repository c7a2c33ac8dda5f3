"""Asking whether the caller of a method may do something, and refusing in the reference's words.

Two styles (api.md 4): the detailed one names resource, action, object and subject; the masked one is
``permission denied`` and tells nothing. Which method uses which stands in the route table (api.md 7).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from tiphys.access.identity import Identity
from tiphys.resources.times import to_timestamp
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import permission_denied


class Enforcer(Protocol):
    """Decides by the policies as they are now (``access.rbac``, api.md 13).

    ``generation`` changes whenever a decision may change.
    """

    @property
    def generation(self) -> int: ...

    def allows(self, identity: Identity, resource: str, action: str, name: str) -> bool:
        """Whether the policies permit ``action`` on the object ``name`` of ``resource``."""

    def permits(self, identity: Identity, resource: str, action: str) -> Callable[[str], bool]:
        """The same for many objects: prepared once, then cheap for each name."""


class Guard:
    """See the module."""

    def __init__(self, enforcer: Enforcer):
        self._enforcer = enforcer

    @property
    def generation(self) -> int:
        """Equal as long as equal questions have equal answers."""
        return self._enforcer.generation

    def allows(self, call: Call, resource: str, action: str, name: str) -> bool:
        """Whether the caller may."""
        return call.identity.is_unrestricted or self._enforcer.allows(call.identity, resource, action, name)

    def permits(self, call: Call, resource: str, action: str) -> Callable[[str], bool]:
        """A filter for lists."""
        if call.identity.is_unrestricted:
            return lambda name: True
        return self._enforcer.permits(call.identity, resource, action)

    def enforce(self, call: Call, resource: str, action: str, name: str) -> None:
        """Refuse in the detailed style.

        Raises:
            ApiFailure: PermissionDenied with resource, action, object, subject and time of issue.
        """
        if not self.allows(call, resource, action, name):
            raise permission_denied(refusal(call.identity, resource, action, name))

    def enforce_masked(self, call: Call, resource: str, action: str, name: str) -> None:
        """Refuse in the masked style.

        Raises:
            ApiFailure: PermissionDenied ``permission denied``.
        """
        if not self.allows(call, resource, action, name):
            raise permission_denied()


def refusal(identity: Identity, resource: str, action: str, name: str) -> str:
    """The text of the detailed style; subject and time only when known."""
    text = f"permission denied: {resource}, {action}, {name}"
    if identity.user_id:
        text += f", sub: {identity.user_id}"
    if identity.issued_at is not None:
        text += f", iat: {to_timestamp(datetime.fromtimestamp(identity.issued_at, UTC))}"
    return text


def app_object(project: str, namespace: str, name: str, control_namespace: str) -> str:
    """The RBAC object of an Application or ApplicationSet: ``project/name``, or
    ``project/namespace/name`` outside the control plane's namespace (api.md 13)."""
    project = project or "default"
    if namespace and namespace != control_namespace:
        return f"{project}/{namespace}/{name}"
    return f"{project}/{name}"
