"""The switches of ``argocd-cm`` that change what permissions mean (api.md 13).

``server.rbac.disableApplicationFineGrainedRBACInheritance`` (true unless ``false``): updating or
deleting a resource of an application asks for the fine-grained action only; when it is ``false``, the
plain action on the application includes all of its resources.
``server.rbac.rollback.enforce.enable`` (false unless ``true``): rolling back is a right of its own.
"""

from collections.abc import Callable, Mapping


def fine_grained_inherits(raw: Mapping[str, str]) -> bool:
    """Whether plain ``update`` and ``delete`` include those of an application's resources."""
    return raw.get("server.rbac.disableApplicationFineGrainedRBACInheritance") == "false"


def rollback_is_separate(raw: Mapping[str, str]) -> bool:
    """Whether a rollback needs the action ``rollback`` (else ``sync``)."""
    return raw.get("server.rbac.rollback.enforce.enable") == "true"


def resource_action(action: str, group: str, kind: str, namespace: str, name: str) -> str:
    """The fine-grained action on one resource: ``update/<group>/<kind>/<ns>/<name>``; the core group
    is empty (``delete//Pod/default/web-0``)."""
    return f"{action}/{group}/{kind}/{namespace}/{name}"


def custom_action(group: str, kind: str, name: str) -> str:
    """The RBAC action of a custom action of a kind: ``action/<group>/<kind>/<name>``."""
    return f"action/{group}/{kind}/{name}"


def resource_actions(
    raw: Mapping[str, str], action: str, group: str, kind: str, namespace: str, name: str
) -> tuple[str, ...]:
    """The actions to ask for in their order when a resource of an application is updated or deleted:
    the first that is allowed suffices; a refusal names the last."""
    fine = resource_action(action, group, kind, namespace, name)
    return (action, fine) if fine_grained_inherits(raw) else (fine,)


def may_touch_resource(
    allows: Callable[[str], bool],
    raw: Mapping[str, str],
    action: str,
    group: str,
    kind: str,
    namespace: str,
    name: str,
) -> bool:
    """Whether a resource of an application may be updated or deleted.

    Args:
        allows: decides about an action on the application (``guard.allows`` bound to it).
        raw: data of ``argocd-cm``.
        action: ``update`` or ``delete``.
    """
    return any(allows(each) for each in resource_actions(raw, action, group, kind, namespace, name))
