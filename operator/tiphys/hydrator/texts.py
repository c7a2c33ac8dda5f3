"""What commits say and what the README of a path says: users' Go templates, or our own words.

Both templates may use what sprig has, except what looks at the machine (``sources.md`` 21.5). They are
users' texts: bounded by the engine, and to be rendered in a thread.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tiphys.hydrator.metadata import DryCommit, fields_of
from tiphys.templating.gotemplate import Function, Template, TemplateError, from_json
from tiphys.templating.sprig import functions

MESSAGE_KEY = "sourceHydrator.commitMessageTemplate"
README_KEY = "sourceHydrator.readmeMessageTemplate"
AUTHOR_NAME_KEY, AUTHOR_EMAIL_KEY = "commit.author.name", "commit.author.email"
DEFAULT_AUTHOR = ("Argo CD", "argo-cd@example.com")

_LOOKS_OUTSIDE = ("env", "expandenv", "getHostByName")
_SHORT = 7


class TextProblem(Exception):
    """A template of the settings cannot be used.

    Attributes:
        key: of ``argocd-cm``.
        problem: the engine's text.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key} of argocd-cm cannot be rendered: {problem}")
        self.key = key
        self.problem = problem


def author_of(settings: Mapping[str, str]) -> tuple[str, str]:
    """Name and address of commits (``commit.author.*`` of ``argocd-cm``)."""
    name, email = settings.get(AUTHOR_NAME_KEY, "").strip(), settings.get(AUTHOR_EMAIL_KEY, "").strip()
    return name or DEFAULT_AUTHOR[0], email or DEFAULT_AUTHOR[1]


def commit_message(template: str, dry_url: str, commit: DryCommit, clock: Callable[[], datetime]) -> str:
    """The message of a commit of hydrated manifests.

    Raises:
        TextProblem: the template fails, or leaves nothing.
    """
    if not template:
        return _default_message(commit)
    text = _render(MESSAGE_KEY, template, {"metadata": fields_of(dry_url, commit)}, clock)
    if not text.strip():
        raise TextProblem(MESSAGE_KEY, "the message is empty")
    return text


def readme(template: str, dry_url: str, fields: Mapping[str, Any], clock: Callable[[], datetime]) -> str:
    """The README of a path with these fields of its ``hydrator.metadata``; ours tells how to repeat it
    from ``dry_url``.

    Raises:
        TextProblem: the template fails.
    """
    if not template:
        return _default_readme(dry_url, fields)
    return _render(README_KEY, template, _go_names(fields), clock)


def _render(key: str, template: str, data: dict[str, Any], clock: Callable[[], datetime]) -> str:
    try:
        return Template.parse(template, key, functions=_functions(clock)).render(from_json(data))
    except TemplateError as error:
        raise TextProblem(key, str(error)) from error


def _functions(clock: Callable[[], datetime]) -> Mapping[str, Function]:
    found = functions(clock)
    return {name: found[name] for name in found if name not in _LOOKS_OUTSIDE}


def _default_message(commit: DryCommit) -> str:
    lines = [f"{commit.sha[:_SHORT]}: {commit.subject}"]
    if commit.body:
        lines += ["", commit.body]
    authors = [each.author for each in commit.references if each.author]
    authors += [commit.author] if commit.author else []
    lines.append("")
    lines += [f"Co-authored-by: {author}" for author in authors]
    return "\n".join(lines).rstrip("\n") + "\n"


def _default_readme(dry_url: str, fields: Mapping[str, Any]) -> str:
    lines = [
        "# Manifest Hydration",
        "",
        "To hydrate the manifests in this folder, run these commands:",
        "",
        "```shell",
        f"git clone {dry_url}",
        "# change into the folder that was cloned",
        f"git checkout {fields.get('drySha', '')}",
        *fields.get("commands", ()),
        "```",
    ]
    if references := fields.get("references"):
        lines += ["", "## References", ""]
        lines += [f"* {_reference(each['commit'])}" for each in references]
    return "\n".join(lines) + "\n"


def _reference(commit: Mapping[str, str]) -> str:
    sha, subject = commit.get("sha", ""), commit.get("subject", "")
    shown = sha[:_SHORT]
    if url := commit.get("repoUrl"):
        shown = f"[{shown or url}]({url})"
    words = [f"{shown}: {subject}" if shown and subject else shown or subject]
    if author := commit.get("author"):
        words.append(f"({author})")
    return " ".join(word for word in words if word)


def _go_names(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under the names that the reference's struct has."""
    references = [
        {
            "Commit": {
                "Author": commit.get("author", ""),
                "Date": commit.get("date", ""),
                "Subject": commit.get("subject", ""),
                "Body": commit.get("body", ""),
                "SHA": commit.get("sha", ""),
                "RepoURL": commit.get("repoUrl", ""),
            }
        }
        for commit in (each["commit"] for each in fields.get("references", ()))
    ]
    return {
        "RepoURL": fields.get("repoURL", ""),
        "DrySHA": fields.get("drySha", ""),
        "Commands": list(fields.get("commands", ())),
        "Author": fields.get("author", ""),
        "Date": fields.get("date", ""),
        "Subject": fields.get("subject", ""),
        "Body": fields.get("body", ""),
        "References": references,
    }
