"""The structs against the fields that the reference's API has (``fields.json``: per message the
JSON names, and those that are written even when empty)."""

import json
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from tiphys.resources import (
    application,
    applicationset,
    meta,
    operation,
    project,
    providers,
    source,
    spec,
    status,
)
from tiphys.resources.shape import json_name, to_json

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())

MODULES: tuple[ModuleType, ...] = (
    application,
    applicationset,
    meta,
    operation,
    project,
    providers,
    source,
    spec,
    status,
)
STRUCTS: dict[str, type[msgspec.Struct]] = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, msgspec.Struct)
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_the_reference_exists(name: str) -> None:
    expected = set(FIELDS[name][0])
    found = {field.encode_name for field in msgspec.structs.fields(STRUCTS[name])}
    if "metadata" in found and {"apiVersion", "kind"} <= found:
        found -= {"apiVersion", "kind"}
    assert found == expected


@pytest.mark.parametrize("name", FIELDS)
def test_empty_structs_write_exactly_what_the_reference_writes(name: str) -> None:
    # applications.md 1, "wire-shape notes"
    written = set(to_json(STRUCTS[name]()))
    if name in ("Application", "AppProject", "ApplicationSet") or name.endswith("List"):
        written -= {"apiVersion", "kind"}
    assert written == set(FIELDS[name][1])


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("repo_url", "repoURL"),
        ("url", "url"),
        ("external_urls", "externalURLs"),
        ("dry_sha", "drySHA"),
        ("key_id", "keyID"),
        ("id", "id"),
        ("jwt_tokens_by_role", "jwtTokensByRole"),
        ("is_app_of_apps", "isAppOfApps"),
        ("continue_", "continue"),
    ],
)
def test_json_name_follows_from_the_attribute(attribute: str, expected: str) -> None:
    assert json_name(attribute) == expected
