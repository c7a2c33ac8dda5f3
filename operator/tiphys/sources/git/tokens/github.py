"""A GitHub App's installation token: the app signs who it is, GitHub gives a token for its installation.

Without an installation id the one on the account in the repository's address is looked up.
"""

import datetime
from urllib.parse import quote, urlsplit

import jwt

from tiphys.settings.repositories import Repository
from tiphys.sources.git.tokens.asking import Asking, Token, text_of

WHAT = "a GitHub App installation token"
PUBLIC = "https://api.github.com"
_SKEW = 60.0
_SIGNED_FOR = 540.0
"""Seconds; GitHub takes ten minutes at most."""
_PAGE = 100
_PAGES = 100


def base_url(repository: Repository) -> str:
    """The API: that of GitHub Enterprise where the Secret names one."""
    return (repository.github_app_enterprise_base_url or PUBLIC).rstrip("/")


def account_of(url: str) -> str:
    """The organisation or person in a repository's address."""
    return urlsplit(url.strip()).path.lstrip("/").partition("/")[0].lower()


async def installation_of(asking: Asking) -> int:
    """The app's installation on the repository's account.

    Raises:
        SourceError: there is none, or GitHub cannot be asked.
    """
    account = account_of(asking.repository.url)
    headers = _headers(asking)
    for page in range(1, _PAGES + 1):
        url = f"{base_url(asking.repository)}/app/installations?per_page={_PAGE}&page={page}"
        listed = await asking.ask(WHAT, "GET", url, headers=headers, secrets=_secrets(headers))
        if not isinstance(listed, list):
            break
        for each in listed:
            owner = each.get("account") if isinstance(each, dict) else None
            if text_of(owner, "login").lower() == account and isinstance(each.get("id"), int):
                return int(each["id"])
        if len(listed) < _PAGE:
            break
    raise asking.refused(
        WHAT, f"the app {asking.repository.github_app_id} is not installed on {account or 'any account'}"
    )


async def token(asking: Asking, installation: int) -> Token:
    """A token of the installation. Raises SourceError."""
    headers = _headers(asking)
    url = f"{base_url(asking.repository)}/app/installations/{quote(str(installation))}/access_tokens"
    found = await asking.ask(WHAT, "POST", url, headers=headers, secrets=_secrets(headers))
    password = text_of(found, "token")
    if not password:
        raise asking.refused(WHAT, "the answer holds none")
    return Token(username="x-access-token", password=password, expires=_expiry(found, asking.now))


def _expiry(found: object, now: float) -> float:
    try:
        return datetime.datetime.fromisoformat(text_of(found, "expires_at")).timestamp()
    except ValueError:
        return now + 3600.0


def _headers(asking: Asking) -> dict[str, str]:
    repository = asking.repository
    claims = {
        "iat": int(asking.now - _SKEW),
        "exp": int(asking.now + _SIGNED_FOR),
        "iss": str(repository.github_app_id),
    }
    try:
        signed = jwt.encode(claims, repository.github_app_private_key, algorithm="RS256")
    except (ValueError, TypeError, AttributeError, jwt.PyJWTError):  # a public key has no ``sign``
        raise asking.refused(WHAT, "githubAppPrivateKey is no RSA key in PEM form") from None
    return {"Authorization": f"Bearer {signed}", "Accept": "application/vnd.github+json"}


def _secrets(headers: dict[str, str]) -> tuple[str, ...]:
    return (headers["Authorization"].removeprefix("Bearer "),)
