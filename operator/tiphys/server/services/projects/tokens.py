"""Tokens of roles inside a project: adding one, taking one out (applications.md 18).

Pure; what a token is worth is decided in ``access``, which finds it in the status by its id.
"""

import msgspec

from tiphys.projects.tokens import matching, normalize_tokens
from tiphys.resources.project import AppProject, JWTToken, JWTTokens, ProjectRole


def tokens_of(project: AppProject, role: str) -> tuple[JWTToken, ...]:
    """All tokens of a role, those of spec and status together."""
    return normalize_tokens(project).status.jwt_tokens_by_role.get(role, JWTTokens()).items


def with_token(project: AppProject, role: str, token: JWTToken) -> AppProject:
    """The project with one more token of an existing role."""
    return _with_tokens(project, role, (*tokens_of(project, role), token))


def without_token(project: AppProject, role: str, *, token_id: str, issued_at: int) -> AppProject | None:
    """The project without a token, found by its id, else by when it was issued; None: there is none."""
    known = tokens_of(project, role)
    found = matching(known, token_id=token_id, issued_at=issued_at)
    if found is None:
        return None
    return _with_tokens(project, role, tuple(token for token in known if token is not found))


def _with_tokens(project: AppProject, role: str, tokens: tuple[JWTToken, ...]) -> AppProject:
    """Spec and status with these tokens of the role, and everything else in its normal form."""
    status = {**project.status.jwt_tokens_by_role, role: JWTTokens(items=tokens)}
    changed = msgspec.structs.replace(
        project,
        spec=msgspec.structs.replace(
            project.spec, roles=tuple(_replaced(each, role, tokens) for each in project.spec.roles)
        ),
        status=msgspec.structs.replace(project.status, jwt_tokens_by_role=status),
    )
    return normalize_tokens(changed)


def _replaced(role: ProjectRole, name: str, tokens: tuple[JWTToken, ...]) -> ProjectRole:
    return msgspec.structs.replace(role, jwt_tokens=tokens) if role.name == name else role
