"""One state of policy and projects, ready to be asked (api.md 13 "Evaluation").

A question is answered by up to four *evaluations*: the default role, the caller, each of the
caller's groups, the empty subject. Within one, somebody must allow and nobody may deny; any
evaluation that allows suffices. The lines a project adds count for questions about its objects only.

What a subject may do with one resource and action becomes a pair of object matchers (allow, deny),
made on first use and kept: a list of 6,000 objects asks for it once.
"""

from collections.abc import Callable, Iterable

from tiphys.access.rbac.builtin import BUILTIN
from tiphys.access.rbac.patterns import (
    GLOB,
    REGEX,
    Matcher,
    everything,
    matcher,
    matches,
    nothing,
)
from tiphys.access.rbac.policy import Policy, PolicyError, Rule
from tiphys.settings.regexes import PatternError, re2_compile

PROJECT_SCOPED = frozenset({"applications", "applicationsets", "repositories", "clusters", "logs", "exec"})
"""Resources whose object begins with a project (``project/…``)."""

_KEPT = 65536
"""Evaluations (subject, project, resource, action) that are kept."""

Decide = Callable[[str], bool]


class Layer:
    """The lines of one text, by subject, and how its patterns match.

    Raises:
        PolicyError: in regex mode, an expression that cannot be used.
    """

    def __init__(self, policy: Policy, mode: str):
        self.mode = mode
        self.rules: dict[str, list[Rule]] = {}
        self.roles: dict[str, list[str]] = {}
        for rule in policy.rules:
            if mode == REGEX:
                _check(rule)
            self.rules.setdefault(rule.subject, []).append(rule)
        for grouping in policy.groupings:
            self.roles.setdefault(grouping.member, []).append(grouping.role)

    def __bool__(self) -> bool:
        return bool(self.rules or self.roles)


def _check(rule: Rule) -> None:
    for pattern in (rule.resource, rule.action, rule.object):
        try:
            re2_compile(pattern)
        except PatternError as error:
            line = f"p, {rule.subject}, {rule.resource}, {rule.action}, {rule.object}, {rule.effect}"
            raise PolicyError(line, f"{pattern}: {error}") from None


EMPTY = Layer(Policy(), GLOB)
_BUILTIN = Layer(BUILTIN, GLOB)


class Compiled:
    """See the module.

    Args:
        policy: the users' policy. The built-in one comes before it, and matches by globs in any mode
            (in the reference nobody has the built-in roles in regex mode: ``*`` is no expression).
        default_role: ``policy.default``.
        mode: ``glob`` or ``regex``.
        builtin: whether there are built-in roles.
        project_layer: the lines that a project adds; None for a project that does not exist.

    Raises:
        PolicyError: see :class:`Layer`.
    """

    def __init__(
        self,
        policy: Policy,
        default_role: str,
        mode: str,
        project_layer: Callable[[str], Layer | None],
        *,
        builtin: bool = True,
    ):
        self._common = (_BUILTIN if builtin else EMPTY, Layer(policy, mode))
        self._default_role = default_role
        self._project_layer = project_layer
        self._without_roles: set[str] = set()
        self._evaluations: dict[tuple[str, str, str, str], Decide] = {}

    def permits(self, subject: str, groups: Iterable[str], resource: str, action: str) -> Decide:
        """A decision about names of objects, for one caller, resource and action."""
        groups = tuple(groups)
        outside = self._for_project("", subject, groups, resource, action)
        if resource == "projects":
            return self._by_project(outside, lambda name: name, subject, groups, resource, action)
        if resource in PROJECT_SCOPED:
            return self._by_project(outside, _project_of, subject, groups, resource, action)
        return outside

    def _by_project(
        self,
        outside: Decide,
        project_of: Callable[[str], str],
        subject: str,
        groups: tuple[str, ...],
        resource: str,
        action: str,
    ) -> Decide:
        known: dict[str, Decide] = {}
        is_token = is_project_subject(subject)
        without_roles = set() if is_token else self._without_roles

        def decide(name: str) -> bool:
            project = project_of(name)
            if not project:
                return outside(name)
            if project in without_roles:
                return outside(name)
            found = known.get(project)
            if found is None:
                layer = self._project_layer(project)
                if layer is None:
                    return outside(name)  # anybody can make up names: nothing is kept of them
                if not layer and not is_token:
                    without_roles.add(project)
                    return outside(name)
                found = known[project] = self._for_project(project, subject, groups, resource, action)
            return found(name)

        return decide

    def _for_project(
        self, project: str, subject: str, groups: tuple[str, ...], resource: str, action: str
    ) -> Decide:
        """The evaluations in their order, for objects of one project (``""``: of none)."""
        layer = self._project_layer(project) if project else None
        steps: list[Decide] = []

        def add(who: str, where: str) -> None:
            step = self._evaluation(who, where, resource, action)
            if step not in steps:
                steps.append(step)

        if self._default_role:
            add(self._default_role, "")
        foreign = layer is not None and is_project_subject(subject) and subject.split(":")[1] != project
        if subject and not foreign:
            where = project if layer else ""
            if self._default_role:
                add(self._default_role, where)
            add(subject, where)
            if layer is None or not is_project_subject(subject):
                for group in groups:
                    # A p line that names a group directly counts only for groups that a g line names.
                    if any(group in each.roles for each in (*self._common, layer or EMPTY)):
                        add(group, where)
        add("", "")
        return _any(steps)

    def _evaluation(self, subject: str, project: str, resource: str, action: str) -> Decide:
        layer = (self._project_layer(project) if project else None) or EMPTY
        subjects = self._inherited(subject, layer)
        if project and not any(who in layer.rules or who in layer.roles for who in subjects):
            project = ""  # nothing of the project concerns the subject: one decision serves all projects
        key = (subject, project, resource, action)
        found = self._evaluations.get(key)
        if found is None:
            if len(self._evaluations) >= _KEPT:
                self._evaluations.clear()
            found = self._evaluations[key] = self._compile(
                subjects, layer if project else EMPTY, resource, action
            )
        return found

    def _inherited(self, subject: str, layer: Layer) -> list[str]:
        found = {subject: None}
        waiting = [subject]
        while waiting:
            who = waiting.pop()
            for role in (role for each in (*self._common, layer) for role in each.roles.get(who, ())):
                if role not in found:
                    found[role] = None
                    waiting.append(role)
        return list(found)

    def _compile(self, subjects: Iterable[str], layer: Layer, resource: str, action: str) -> Decide:
        subjects = list(subjects)
        allow: list[Matcher] = []
        deny: list[Matcher] = []
        for each in (*self._common, layer):
            objects: dict[str, list[str]] = {"allow": [], "deny": []}
            for who in subjects:
                for rule in each.rules.get(who, ()):
                    if (
                        rule.effect in objects
                        and matches(rule.resource, resource, each.mode)
                        and matches(rule.action, action, each.mode)
                    ):
                        objects[rule.effect].append(rule.object)
            allow.append(matcher(objects["allow"], each.mode))
            deny.append(matcher(objects["deny"], each.mode))
        return _but_not(_any(allow), _any(deny))


def _but_not(allow: Matcher, deny: Matcher) -> Decide:
    if deny is everything or allow is nothing:
        return nothing
    if deny is nothing:
        return allow
    return lambda name: allow(name) and not deny(name)


def _any(steps: list[Decide]) -> Decide:
    steps = [step for step in steps if step is not nothing]
    if everything in steps:
        return everything
    if not steps:
        return nothing
    if len(steps) == 1:
        return steps[0]
    several = tuple(steps)

    def decide(name: str) -> bool:
        for step in several:  # noqa: SIM110 - a generator costs as much as the decision
            if step(name):
                return True
        return False

    return decide


def _project_of(name: str) -> str:
    project, slash, _ = name.partition("/")
    return project if slash else ""


def is_project_subject(subject: str) -> bool:
    """Whether a subject is a role of a project (``proj:P:R``)."""
    return subject.startswith("proj:") and subject.count(":") == 2
