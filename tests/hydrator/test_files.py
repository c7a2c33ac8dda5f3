"""What a branch of hydrated manifests holds, and what its commits say (sources.md 21.4, 21.5)."""

import json
from typing import Any

import pytest

from tests.hydrator.building import NOW
from tiphys.hydrator.files import ATTRIBUTES, HydratedPath, changed_files, manifest_files, manifest_text
from tiphys.hydrator.metadata import DryCommit, dry_commit, fields_of, to_text
from tiphys.hydrator.texts import TextProblem, author_of, commit_message, readme
from tiphys.sources.git.history import CommitReference, RevisionMetadata

URL = "https://git.example/wet"
DRY_URL = "https://git.example/dry"
SHA = "0123456789abcdef0123456789abcdef01234567"
REFERENCE = CommitReference(
    author="Bob <bob@example.org>",
    date="2026-01-01T00:00:00Z",
    subject="Cause",
    body="of it",
    sha="abcdef0123",
    repo_url="https://git.example/code",
)
COMMIT = DryCommit(
    SHA, "Ada <ada@example.org>", "2026-01-02T00:00:00Z", "Ümlaut <b> & more", "Line\n\nline", (REFERENCE,)
)


def clock() -> Any:
    return NOW


def test_a_message_is_parted() -> None:
    message = (
        "Subject\n\nBody\nof two lines\n\nArgocd-reference-commit-sha: abcdef0123\n"
        "argocd-reference-commit-subject: Cause\nSigned-off-by: Ada"
    )
    commit = dry_commit(SHA, RevisionMetadata("Ada <a@x>", "2026-01-02T00:00:00Z", (), message, (REFERENCE,)))
    assert commit.subject == "Subject"
    assert commit.body == "Body\nof two lines\n\nSigned-off-by: Ada"
    assert commit.references == (REFERENCE,)
    assert dry_commit(SHA, RevisionMetadata("a", "d", (), "One line")) == DryCommit(SHA, "a", "d", "One line")


def test_the_fields_of_hydrator_metadata() -> None:
    fields = fields_of(URL, COMMIT, ["helm template ."])
    assert list(fields) == [
        "repoURL",
        "drySha",
        "commands",
        "author",
        "date",
        "subject",
        "body",
        "references",
    ]
    text = to_text(fields)
    assert json.loads(text) == fields
    assert text.startswith('{\n  "repoURL": "https://git.example/wet",\n  "drySha": ')
    assert text.endswith("}\n")
    assert '"subject": "Ümlaut <b> & more"' in text
    assert fields["references"] == [
        {
            "commit": {
                "author": "Bob <bob@example.org>",
                "date": "2026-01-01T00:00:00Z",
                "subject": "Cause",
                "body": "of it",
                "sha": "abcdef0123",
                "repoUrl": "https://git.example/code",
            }
        }
    ]
    assert to_text(fields_of(URL, DryCommit(SHA))) == f'{{\n  "repoURL": "{URL}",\n  "drySha": "{SHA}"\n}}\n'


OBJECT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "c",
        "labels": {"app.kubernetes.io/instance": "a", "app": "x"},
        "annotations": {
            "argocd.argoproj.io/tracking-id": "a:/ConfigMap:ns/c",
            "argocd.argoproj.io/installation-id": "i",
        },
    },
}


@pytest.mark.parametrize(
    ("method", "labels", "annotations"),
    [
        pytest.param("annotation", True, False, id="annotation"),
        pytest.param("", True, False, id="other"),
        pytest.param("label", False, True, id="label"),
        pytest.param("annotation+label", False, False, id="annotation+label"),
    ],
)
def test_tracking_is_taken_off(method: str, labels: bool, annotations: bool) -> None:  # sync.md 2.3
    text = manifest_text([json.dumps(OBJECT).encode()], method)
    assert ("app.kubernetes.io/instance" in text) is labels
    assert ("tracking-id" in text) is annotations
    assert ("installation-id" in text) is annotations
    assert ("annotations:" in text) is annotations  # nothing empty is left
    assert "    app: x\n" in text


ONE = HydratedPath("apps/one", "a: 1\n", ("kustomize build .",))
TWO = HydratedPath("apps/two", "b: 2\n")


def test_only_changed_paths_are_written() -> None:
    assert manifest_files([ONE, TWO]) == ("apps/one/manifest.yaml", "apps/two/manifest.yaml")
    present: dict[str, bytes | None] = {
        "apps/one/manifest.yaml": b"a: 1\n",
        "apps/two/manifest.yaml": b"b: 1\n",
    }
    files = changed_files([ONE, TWO], present, (DRY_URL, URL), COMMIT, "", clock)
    assert sorted(files) == [
        ".gitattributes",
        "apps/two/README.md",
        "apps/two/hydrator.metadata",
        "apps/two/manifest.yaml",
        "hydrator.metadata",
    ]
    assert files["apps/two/manifest.yaml"] == b"b: 2\n"
    assert files[".gitattributes"].decode() == ATTRIBUTES
    assert ATTRIBUTES.splitlines() == [
        "**/README.md linguist-generated=true",
        "**/hydrator.metadata linguist-generated=true",
    ]
    assert not ATTRIBUTES.endswith("\n")
    assert json.loads(files["hydrator.metadata"])["subject"] == COMMIT.subject
    assert "commands" not in json.loads(files["hydrator.metadata"])
    assert json.loads(files["apps/two/hydrator.metadata"]) == {"repoURL": URL, "drySha": SHA}


def test_a_first_commit() -> None:
    files = changed_files([ONE], {"apps/one/manifest.yaml": None}, (DRY_URL, URL), COMMIT, "", clock)
    assert json.loads(files["apps/one/hydrator.metadata"])["commands"] == ["kustomize build ."]
    assert files["apps/one/README.md"].decode().splitlines() == [
        "# Manifest Hydration",
        "",
        "To hydrate the manifests in this folder, run these commands:",
        "",
        "```shell",
        f"git clone {DRY_URL}",
        "# change into the folder that was cloned",
        f"git checkout {SHA}",
        "kustomize build .",
        "```",
        "",
        "## References",
        "",
        "* [abcdef0](https://git.example/code): Cause (Bob <bob@example.org>)",
    ]


def test_nothing_changed() -> None:
    present: dict[str, bytes | None] = {"apps/one/manifest.yaml": b"a: 1\n"}
    assert changed_files([ONE], present, (DRY_URL, URL), COMMIT, "{{ fail }}", clock) == {}


@pytest.mark.parametrize(
    ("commit", "message"),
    [
        pytest.param(
            COMMIT,
            "0123456: Ümlaut <b> & more\n\nLine\n\nline\n\n"
            "Co-authored-by: Bob <bob@example.org>\nCo-authored-by: Ada <ada@example.org>\n",
            id="body and references",
        ),
        pytest.param(
            DryCommit(SHA, "Ada <ada@example.org>", "", "Subject"),
            "0123456: Subject\n\nCo-authored-by: Ada <ada@example.org>\n",
            id="subject only",
        ),
    ],
)
def test_the_default_message(commit: DryCommit, message: str) -> None:
    assert commit_message("", URL, commit, clock) == message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ .metadata.drySha | trunc 4 }} of {{ .metadata.repoURL }}", f"0123 of {URL}"),
        (
            "{{ .metadata.subject | upper }}: {{ .metadata.author }}",
            "ÜMLAUT <B> & MORE: Ada <ada@example.org>",
        ),
        (
            "{{ range .metadata.references }}{{ .commit.sha }} {{ .commit.repoUrl }}{{ end }}",
            "abcdef0123 https://git.example/code",
        ),
        (
            "{{ with .metadata.body }}{{ . }}{{ end }} {{ .metadata.date }}",
            "Line\n\nline 2026-01-02T00:00:00Z",
        ),
    ],
)
def test_a_template_of_the_message(template: str, message: str) -> None:
    assert commit_message(template, URL, COMMIT, clock) == message


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ .metadata.drySha", "unclosed action"),
        ('{{ env "HOME" }}', 'function "env" not defined'),
        ('{{ expandenv "$HOME" }}', 'function "expandenv" not defined'),
        ('{{ getHostByName "x" }}', 'function "getHostByName" not defined'),
        ('{{ fail "on purpose" }}', "on purpose"),
        ("  ", "the message is empty"),
    ],
)
def test_a_bad_template_names_its_key(template: str, problem: str) -> None:
    with pytest.raises(TextProblem, match=r"sourceHydrator\.commitMessageTemplate of argocd-cm") as raised:
        commit_message(template, URL, COMMIT, clock)
    assert problem in raised.value.problem


def test_a_template_of_the_readme() -> None:
    template = (
        '{{ .RepoURL }} {{ .DrySHA }} {{ .Commands | join ";" }}'
        "{{ range .References }} {{ .Commit.SHA }} {{ .Commit.Author }}{{ end }}"
    )
    fields = fields_of(URL, COMMIT, ["a", "b"])
    assert readme(template, DRY_URL, fields, clock) == f"{URL} {SHA} a;b abcdef0123 Bob <bob@example.org>"


@pytest.mark.parametrize(
    ("settings", "author"),
    [
        ({}, ("Argo CD", "argo-cd@example.com")),
        ({"commit.author.name": "Bot"}, ("Bot", "argo-cd@example.com")),
        ({"commit.author.name": "Bot", "commit.author.email": "bot@example.org"}, ("Bot", "bot@example.org")),
    ],
)
def test_who_commits(settings: dict[str, str], author: tuple[str, str]) -> None:  # operations.md 1.2
    assert author_of(settings) == author
