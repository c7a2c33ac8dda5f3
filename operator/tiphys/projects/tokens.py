"""Tokens of a project's roles, which stand in the spec and in the status (``applications.md`` 18).

``normalize_tokens`` brings both to the same content; ``find_token`` says whether a presented
token is one of them. Signatures are ``access``'s business.
"""

from collections.abc import Iterable

import msgspec

from tiphys.resources.project import AppProject, JWTToken, JWTTokens


class TokenError(Exception):
    """The role or the token does not exist; the message is the reference's."""


def token_subject(project: str, role: str) -> str:
    """The subject of a role's tokens and policies."""
    return f"proj:{project}:{role}"


def normalize_tokens(project: AppProject) -> AppProject:
    """Spec and status with the union of their tokens by id, newest first; tokens of roles that
    are gone leave the status. The same object comes back when there is nothing to change."""
    stored = project.status.jwt_tokens_by_role
    by_role: dict[str, JWTTokens] = {}
    roles = []
    for role in project.spec.roles:
        known = stored.get(role.name, JWTTokens()).items
        merged = _merge((*known, *role.jwt_tokens))
        roles.append(msgspec.structs.replace(role, jwt_tokens=merged) if merged != role.jwt_tokens else role)
        if merged or role.name in stored:
            by_role[role.name] = JWTTokens(items=merged)
    if tuple(roles) == project.spec.roles and by_role == stored:
        return project
    return msgspec.structs.replace(
        project,
        spec=msgspec.structs.replace(project.spec, roles=tuple(roles)),
        status=msgspec.structs.replace(project.status, jwt_tokens_by_role=by_role),
    )


def _merge(tokens: Iterable[JWTToken]) -> tuple[JWTToken, ...]:
    by_id: dict[str, JWTToken] = {}
    for token in tokens:
        identified = token if token.id else msgspec.structs.replace(token, id=str(token.iat))
        by_id.setdefault(identified.id, identified)
    return tuple(sorted(by_id.values(), key=lambda token: (-token.iat, token.id)))


def find_token(project: AppProject, role: str, *, issued_at: int, token_id: str = "") -> JWTToken:
    """The token of a role in the status, by its id, else by when it was issued.

    Raises:
        TokenError: no such role, or no such token (it was revoked).
    """
    if all(known.name != role for known in project.spec.roles):
        raise TokenError(f"role '{role}' does not exist in project '{project.name}'")
    tokens = project.status.jwt_tokens_by_role.get(role, JWTTokens()).items
    found = matching(tokens, token_id=token_id, issued_at=issued_at)
    if found is not None:
        return found
    raise TokenError(
        f"JWT token for role '{role}' issued at '{issued_at}' does not exist in project '{project.name}'"
    )


def matching(tokens: Iterable[JWTToken], *, token_id: str, issued_at: int) -> JWTToken | None:
    """The token with this id; else one of this moment, if one of the two was made before tokens had ids.

    A token that has an id and was revoked is not another one that was made in the same second.
    """
    of_the_moment = None
    for token in tokens:
        if token_id and token.id == token_id:
            return token
        is_old = not token_id or token.id in ("", str(token.iat))
        if of_the_moment is None and token.iat == issued_at and is_old:
            of_the_moment = token
    return of_the_moment
