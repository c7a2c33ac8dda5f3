"""Settings, accounts and tokens of tests."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import bcrypt
import jwt

from tiphys.resources.identity import Manifest
from tiphys.resources.project import AppProject, decode
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

KEY = "a-signing-key-of-tests-that-is-long-enough-for-the-longest-of-the-hashes"
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def config_map(name: str, data: Mapping[str, str], namespace: str = "argocd") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "argocd"},
        },
        "data": dict(data),
    }


def secret(name: str, data: Mapping[str, str], namespace: str = "argocd") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "argocd"},
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def store(
    main: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    rbac: Mapping[str, str] | None = None,
    namespace: str = "argocd",
    params: Params | None = None,
) -> SettingsStore:
    made = SettingsStore(namespace, params or Params())
    made.put(config_map("argocd-cm", main or {}, namespace))
    made.put(config_map("argocd-rbac-cm", rbac or {}, namespace))
    made.put(secret("argocd-secret", {"server.secretkey": KEY, **(secrets or {})}, namespace))
    return made


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def token(key: str = KEY, *, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
    """A token with the usual claims; a claim given as None is left out."""
    usual = {"iss": "argocd", "iat": SECONDS, "nbf": SECONDS, "jti": "one", "exp": SECONDS + 3600}
    found = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(found, key, algorithm=algorithm, headers=headers)


def stored_tokens(*ids: str) -> str:
    return json.dumps([{"id": each, "iat": SECONDS} for each in ids])


def project(name: str, *roles: Mapping[str, Any], tokens: Mapping[str, Any] | None = None) -> AppProject:
    return decode(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"roles": list(roles)},
            "status": {"jwtTokensByRole": dict(tokens or {})},
        }
    )
