"""In which fields two values differ, told in the names that people know from the reference.

``create`` without ``upsert`` refuses a spec that differs from the stored one and names the keys
(api.md 9): Go field names along the way to what differs. Names only, never a value.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.server.api.failures import ApiFailure, invalid_argument

# Go names that are not the attribute's JSON name with a capital.
_GO_NAMES = {
    "id": "ID",
    "iat": "IssuedAt",
    "exp": "ExpiresAt",
    "and_operator": "UseAndOperator",
    "github_app_id": "GithubAppId",
    "github_app_installation_id": "GithubAppInstallationId",
    "github_app_enterprise_base_url": "GitHubAppEnterpriseBaseURL",
    "role_arn": "RoleARN",
    "enable_lfs": "EnableLFS",
}
_CAPITALS = {"jwt": "JWT", "tls": "TLS", "aws": "AWS", "ca": "CA", "ssh": "SSH", "gcp": "GCP", "api": "API"}


def spec_differs(entity: str, old: msgspec.Struct, new: msgspec.Struct) -> ApiFailure:
    """The refusal of a ``create`` that would change what is stored."""
    text = f"existing {entity} spec is different; use upsert flag to force update"
    keys = different_keys(old, new)
    return invalid_argument(f'{text}; difference in keys "{",".join(keys)}"' if keys else text)


def different_keys(old: Any, new: Any) -> tuple[str, ...]:
    """Go names of the fields that differ and of those around them, each once, in order."""
    found: dict[str, None] = {}
    _collect(old, new, (), found)
    return tuple(found)


def _collect(old: Any, new: Any, path: tuple[str, ...], found: dict[str, None]) -> None:
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        names = zip(old.__struct_fields__, old.__struct_encode_fields__, strict=True)
        for field, key in names:
            _collect(getattr(old, field), getattr(new, field), (*path, go_name(field, key)), found)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            _collect(old.get(key), new.get(key), (*path, str(key)), found)
    elif isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        for one, two in zip(old, new, strict=True):
            _collect(one, two, path, found)
    else:
        found.update(dict.fromkeys(path))


def go_name(attribute: str, key: str) -> str:
    """The Go name of an attribute with its JSON key: ``source_repos``, ``sourceRepos`` → ``SourceRepos``."""
    known = _GO_NAMES.get(attribute)
    if known is not None:
        return known
    first = attribute.partition("_")[0]
    head = _CAPITALS.get(first)
    return head + key[len(first) :] if head else key[:1].upper() + key[1:]
