"""Policy texts: Casbin's CSV lines read into values (api.md 13 "ConfigMap argocd-rbac-cm").

``p, subject, resource, action, object, effect`` permits or forbids, ``g, member, role`` gives a
subject what a role has. A text with one bad line is bad as a whole: half a policy may permit what the
other half forbids.
"""

import csv
from collections.abc import Mapping

import msgspec

from tiphys.resources.project import AppProject


class PolicyError(ValueError):
    """A text that is no policy; ``line`` is the line (policies hold no secrets)."""

    def __init__(self, line: str, why: str = ""):
        super().__init__(f"invalid RBAC policy: {line}" + (f" ({why})" if why else ""))
        self.line = line


class Rule(msgspec.Struct, frozen=True):
    """A ``p`` line; ``effect`` is ``allow`` or ``deny``, anything else has no effect."""

    subject: str
    resource: str
    action: str
    object: str
    effect: str = "allow"


class Grouping(msgspec.Struct, frozen=True):
    """A ``g`` line."""

    member: str
    role: str


class Policy(msgspec.Struct, frozen=True):
    """The lines of one or more texts, in their order."""

    rules: tuple[Rule, ...] = ()
    groupings: tuple[Grouping, ...] = ()


def read_policy(text: str) -> Policy:
    """The lines of a policy text.

    Raises:
        PolicyError: a line that is neither.
    """
    rules: list[Rule] = []
    groupings: list[Grouping] = []
    for line in text.split("\n"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            fields = next(csv.reader([line], skipinitialspace=True, strict=True))
        except (csv.Error, StopIteration) as error:
            raise PolicyError(line, str(error)) from None
        match fields:
            case ["p", subject, resource, action, objects, effect]:
                rules.append(Rule(subject, resource, action, objects, effect))
            case ["g", member, role]:
                groupings.append(Grouping(member, role))
            case _:
                raise PolicyError(line)
    return Policy(tuple(rules), tuple(groupings))


def policy_text(data: Mapping[str, str]) -> str:
    """The text that the keys of ``argocd-rbac-cm`` make: ``policy.csv``, then every
    ``policy.<anything>.csv`` in the order of the keys."""
    overlays = sorted(
        key
        for key in data
        if key.startswith("policy.") and key.endswith(".csv") and len(key) > len("policy..csv")
    )
    return "\n".join(data[key] for key in ("policy.csv", *overlays) if data.get(key))


def project_policy_text(project: AppProject) -> str:
    """The lines that a project adds for requests about its objects (api.md 13 "Evaluation")."""
    lines: list[str] = []
    for role in project.spec.roles:
        subject = f"proj:{project.name}:{role.name}"
        lines.append(f"p, {subject}, projects, get, {project.name}, allow")
        lines.extend(role.policies)
        lines.extend(f"g, {group}, {subject}" for group in role.groups)
    return "\n".join(lines)
