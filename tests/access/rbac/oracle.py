"""Another evaluator to compare with: pycasbin, and the order of evaluations as the sheet tells it."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping

import casbin
import re2

from tiphys.access.rbac.builtin import BUILTIN
from tiphys.access.rbac.policy import project_policy_text
from tiphys.resources.project import AppProject

MODEL = """
[request_definition]
r = sub, res, act, obj
[policy_definition]
p = sub, res, act, obj, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && like(r.res, p.res) && like(r.act, p.act) && like(r.obj, p.obj)
"""

logging.getLogger("casbin").setLevel(logging.ERROR)


def glob_like(text: str, pattern: str) -> bool:
    """gobwas without separators, by trying everything: only for short patterns."""
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        return any(glob_like(text[at:], rest) for at in range(len(text) + 1))
    if head == "{":
        end = pattern.index("}")
        return any(glob_like(text, each + pattern[end + 1 :]) for each in pattern[1:end].split(","))
    if not text:
        return False
    if head == "?":
        return glob_like(text[1:], rest)
    if head == "[":
        end = pattern.index("]")
        inner = pattern[1:end]
        found = (text[0] not in inner[1:]) if inner.startswith("!") else (text[0] in inner)
        return found and glob_like(text[1:], pattern[end + 1 :])
    return text[0] == head and glob_like(text[1:], rest)


def regex_like(text: str, pattern: str) -> bool:
    return re2.search(pattern, text) is not None


def enforcer(text: str, mode: str) -> casbin.Enforcer:
    model = casbin.Enforcer.new_model(text=MODEL)
    made = casbin.Enforcer(model)
    made.add_function("like", regex_like if mode == "regex" else glob_like)
    # built-in globs are no expressions; ours match as globs in either mode
    for rule in () if mode == "regex" else BUILTIN.rules:
        made.add_policy(rule.subject, rule.resource, rule.action, rule.object, rule.effect)
    for grouping in BUILTIN.groupings:
        made.add_grouping_policy(grouping.member, grouping.role)
    made.add_policy(
        "nobody", "nothing", "nothing", "nothing", "deny"
    )  # no lines at all are a case of its own
    for kind, *fields in filter(None, csv.reader(io.StringIO(text), skipinitialspace=True)):
        if kind == "p":
            made.add_policy(*fields)
        elif kind == "g":
            made.add_grouping_policy(*fields)
    made.build_role_links()
    return made


class Oracle:
    """api.md 13 "Evaluation", word by word."""

    def __init__(self, text: str, default: str, mode: str, projects: Iterable[AppProject]):
        self._default = default
        self._common = enforcer(text, mode)
        self._of_project: Mapping[str, casbin.Enforcer] = {
            project.name: enforcer(f"{text}\n{project_policy_text(project)}", mode) for project in projects
        }

    def allows(self, user: str, groups: Iterable[str], res: str, act: str, obj: str) -> bool:
        if self._default and self._common.enforce(self._default, res, act, obj):
            return True
        scoped = ("applications", "applicationsets", "repositories", "clusters", "logs", "exec")
        project = ""
        if res in scoped and "/" in obj:
            project = obj.split("/")[0]
        elif res == "projects":
            project = obj
        own = self._of_project.get(project)
        asked = own if own is not None else self._common
        parts = user.split(":")
        is_token = len(parts) == 3 and parts[0] == "proj"
        if user and not (own is not None and is_token and parts[1] != project):
            for who in (self._default, user):
                if who and asked.enforce(who, res, act, obj):
                    return True
            if not (own is not None and is_token):
                bound = {line[0] for line in asked.get_grouping_policy()}
                for group in groups:
                    if group in bound and asked.enforce(group, res, act, obj):
                        return True
        return bool(self._common.enforce("", res, act, obj))
