"""The RBAC of the moment: policy of the settings, roles of the projects, decisions (api.md 13).

Every change makes a new :class:`Compiled` and a new generation, so that nothing of an old decision is
left. A policy that cannot be read leaves the last good one in force and is told in ``problems`` and
the log: the reference answers every call with an internal error until somebody mends it. Roles of a
project that cannot be read are out of force until they are mended, with no other victims.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from tiphys.access.identity import Identity
from tiphys.access.rbac.compiled import EMPTY, Compiled, Decide, Layer
from tiphys.access.rbac.patterns import GLOB, REGEX
from tiphys.access.rbac.policy import Policy, PolicyError, policy_text, project_policy_text, read_policy
from tiphys.resources.project import AppProject
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

DEFAULT_SCOPES = ("groups",)

_KEPT = 2048
"""Prepared decisions (caller, resource, action) that are kept."""


class Enforcer:
    """See the module; implements ``server.guard.Enforcer``.

    Args:
        project: the AppProject of a name in the control plane's namespace, or None.

    Attributes:
        explains: write each decision to the log (``ARGOCD_RBAC_DEBUG=1``).
    """

    def __init__(self, project: Callable[[str], AppProject | None]):
        self._project = project
        self._data: Mapping[str, str] = {}
        self._scopes: tuple[str, ...] = DEFAULT_SCOPES
        self._problem = ""
        self._policy, self._default_role, self._mode = Policy(), "", GLOB
        self._layers: dict[str, Layer] = {}
        self._prepared: dict[tuple[str, tuple[str, ...], str, str], Decide] = {}
        self.generation = 0
        self.explains = False
        self._compiled = self._compile(self._policy, "", GLOB)

    @property
    def problem(self) -> str:
        """Why the last policy given is not in force; ``""`` when it is."""
        return self._problem

    @property
    def scopes(self) -> tuple[str, ...]:
        """Names of the claims whose values are a caller's groups."""
        return self._scopes

    def use(self, data: Mapping[str, str]) -> None:
        """Take over ``argocd-rbac-cm``; a broken policy leaves everything as it was."""
        if data == self._data and self.generation:
            return
        self._data = dict(data)
        mode = REGEX if data.get("policy.matchMode") == REGEX else GLOB
        default = data.get("policy.default", "")
        try:
            policy = read_policy(policy_text(data))
            scopes = read_scopes(data.get("scopes", ""))
            compiled = self._compile(policy, default, mode)
        except PolicyError as error:
            self._problem = str(error)
            log.error("RBAC: the last good policy stays in force: %s", error)
            return
        self._problem = ""
        self._policy, self._default_role, self._scopes = policy, default, scopes
        if mode != self._mode:
            self._mode = mode
            self._layers.clear()
        self._renew(compiled)

    def project_changed(self, old: AppProject | None, new: AppProject | None) -> None:
        """A project was added, changed or deleted (a listener of the store of projects)."""
        before = (old.name, _lines(old)) if old is not None else None
        after = (new.name, _lines(new)) if new is not None else None
        if before == after:
            return
        for name in {project.name for project in (old, new) if project is not None}:
            self._layers.pop(name, None)
        self._renew(self._compile(self._policy, self._default_role, self._mode))

    def _compile(self, policy: Policy, default_role: str, mode: str) -> Compiled:
        return Compiled(policy, default_role, mode, self._layer)

    def _renew(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._prepared = {}
        self.generation += 1

    def _layer(self, name: str) -> Layer | None:
        kept = self._layers.get(name)
        if kept is not None:
            return kept
        project = self._project(name)
        if project is None:
            return None
        text = _lines(project)
        try:
            layer = Layer(read_policy(text), self._mode) if text else EMPTY
        except PolicyError as error:
            log.warning("RBAC: the roles of a project are not in force: %s", error, extra={"project": name})
            layer = EMPTY
        self._layers[name] = layer
        return layer

    def allows(self, identity: Identity, resource: str, action: str, name: str) -> bool:
        """Whether the policies permit ``action`` on the object ``name`` of ``resource``."""
        if identity.is_unrestricted:
            return True
        key = (identity.user_id, identity.groups, resource, action)
        decide = self._prepared.get(key)
        return self._told(key, name, (decide or self._prepare(key))(name))

    def _told(self, key: tuple[str, tuple[str, ...], str, str], name: str, allowed: bool) -> bool:
        """The decision; told in the log if somebody wants to know."""
        if self.explains:
            subject, groups, resource, action = key
            log.info(
                "RBAC: %s",
                "allowed" if allowed else "denied",
                extra={
                    "subject": subject,
                    "groups": list(groups),
                    "resource": resource,
                    "action": action,
                    "object": name,
                },
            )
        return allowed

    def permits(self, identity: Identity, resource: str, action: str) -> Decide:
        """The same for many objects: prepared once, then cheap for each name. Good for as long as a
        stream lives: it follows changes of policy."""
        if identity.is_unrestricted:
            return _always
        return _Standing(self, (identity.user_id, identity.groups, resource, action)).decide

    def _prepare(self, key: tuple[str, tuple[str, ...], str, str]) -> Decide:
        found = self._prepared.get(key)
        if found is None:
            if len(self._prepared) >= _KEPT:
                self._prepared.clear()
            found = self._prepared[key] = self._compiled.permits(*key)
        return found


class _Standing:
    __slots__ = ("_decide", "_enforcer", "_generation", "_key")

    def __init__(self, enforcer: Enforcer, key: tuple[str, tuple[str, ...], str, str]):
        self._enforcer = enforcer
        self._key = key
        self._generation = -1
        self._decide: Decide = _always

    def decide(self, name: str) -> bool:
        if self._generation != self._enforcer.generation:
            self._generation = self._enforcer.generation
            self._decide = self._enforcer._prepare(self._key)
        allowed = self._decide(name)
        return self._enforcer._told(self._key, name, allowed) if self._enforcer.explains else allowed


def _always(name: str) -> bool:
    return True


def _lines(project: AppProject) -> str:
    return project_policy_text(project) if project.spec.roles else ""


def read_scopes(text: str) -> tuple[str, ...]:
    """``scopes``: a YAML list of claims (or one text); ``[groups]`` when empty.

    Raises:
        PolicyError: something else.
    """
    if not text.strip():
        return DEFAULT_SCOPES
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise PolicyError("scopes", "not valid YAML") from None
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise PolicyError("scopes", "expected a list of claims")


def groups_of(claims: Mapping[str, Any], scopes: Iterable[str]) -> tuple[str, ...]:
    """Values of the claims that ``scopes`` name: texts, and the texts of lists."""
    found: dict[str, None] = {}
    for scope in scopes:
        value = claims.get(scope)
        if isinstance(value, str):
            found[value] = None
        elif isinstance(value, list | tuple):
            found.update((item, None) for item in value if isinstance(item, str))
    return tuple(found)
