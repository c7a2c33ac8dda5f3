"""The form of the Secrets (sources.md 18.1, 18.2), without a cluster."""

from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from tiphys.resources.messages.stored_repositories import RepoCreds, Repository
from tiphys.server.services.repositories.shown import (
    given,
    sanitised,
    sanitised_template,
    stored,
    stored_template,
)
from tiphys.server.services.repositories.stored import (
    REPOSITORY,
    TEMPLATE,
    WRITE_REPOSITORY,
    WRITE_TEMPLATE,
    Form,
    data_of_message,
    new_secret,
    secret_name,
)
from tiphys.settings.reading import read_repository

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), max_size=12)
NOT_IN_A_SECRET = {"connection_state", "inherited_creds"}
SECRETS = {
    "password",
    "bearer_token",
    "ssh_private_key",
    "tls_client_cert_data",
    "tls_client_cert_key",
    "github_app_private_key",
    "gcp_service_account_key",
    "azure_service_principal_client_secret",
}


def messages(kind: type[Any], url: str) -> st.SearchStrategy[Any]:
    fields: dict[str, st.SearchStrategy[Any]] = {url: WORDS.filter(bool)}
    for field in msgspec.structs.fields(kind):
        if field.name in NOT_IN_A_SECRET or field.name == url:
            continue
        fields[field.name] = {str: WORDS, bool: st.booleans(), int: st.integers(0, 1 << 40)}[field.type]
    return st.builds(kind, **fields)


@pytest.mark.parametrize(
    ("url", "project", "number"),
    [("", "", 2166136261), ("a", "", 0xE40C292C), ("foo", "bar", 0xBF9CF968)],
)
def test_names_are_hashes(url: str, project: str, number: int) -> None:  # sources.md 18.1
    assert secret_name(REPOSITORY, url, project) == f"repo-{number}"


@pytest.mark.parametrize(
    ("form", "prefix", "label"),
    [
        (REPOSITORY, "repo-", "repository"),
        (TEMPLATE, "creds-", "repo-creds"),
        (WRITE_REPOSITORY, "repo-write-", "repository-write"),
        (WRITE_TEMPLATE, "creds-write-", "repo-write-creds"),
    ],
    ids=lambda each: each.label if isinstance(each, Form) else "",
)
def test_metadata_of_each_kind(form: Form, prefix: str, label: str) -> None:  # sources.md 18.1
    message = Repository(repo="u") if "repo" in form.keys else RepoCreds(url="u")
    metadata = new_secret(form, message, "ns")["metadata"]
    assert metadata["name"].startswith(prefix)
    assert metadata["labels"] == {"argocd.argoproj.io/secret-type": label}
    assert metadata["annotations"] == {"managed-by": "argocd.argoproj.io"}


@for_all(messages(Repository, "repo"))
def test_a_repository_comes_back(message: Repository) -> None:  # sources.md 18.2
    found = read_repository(new_secret(REPOSITORY, message, "ns"), template=False)
    assert stored(found) == stored(given(message))


@for_all(messages(RepoCreds, "url"))
def test_a_template_comes_back(message: RepoCreds) -> None:  # sources.md 18.2
    found = read_repository(new_secret(TEMPLATE, message, "ns"), template=True)
    assert stored_template(found) == message


@for_all(messages(Repository, "repo"))
def test_nothing_secret_is_shown(message: Repository) -> None:  # sources.md 18.3
    shown = sanitised(given(message))
    assert not any(getattr(shown, name) for name in SECRETS)
    assert (shown.repo, shown.username, shown.project) == (message.repo, message.username, message.project)


@for_all(messages(RepoCreds, "url"))
def test_a_template_shows_four_fields(message: RepoCreds) -> None:  # api.md 9
    shown = sanitised_template(read_repository(new_secret(TEMPLATE, message, "ns"), template=True))
    assert shown == RepoCreds(
        url=message.url, username=message.username, type=message.type, enable_oci=message.enable_oci
    )


def test_a_proxy_is_shown_without_its_password() -> None:
    shown = sanitised(given(Repository(repo="x", proxy="http://user:hunter2@proxy:3128")))
    assert shown.proxy == "http://user@proxy:3128"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:hunter2@x/y", "https://ada@x/y"),
        ("https://:hunter2@x/y", "https://@x/y"),
        ("https://org@dev.azure.com/org/y", "https://org@dev.azure.com/org/y"),
        ("ssh://git@x:2222/y", "ssh://git@x:2222/y"),
        ("git@x:y/z.git", "git@x:y/z.git"),
        ("https://x:8443/a@b", "https://x:8443/a@b"),
    ],
)
def test_only_passwords_are_taken_out_of_urls(url: str, shown: str) -> None:
    assert sanitised(given(Repository(repo=url))).repo == shown


def test_updates_write_present_keys_and_values() -> None:  # sources.md 18.1
    message = Repository(repo="u", insecure=False, depth=0, password="")
    assert data_of_message(REPOSITORY, message) == {"url": "u"}
    present = ("password", "insecure", "depth", "somebody's")
    assert data_of_message(REPOSITORY, message, present) == {
        "url": "u",
        "password": "",
        "insecure": "false",
        "depth": "0",
    }


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        (REPOSITORY, {"azureServicePrincipalClientId", "azureServicePrincipalTenantId"}),
        (TEMPLATE, {"azureServicePrincipalClientID", "azureServicePrincipalTenantID"}),
    ],
    ids=["repository", "template"],
)
def test_azure_is_spelled_in_two_ways(form: Form, keys: set[str]) -> None:  # sources.md 18.2
    assert {key for key in form.keys.values() if key.startswith("azure") and "principal" in key.lower()} == {
        *keys,
        "azureServicePrincipalClientSecret",
    }


@pytest.mark.parametrize(
    ("message", "type_"),
    [
        (Repository(repo="https://x/y"), "git"),
        (Repository(repo="oci://x/y"), "oci"),
        (Repository(repo="https://x/y", type="helm"), "helm"),
    ],
)
def test_types_by_default(message: Repository, type_: str) -> None:  # sources.md 18.2
    assert given(message).type == type_


def test_the_old_name_of_insecure_counts() -> None:  # sources.md 18.2
    assert given(Repository(repo="x", insecure_ignore_host_key=True)).insecure
